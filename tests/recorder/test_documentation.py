"""What docs/recorder.md shows is run with nothing but the core, and its table is that of the examples."""

import re
from pathlib import Path

import gdlab
from tests.documents import blocks
from tests.test_readme import APP, python

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recorder.md"
EXAMPLES = PAGE.parents[1] / "examples"
REFUSED = [name for name in APP if name != "yaml"]  # which the core has


def test_recording_needs_nothing_but_the_core(tmp_path):
    refuse = f"import sys; sys.modules.update(dict.fromkeys({REFUSED!r}))\n"
    code = [block.code for block in blocks(PAGE) if block.language == "python"]
    assert len(code) == 5
    done = python(refuse + "\n".join(code), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("finished 200")
    for name, rows in (("mine", 210), ("tenth", 10), ("more", 50), ("watched", 50)):
        run = gdlab.open_run(tmp_path / "runs" / name)
        assert run.rows("scalars") == rows
        assert run.summary()["final_loss"] is not None
        assert run.columns("layer/mu_norm") == ("line",)


def test_the_table_of_loops_is_that_of_the_folder():
    others = {"__init__.py", "digits.py", "optimistix_minimiser.py"}  # which are no loops
    named = set(re.findall(r"`(\w+\.py)`", PAGE.read_text()))
    assert named == {path.name for path in EXAMPLES.glob("*.py")} - others
