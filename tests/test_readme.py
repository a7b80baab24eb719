"""What the README shows is run, as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text()
APP = ("hydra", "omegaconf", "bokeh", "flax", "orbax", "sklearn", "yaml", "rich", "colorcet")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def python(code, folder, **environment):
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}", **environment}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )


def block_with(language, text):
    (found,) = [block for block in blocks(language) if text in block]
    return found


@pytest.mark.parametrize("text", ["conjugate_gradient()", "two_phase(lambda"])
def test_library_use_runs_with_nothing_but_the_core(text, tmp_path):
    refuse = f"import sys; sys.modules.update(dict.fromkeys({APP!r}))\n"
    done = python(refuse + block_with("python", text), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_what_the_command_line_does_is_called_from_python(tmp_path):
    done = python(block_with("python", "gdlab.compose("), tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[0]) < 2.4 and "dict_keys" in done.stdout
    assert (tmp_path / "runs" / "from_python" / "run.json").exists()


def test_a_problem_of_ones_own_is_recorded_and_read_as_described(tmp_path):
    (tmp_path / "my_problem.py").write_text(block_with("python", "# my_problem.py"))
    (tmp_path / "my_conf" / "problem").mkdir(parents=True)
    (tmp_path / "my_conf" / "problem" / "valley.yaml").write_text(block_with("yaml", "my_problem.valley"))
    command = next(
        line for line in block_with("console", "problem=valley").splitlines() if "-m gdlab" in line
    )
    arguments = command.split("-m gdlab ")[1].split()
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{tmp_path}"}
    call = [sys.executable, "-m", "gdlab", *arguments]
    refused = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert refused.returncode == 1 and "GDLAB_TARGETS" in refused.stderr
    trained = subprocess.run(
        call, cwd=tmp_path, env={**environment, "GDLAB_TARGETS": "my_problem"}, capture_output=True, text=True
    )
    assert trained.returncode == 0, trained.stderr
    reading = block_with("python", "open_run").replace("runs/rosenbrock", "runs/valley")
    done = python(reading + "\nprint(steps['loss'][0], len(searches['eta']))", tmp_path)
    assert done.returncode == 0, done.stderr
    first, evaluations = done.stdout.split()
    assert float(first) == pytest.approx(10 * (-2 - 0.14112000806) ** 2 + 0.9, rel=1e-5)
    assert int(evaluations) > 0


def test_every_command_names_things_that_exist():
    conf = REPOSITORY / "conf"
    for group, name in re.findall(
        r"\b(experiment|problem|optimizer|beta)=(\w+)", " ".join(blocks("console"))
    ):
        assert (conf / group / f"{name}.yaml").exists() or name == "valley", f"{group}={name}"
    for link in re.findall(r"\]\(([^)h][^)]*)\)", README):
        assert (REPOSITORY / link).exists(), link
