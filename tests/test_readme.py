"""What the README shows is run, as it stands there; `tests/test_docs.py` checks its commands and links."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import blocks

REPOSITORY = Path(__file__).resolve().parent.parent
README = REPOSITORY / "README.md"
APP = ("hydra", "omegaconf", "bokeh", "flax", "orbax", "sklearn", "yaml", "rich", "colorcet")


def python(code, folder):
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )


def block_with(page, language, text):
    (found,) = [block.code for block in blocks(page) if block.language == language and text in block.code]
    return found


@pytest.mark.parametrize(
    ("page", "text"),
    [(README, "conjugate_gradient()"), (REPOSITORY / "docs" / "guide" / "training.md", "two_phase(lambda")],
    ids=["conjugate gradients", "line search"],
)
def test_library_use_runs_with_nothing_but_the_core(page, text, tmp_path):
    refuse = f"import sys; sys.modules.update(dict.fromkeys({APP!r}))\n"
    done = python(refuse + block_with(page, "python", text), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_what_the_command_line_does_is_called_from_python(tmp_path):
    done = python(block_with(README, "python", "gdlab.compose("), tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[0]) < 2.4 and "dict_keys" in done.stdout
    assert (tmp_path / "runs" / "from_python" / "run.json").exists()


def test_a_problem_of_ones_own_is_refused_without_permission(tmp_path):
    page = REPOSITORY / "docs" / "tutorials" / "problem.md"
    for block in blocks(page):
        if block.file in ("my_problem.py", "my_conf/problem/valley.yaml"):
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.code)
    command = [sys.executable, "-m", "gdlab", "--config-dir", "my_conf", "problem=valley"]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{tmp_path}"}
    call = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    refused = subprocess.run(command, **call)
    assert refused.returncode == 1 and "GDLAB_TARGETS" in refused.stderr
    trained = subprocess.run(command, **{**call, "env": {**environment, "GDLAB_TARGETS": "my_problem"}})
    assert trained.returncode == 0, trained.stderr
    reading = "from gdlab.store import open_run\nrun = open_run('runs/valley')\n"
    reading += "print(run.table('steps').columns['loss'][0], len(run.table('evaluations').columns['eta']))"
    first, evaluations = python(reading, tmp_path).stdout.split()
    assert float(first) == pytest.approx(10 * (-2 - 0.14112000806) ** 2 + 0.9, rel=1e-5)
    assert int(evaluations) > 0


def test_every_link_leads_somewhere():
    for link in re.findall(r"\]\(([^)h][^)]*)\)", README.read_text()):
        assert (REPOSITORY / link).exists(), link


def test_what_the_readme_needs_to_be_short():
    assert len(README.read_text().splitlines()) < 120
