"""What the command line answers: one line with what is wrong and what is right; nothing is left behind."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gdlab import __main__ as door
from gdlab import __version__
from gdlab.commands import overrides as command_line
from gdlab.messages import MOST_LINE, described, one_line, readable
from gdlab.plan.builder import ConfigError

ROOT = Path(__file__).resolve().parents[1]
OWN = """
import jax.numpy as jnp
import numpy as np
from gdlab.data import Dataset
from gdlab.problems import from_function
from gdlab.records import Problem

def pair(): return from_function(lambda p: (jnp.sum(p**2), 1.0), start=[1.0, 2.0])
def vector(): return from_function(lambda p: p**2, start=[1.0, 2.0])
def number(): return 3.0
def nothing(): return Problem(lambda key: {}, lambda p, batch, *, key=None: jnp.float32(0))
def total(p, batch, *, key=None): return jnp.sum(p["w"])
def whole(): return Problem(lambda key: {"w": jnp.zeros(3, jnp.int32)}, total)
def half(): return Problem(lambda key: {"w": jnp.ones(3, jnp.bfloat16)}, total)
def early(): return 1 / 0
def late(): return from_function(lambda p: unknown * p.sum(), start=[1.0, 2.0])
def shapes(): return from_function(lambda p: jnp.sum(p @ jnp.ones((3, 2))), start=[1.0, 2.0])

def _data(x, y): return Dataset("own", {"x": x, "y": y}, None, ("a", "b"))
def columns(): return _data(np.ones((6, 4), np.float32), np.zeros((6, 1), np.int32))
def integers(): return _data(np.ones((6, 4), np.int64), np.zeros(6, np.int32))
def many(): return _data(np.ones((6, 4), np.float32), np.full(6, 7))
def short(): return _data(np.ones((6, 4), np.float32), np.zeros(5, np.int32))
"""


@pytest.fixture
def gdlab(tmp_path, monkeypatch, capfd):
    """`gdlab(*arguments)` in this process and an empty folder: (exit status, lines on stderr)."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    # Hydra closes the handlers of all logs, and absl's then closes the stderr that it found: pytest's own.
    monkeypatch.setattr("absl.logging.PythonHandler.close", lambda self: None)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gdlab", *arguments])
        capfd.readouterr()
        status = 0
        try:
            door.main()
        except SystemExit as ended:
            status = ended.code
            if isinstance(status, str):
                print(status, file=sys.stderr)
                status = 1
        return status or 0, capfd.readouterr().err.splitlines()

    return call


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The folder of configurations of one's own, over a module with everything that can be wrong."""
    (tmp_path / "own_things.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GDLAB_TARGETS", "own_things")
    for group, names in (
        ("problem", ("pair", "vector", "number", "nothing", "whole", "half", "early", "late", "shapes")),
        ("dataset", ("columns", "integers", "many", "short")),
    ):
        folder = tmp_path / "conf" / group
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.yaml").write_text(f"_target_: own_things.{name}\n")
    return str(tmp_path / "conf")


