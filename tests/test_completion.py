"""Completion of commands: what is offered, and that real shells offer it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gdlab.commands.completion import LINE, answer, candidates
from gdlab.plan.builder import ConfigError

ROOT = Path(__file__).resolve().parents[1]
GDLAB = [sys.executable, "-m", "gdlab"]

# What is forked becomes a shell at once: no thread of JAX is there to be waited for.
FORKS = pytest.mark.filterwarnings(
    "ignore:os.fork:RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def words(line):
    return [word for word, _ in candidates(line)]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("gdlab experiment=galaxy_b", ["experiment=galaxy_batch"]),
        (
            "gdlab optimizer=ada",
            ["optimizer=adadelta", "optimizer=adagrad", "optimizer=adam", "optimizer=adamax"],
        ),
        ("gdlab train.st", ["train.steps="]),
        ("gdlab tr", ["train."]),
        ("gdlab task=e", ["task=ensemble", "task=extend"]),
        ("gdlab optimizer=adam optimizer.b", ["optimizer.b1=", "optimizer.b2="]),
        ("gdlab experiment=digits_momentum optimizer.m", ["optimizer.momentum="]),
        ("gdlab experiment=cifar10_stages schedule.f", ["schedule.factor="]),
        ("gdlab experiment=digits_cg linesearch.si", ["linesearch.sigma="]),
        ("gdlab precision=", ["precision=float32", "precision=float64"]),
        ("gdlab train.drop_last=f", ["train.drop_last=false"]),
        ("gdlab --ver", ["--version"]),
        ("gdlab -m hydra/l", ["hydra/launcher="]),
        ("gdlab -m hydra/launcher=v", ["hydra/launcher=vmap"]),
        ("gdlab +probe@probes.end=conf", ["+probe@probes.end=confusion"]),
        ("gdlab record=d", ["record=default", "record=dumps"]),
        ("gdlab run=", []),
        ("gdlab --config-dir ", []),
        ("gdlab nothing_of_the_kind", []),
        ("python -m gdlab problem=bea", ["problem=beale"]),
        ("", []),
    ],
)
def test_what_is_offered(line, offered):
    if line:
        assert words(line) == offered
    else:
        assert "train." in words(line) and "experiment=" in words(line)


def test_everything_offered_says_what_it_does():
    said = dict(candidates("gdlab "))
    assert all(said.values())
    assert all(says for _, says in candidates("gdlab experiment="))


def test_own_configurations_are_offered(tmp_path):
    (tmp_path / "problem").mkdir()
    (tmp_path / "problem" / "valley.yaml").write_text("# Mine.\n_target_: mine.valley\n")
    assert words(f"gdlab --config-dir {tmp_path} problem=va") == [
        "problem=valley",
        "problem=variably_dimensioned",
    ]


@pytest.mark.parametrize("word", ["install=fish", "install", "query=", "x=bash"])
def test_other_words_are_refused(word):
    with pytest.raises(ConfigError, match="allowed: install"):
        answer(word, ["gdlab"])


# Presses TAB as bash does: calls the function that `complete` has, with the variables of readline.
BASH = r"""
eval "$("$@" -sc install=bash)"
COMP_LINE=$LINE COMP_POINT=${#LINE}
_gdlab_complete
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("python -m gdlab experiment=galaxy_m", ["galaxy_minibatch"]),  # behind the "=", as readline puts it
        ("python -m gdlab train.batch", ["train.batches=", "train.batch_size="]),
        ("python -m pip experiment=galaxy_m", [""]),
        ("python -m gdlab 'it''s", [""]),
    ],
)
def test_in_bash(line, offered):
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", *GDLAB],
        env={**os.environ, "LINE": line, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == offered, done.stderr


@FORKS
def test_in_an_interactive_bash(tmp_path):
    """By a real terminal: TAB completes the word, ENTER runs it, and what ran is read."""
    answered = terminal(["bash", "--norc", "-i"], f'eval "$({" ".join(GDLAB)} -sc install=bash)"', tmp_path)
    assert "GOT experiment=galaxy_minibatch" in answered, answered


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@FORKS
def test_in_an_interactive_zsh(tmp_path):
    answered = terminal(["zsh", "-f", "-i"], f'eval "$({" ".join(GDLAB)} -sc install=zsh)"', tmp_path)
    assert "GOT experiment=galaxy_minibatch" in answered, answered


def terminal(shell, install, folder):
    """What a shell in a terminal prints, of which a function stands for python that echoes its arguments."""
    import pty
    import select
    import time

    process, descriptor = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.environ |= {"PYTHONPATH": str(ROOT), "TERM": "dumb", "PS1": "> "}
        os.execvp(shell[0], shell)
    seen = ""

    def until(text, seconds=60):
        nonlocal seen
        deadline = time.monotonic() + seconds
        while text not in seen and time.monotonic() < deadline:
            if select.select([descriptor], [], [], 0.2)[0]:
                try:
                    seen += os.read(descriptor, 65536).decode(errors="replace")
                except OSError:
                    break
        assert text in seen, seen

    def type_(text):
        os.write(descriptor, text.encode())

    try:
        name = Path(sys.executable).name
        type_(f"{install}\n{name}() {{ echo GOT $3; }}; echo rea''dy\n")
        until("ready\r")
        type_(f"{name} -m gdlab experiment=galaxy_m\t")
        until("galaxy_minibatch")
        type_("\n")
        until("GOT experiment=galaxy_m")
        return seen
    finally:
        os.close(descriptor)
        os.kill(process, 9)
        os.waitpid(process, 0)


def test_it_answers_without_hydra_and_jax():
    code = "import sys, gdlab.__main__ as door; sys.argv = ['gdlab', '-sc', 'query=bash']; door.main()\n"
    code += "assert not {'hydra', 'jax', 'numpy', 'yaml'} & set(sys.modules)"
    environment = {**os.environ, LINE: "gdlab problem=bea"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith("problem=beale\tBeale"), done.stdout + done.stderr
