"""What docs/recorder.md shows is run, as it stands there."""

import re
from pathlib import Path

import gdlab
from tests.test_readme import python

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recorder.md"
EXAMPLES = PAGE.parents[1] / "examples"


def test_the_page_runs_from_top_to_bottom(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    done = python("\n".join(blocks), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("finished 200")
    for name, rows in (("mine", 200), ("watched", 50)):
        run = gdlab.open_run(tmp_path / "runs" / name)
        assert run.rows("scalars") == rows
        assert run.summary()["final_loss"] is not None
        assert run.columns("layer/mu_norm") == ("line",)


def test_the_table_of_loops_is_that_of_the_folder():
    named = set(re.findall(r"`(\w+\.py)`", PAGE.read_text()))
    assert named == {path.name for path in EXAMPLES.glob("*.py")} - {"__init__.py", "digits.py"}