def refused(answer, *words):
    """One line that has the words, nothing else, and nothing in the folder."""
    status, lines = answer
    assert status == 1, lines
    assert len(lines) == 1 and lines[0].startswith("gdlab: "), lines
    assert all(word in lines[0] for word in words), lines[0]
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("experiment=rosenbrok",), ["Did you mean 'rosenbrock'"]),
        (("experiment=digits_sgd", "model=null"), ["model=NAME"]),
        (("experiment=digits_sgd", "dataset=null"), ["needs data", "dataset=NAME"]),
        (("experiment=digits_sgd", "model.features=[8,9]"), ["shape (1, 9)", "model.features=[8,10]"]),
        (("experiment=digits_sgd", "model.features=[]"), ["features=[]", "at least one"]),
        (
            ("experiment=digits_sgd", "class_shares.path=x"),
            ["no class_shares is chosen", "class_shares=NAME"],
        ),
        (("experiment=rosenbrock", "seed=a=b"), ["seed=a=b cannot be read", "in quotes"]),
        (("experiment=digits_sgd", "model.features=[8,9"), ["model.features=[8,9 cannot be read"]),
        (("experiment=rosenbrock", "name=null"), ["name=null", "leave it out"]),
        (("experiment=rosenbrock", "name=''"), ["name=''", "leave it out"]),
        (("experiment=digits_sgd", "problem.weight_decay=x"), []),
        (("experiment=digits_sgd", "record.reach=x"), []),
        (("experiment=rosenbrock", "train=null"), ["train lacks steps"]),
        (("experiment=rosenbrock", "optimizer=null"), ["optimizer=null", "adam"]),
        (("experiment=rosenbrock", "seed=1.5"), ["seed=1.5", "an integer >= 0"]),
        (("experiment=rosenbrock", f"seed={1 << 63}"), [f"seed={1 << 63}", f"below {1 << 63}"]),
        (("task=stop", "run=7"), ["run=7: allowed: a path", "in quotes"]),
        (("task=pack", "run=a", "output=7"), ["output=7: allowed: a path"]),
        (("task=probe", "run=[1]", "probe=segments"), ["run=[1]: allowed: a path"]),
        (("experiment=rosenbrock", "problem.start=[1,a]"), ["problem.start", "a number"]),
        (("--config-dir", "nowhere", "experiment=rosenbrock"), ["nowhere", "no such folder"]),
        (("--config-dir", str(ROOT / "conf"), "experiment=rosenbrok"), ["Did you mean 'rosenbrock'"]),
        (("--cfg", "job", "experiment=rosenbrok"), ["Did you mean 'rosenbrock'"]),
        (("-m", "task=ensemble", "seed=0,1"), ["leave -m out"]),
        (("task=probe", "run=runs/a,b=1", "probe=segments"), ["runs/a,b=1", "does not exist"]),
        (("task=prob",), ["Did you mean 'probe'"]),
        (
            ("task=extend", "run=a", "optimizer.learning_rate=1"),
            ["learning_rate: a run is extended", "alone"],
        ),
        (("experiment=rosenbrock", "name=" + "x" * 100_000, "seed=-1"), ["seed=-1"]),
    ],
    ids=lambda value: " ".join(value)[:60],
)
def test_what_is_wrong_is_one_line(gdlab, arguments, words):
    refused(gdlab(*arguments), *words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pair", ["error is tuple", "one number"]),
        ("vector", ["shape (2,)", "one number"]),
        ("number", ["returned a float", "from_function"]),
        ("nothing", ["no parameters"]),
        ("whole", ["['w'] is int32", "float32"]),
        ("half", ["['w'] is bfloat16", "float32"]),
        ("early", ["ZeroDivisionError", "own_things.py, line", "in early"]),
        ("late", ["'unknown' is not defined", "own_things.py, line"]),
        ("shapes", ["own_things.py, line"]),
    ],
)
def test_a_problem_of_ones_own_is_refused_with_its_line(gdlab, own, name, words):
    refused(gdlab("--config-dir", own, f"problem={name}"), *words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("columns", ["shape (6, 1)", "shape (n,)"]),
        ("integers", ["int64", "float32"]),
        ("many", ["from 7 to 7", "0 to 1"]),
        ("short", ["different lengths"]),
    ],
)
def test_data_of_ones_own_are_refused_in_words(gdlab, own, name, words):
    chosen = ("problem=classification", f"dataset={name}", "model=mlp", "model.features=[2]")
    refused(gdlab("--config-dir", own, *chosen), *words)


def test_an_ensemble_refuses_as_a_training_does(gdlab, own):
    status, lines = gdlab("--config-dir", own, "task=ensemble", "problem=vector", "seed=0,1")
    failed = [line for line in lines if "failed: " in line]
    assert status == 1 and len(failed) == 2 and all("shape (2,)" in line for line in failed)
    assert not list(Path().iterdir())


def test_a_sweep_that_fails_leaves_no_folders(gdlab):
    status, lines = gdlab("-m", "experiment=rosenbrock", "seed=-1,-2")
    assert status == 1 and "Traceback" not in "\n".join(lines)
    assert [f"seed--{n}" in line for n, line in zip((1, 2), lines, strict=False)] == [True, True]
    assert not list(Path().iterdir())


