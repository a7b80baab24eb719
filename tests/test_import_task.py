"""`python -m gdlab task=import`: what it says, what it leaves behind, how it ends."""

import sys

import pytest

import gdlab
from gdlab import __main__ as door
from gdlab.commands import completion
from gdlab.commands.import_task import import_task, said
from gdlab.interchange import FORMATS
from gdlab.plan.builder import ConfigError
from tests.composing import composed
from tests.interchange.making import event_file, falling, scalars


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; returns (exit status or words, what it wrote to stderr)."""
    monkeypatch.chdir(tmp_path)
    # Hydra closes the handlers of all logs, and absl's then closes the stderr that it found: pytest's own.
    monkeypatch.setattr("absl.logging.PythonHandler.close", lambda self: None)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gdlab", *words])
        try:
            door.main()
            code = 0
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr().err

    return run


def test_a_sweep_of_tensorboard_becomes_runs_and_nothing_else(command, tmp_path):
    for rate in (0.1, 0.2):
        event_file(tmp_path / "logs" / f"lr={rate}", scalars(falling(range(8))))
    (tmp_path / "logs" / "broken").mkdir()
    (tmp_path / "logs" / "broken" / "events.out.tfevents.1").write_bytes(b"x" * 50)
    code, told = command("task=import", "from=logs", "into=runs/old")
    assert code == 0
    assert "gdlab: 2 runs imported, in runs/old (16 numbers read)" in told
    assert "gdlab: skipped: " in told and "logs/broken: events.out.tfevents.1: is no event file" in told
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["old"]
    runs = [facts["hyperparameters"]["config.lr"] for _, facts in gdlab.list_runs(tmp_path / "runs")]
    assert runs == [0.1, 0.2]
    code, told = command("task=import", "from=logs", "into=runs/old")
    assert code == 0 and "2 runs already there, in runs/old" in told


def test_options_reach_the_readers(command, tmp_path):
    (tmp_path / "a,b.csv").write_text("t,err,x\n0,1.5,1\n1,0.5,2\n")
    code, _ = command(
        "task=import", "from=a,b.csv", "format=csv", "into=runs/t", "import.step=t", "import.loss=err",
        "import.metrics=e*", "import.run=none",
    )  # fmt: skip
    run = gdlab.open_run(tmp_path / "runs" / "t")
    assert code == 0 and run.arrays == ("scalars",) and run.summary()["best_loss"] == 0.5
    code, _ = command("task=import", "from=a,b.csv", "import.step=t", "import.loss=err")
    assert code == 0 and len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "task=import needs what is to be imported: task=import from=lightning_logs"),
        (["from=nowhere"], "nowhere does not exist"),
        (["from=logs", "format=tensorbord"], "Did you mean 'tensorboard'?"),
        (["from=logs", "import.lss=a"], "import.lss: no option 'lss' in import; allowed: loss,"),
        (
            ["from=logs", "import.loss=none_such"],
            "nothing was imported\ngdlab: skipped|has no metric 'none_such'",
        ),
        (["from=logs", "import.loss=[a]"], "import.loss=['a']: a name is expected"),
        (["from=logs", "into=3"], "into=3: allowed: a path"),
        (["from=logs", "import.metrics=3"], "import.metrics=3: names are expected"),
    ],
)
def test_mistakes_end_in_a_line_and_leave_nothing(command, tmp_path, words, why):
    event_file(tmp_path / "logs", scalars(falling(range(3))))
    code, _ = command("task=import", *words)
    assert any(part in str(code) for part in why.split("|")), code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


def test_what_is_said_has_a_bound(tmp_path):
    for number in range(30):
        (tmp_path / "logs" / str(number)).mkdir(parents=True)
        (tmp_path / "logs" / str(number) / "events.out.tfevents.1").write_bytes(b"x" * 50)
    event_file(tmp_path / "logs" / "good", scalars(falling(range(3))))
    lines = said(gdlab.import_runs(tmp_path / "logs", tmp_path / "runs"))
    assert len(lines) == 22 and lines[-1] == "... and 10 more skipped"
    with pytest.raises(ConfigError, match="needs what is to be imported"):
        import_task(composed("train.steps=1"))


def test_the_shell_completes_the_formats():
    found = [word for word, _ in completion.candidates("gdlab task=import format=")]
    assert found == [f"format={name}" for name in FORMATS]


def test_a_training_reads_no_option_of_an_import(command, tmp_path):
    config = composed("problem=beale", "train.steps=1")
    assert {"from", "into", "format", "import"} <= set(gdlab.store.IGNORED_KEYS) and config["from"] is None
