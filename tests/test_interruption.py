"""Which signals end a training cleanly, and which are left to whom they belong."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gdlab import store
from gdlab.execution.interruption import ENDING, handled, interruptible

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = [getattr(signal, name) for name in ENDING]


@pytest.fixture
def handlers():
    """Puts the handlers back that a test changes."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_asks_the_second_ends(number, handlers):
    said = []
    signal.signal(number, signal.SIG_DFL if number == signal.SIGUSR1 else lambda *some: said.append(some))
    before = signal.getsignal(number)
    with interruptible() as stop:
        signal.raise_signal(number)
        assert stop.is_set() and not said
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_inherited_as_ignored_stays_so_but_for_sigterm(number, handlers):
    signal.signal(number, signal.SIG_IGN)
    with interruptible() as stop:
        signal.raise_signal(number)
        assert stop.is_set() == (number == signal.SIGTERM)
    assert signal.getsignal(number) is signal.SIG_IGN


def test_a_schedulers_own_handler_is_left_alone(handlers):
    got = []
    signal.signal(signal.SIGUSR1, lambda *some: got.append(some))
    assert signal.SIGUSR1 not in handled()
    with interruptible() as stop:
        signal.raise_signal(signal.SIGUSR1)
    assert got and not stop.is_set()


def test_threads_handle_nothing():
    def enter():
        with interruptible() as stop:
            found.append(stop.is_set())

    found, before = [], signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [False] and signal.getsignal(signal.SIGTERM) is before


def test_a_closed_terminal_ends_a_training_unless_under_nohup(tmp_path):
    """SIGHUP to a training whose SIGHUP is ignored does nothing; the SIGTERM after it ends it cleanly."""
    command = [sys.executable, "-m", "gdlab", "experiment=digits_cg", "train.steps=100000"]
    command += ["train.descent_length=4", f"hydra.run.dir={tmp_path / 'run'}"]
    # A shell sets the signal: a fork of this process would be one of JAX's threads, too.
    under = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]
    process = subprocess.Popen([*under, *command], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    rows = _rows_after(tmp_path / "run", 0)
    os.kill(process.pid, signal.SIGHUP)
    assert _rows_after(tmp_path / "run", rows) > rows and process.poll() is None
    os.kill(process.pid, signal.SIGTERM)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 130 and "the same command continues" in errors
    run = store.open_run(tmp_path / "run")
    assert run.state == "interrupted" and run.checkpoints[-1] == run.rows("scalars") > 0


AT_THE_FIRST_LINE = """
import signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "gdlab.__main__":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
"""


@pytest.mark.parametrize("started", ["module", "script"])
def test_ctrl_c_before_the_first_line_of_the_program_is_one_line(tmp_path, started):
    """While Python looks for `gdlab.__main__`, when of gdlab no more than its name is imported."""
    (tmp_path / "sitecustomize.py").write_text(AT_THE_FIRST_LINE)
    command = [sys.executable, "-m", "gdlab", "problem=beale"]
    if started == "script":
        (tmp_path / "gdlab").write_text("from gdlab.__main__ import main\nmain()\n")
        command[1:3] = [str(tmp_path / "gdlab")]
    # As in a terminal: a shell that puts a job into the background has SIGINT ignored.
    default = "signal.signal(signal.SIGINT, signal.SIG_DFL)"
    begin = f"import os, signal, sys; {default}; os.execv(sys.executable, {command!r})"
    ended = subprocess.run(
        [sys.executable, "-S", "-c", begin], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    said = "gdlab: interrupted before there was anything to keep\n"
    assert (ended.returncode, ended.stderr, ended.stdout) == (130, said, "")


def test_a_program_that_imports_gdlab_keeps_its_own_ctrl_c():
    program = "import signal, gdlab; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    begin = f"signal.signal(signal.SIGINT, signal.default_int_handler); {program}"
    ended = subprocess.run([sys.executable, "-c", f"import signal; {begin}"], capture_output=True, text=True)
    assert ended.stdout == "True\n"


def _rows_after(folder, before):
    """How many iterations are recorded, once they are more than `before`."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if (folder / "log.zarr" / "zarr.json").exists():
            rows = store.open_run(folder).rows("scalars")
            if rows > before:
                return rows
        threading.Event().wait(0.05)
    return before