def test_a_place_that_cannot_be_written_is_named(gdlab, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "runs")

    monkeypatch.setattr(Path, "mkdir", refuse)
    refused(gdlab("experiment=rosenbrock"), "runs: Read-only file system", "hydra.run.dir=FOLDER")


@pytest.mark.parametrize("place", ["taken", "taken/below"])
def test_a_file_where_a_folder_is_to_be_made(gdlab, place):
    Path("taken").write_text("")
    status, lines = gdlab("experiment=rosenbrock", f"hydra.run.dir={place}")
    assert status == 1 and len(lines) == 1 and "a file is in its place" in lines[0]
    assert [path.name for path in Path().iterdir()] == ["taken"]


def test_the_version_is_gdlabs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gdlab", "--version"])
    door.main()
    assert capsys.readouterr().out.split() == ["gdlab", __version__]


def test_whole_tracebacks_are_there_for_who_asks(gdlab, own, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ZeroDivisionError):
        gdlab("--config-dir", own, "problem=early")


@pytest.mark.parametrize(
    ("given", "implied"),
    [
        (["train.batch_size=64"], ["train.batches=1"]),
        (["train.batches=4"], ["train.batch_size=null"]),
        (["train.batches=4", "train.batch_size=64"], []),
        (["seed=1"], []),
    ],
)
def test_a_size_of_batches_replaces_a_number_of_them(given, implied):
    assert command_line.parsed(given).overrides == [*given, *implied]


def test_choices_of_nothing_and_texts_need_no_quotes(tmp_path):
    (tmp_path / "a,b").mkdir()
    texts = ["schedule=null,cosine", f"run={tmp_path}/a,b", "output=x=1.csv", "name='a b'", "run=plain"]
    assert command_line.parsed(texts).overrides == [
        "schedule=none,cosine", f"run='{tmp_path}/a,b'", "output='x=1.csv'", "name='a b'", "run=plain"
    ]  # fmt: skip


def test_flags_may_stand_between_options():
    found = command_line.parsed(["a=1", "--config-dir", "my_conf", "b=2", "-m"])
    assert (found.flags, found.overrides) == (["--config-dir", "my_conf", "-m"], ["a=1", "b=2"])
    assert found.config_dir == "my_conf" and found.several


def test_messages_are_bounded_and_readable():
    assert readable("a\x1b[2Jb\nc") == "a\\x1b[2Jb\nc" and one_line("a\n  b") == "a b"
    long = readable(f"seed='{'x' * 1_000_000}': allowed: an integer")
    assert len(long) < MOST_LINE and "(1,000,028 characters)" in long and long.endswith("allowed: an integer")
    assert len(readable("x\n" * 1000).splitlines()) == 60
    assert described(PermissionError(13, "Permission denied", "/a/b")) == "/a/b: Permission denied"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_everything_is_being_imported(number, tmp_path):
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "import sys, runpy; sys.argv[1:] = ['experiment=digits_sgd', 'train.steps=100000']\n"
    code += "import hydra, os, gdlab.__main__ as door; real = door._compose_and_run\n"
    code += f"door._compose_and_run = lambda: (os.kill(os.getpid(), {int(number)}), real())\ndoor.main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 128 + number and "Traceback" not in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


def test_an_option_that_a_choice_of_the_sweep_has_is_known():
    command = ["experiment=digits_sgd,digits_adam", "optimizer.learning_rate=0.01,0.1"]
    command_line.check(command_line.parsed(["-m", *command]))
    with pytest.raises(ConfigError, match="a run is extended in its number of iterations alone"):
        command_line.check(command_line.parsed(["task=extend", "run=x", "optimizer.learning_rate=0.1"]))
    with pytest.raises(ConfigError, match=r"no option 'learning_rat' in optimizer.*'learning_rate'"):
        command_line.check(command_line.parsed(["-m", command[0], "optimizer.learning_rat=0.01,0.1"]))
