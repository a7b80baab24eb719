"""A run from config to folder: recorded, continued to the same bits, refused where it must be."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gdlab import experiment, store
from gdlab.execution import cadence, session
from gdlab.plan.builder import ConfigError
from gdlab.records import STATUS
from tests.composing import composed
from tests.recording import assert_same_record, recorded

REPOSITORY = Path(__file__).resolve().parent.parent


def rosenbrock(**changes):
    config = composed("experiment=rosenbrock")
    config["train"].update(changes)
    return config


def digits(steps=24):
    config = composed("experiment=digits_cg", f"train.steps={steps}", "train.descent_length=4")
    config["record"]["checkpoint_seconds"] = 1e-3
    return config


def test_rosenbrock_is_recorded_as_the_paper_shows_it(tmp_path):
    run = experiment.run(rosenbrock(), tmp_path / "run", progress=False)
    assert run.state == "finished" and "line search can do no more" in run.reason
    steps = run.table("steps").columns
    assert 1e-17 <= steps["loss"][22] <= 1e-14
    assert (np.diff(steps["loss"][:-1]) < 0).all()
    assert STATUS[int(steps["status"][-2])] == "line_search_failed"
    np.testing.assert_array_equal(steps["loss_end"][:-1], steps["loss"][1:])
    evaluations = run.table("evaluations", 13, 14).columns
    assert evaluations["phase"].tolist() == [1, 1, 1, 2, 2, 2, 2, 2, 2, 2]
    assert evaluations["kind"].tolist() == [1, 1, 1, 2, 2, 2, 2, 2, 1, 0]
    path = run.array("path")
    assert path.shape == (len(steps["loss"]), 2) and path.dtype == np.float64
    np.testing.assert_array_equal(path[0], [-1.2, 1.0])


def test_a_finished_run_is_not_trained_again(tmp_path, capsys):
    experiment.run(rosenbrock(), tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    capsys.readouterr()
    run = experiment.run(rosenbrock(), tmp_path / "run")
    assert run.state == "finished"
    assert "not trained again" in capsys.readouterr().err
    assert before == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()
    }


def test_another_config_in_the_same_folder_is_refused(tmp_path):
    experiment.run(rosenbrock(), tmp_path / "run", progress=False)
    before = recorded(tmp_path / "run")
    other = rosenbrock()
    other["seed"] = 5
    with pytest.raises(store.ConfigMismatch, match="seed"):
        experiment.run(other, tmp_path / "run", progress=False)
    after = recorded(tmp_path / "run")
    assert all((before[name] == after[name]).all() or name == "ls_eval" for name in before)


def test_how_often_something_is_published_is_not_another_config(tmp_path):
    experiment.run(rosenbrock(), tmp_path / "run", progress=False)
    other = rosenbrock()
    other["record"] |= {"commit_seconds": 9.0, "checkpoint_seconds": 9.0, "sync": True}
    assert experiment.run(other, tmp_path / "run", progress=False).state == "finished"


@pytest.mark.parametrize("make", [rosenbrock, digits], ids=["rosenbrock", "digits"])
def test_interrupted_and_continued_equals_uninterrupted(make, tmp_path, monkeypatch):
    config = make()
    experiment.run(config, tmp_path / "whole", progress=False)
    chunks = iter(range(2))
    train_chunk = session.Session._chunk

    def chunk_then_interrupt(session, count):
        result = train_chunk(session, min(count, 3))
        if next(chunks, None) is None:
            signal.raise_signal(signal.SIGINT)
        return result

    monkeypatch.setattr(session.Session, "_chunk", chunk_then_interrupt)
    run = experiment.run(config, tmp_path / "cut", progress=False)
    assert run.state == "interrupted" and 0 < run.rows("scalars") < 24
    monkeypatch.setattr(session.Session, "_chunk", train_chunk)
    run = experiment.run(config, tmp_path / "cut", progress=False)
    assert run.state == "finished"
    assert_same_record(tmp_path / "whole", tmp_path / "cut")


def train_in_process(folder, *overrides):
    command = [sys.executable, "-m", "gdlab", "experiment=digits_cg", *overrides, f"hydra.run.dir={folder}"]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)


def test_killed_at_random_moments_and_started_again_equals_uninterrupted(tmp_path):
    """kill -9 twice on the way; tests/kill_loop.py does the same for as long as one likes."""
    overrides = (
        "train.steps=400",
        "train.descent_length=4",
        "record.checkpoint_seconds=0.2",
        "record.commit_seconds=0.05",
    )
    whole = train_in_process(tmp_path / "whole", *overrides)
    errors = whole.communicate(timeout=300)[1]
    assert whole.returncode == 0, errors
    rng = random.Random(0)
    folder = tmp_path / "killed"
    kills = 0
    for _ in range(2):
        process = train_in_process(folder, *overrides)
        while process.poll() is None and not (folder / "run.json").exists():
            process.poll() or threading.Event().wait(0.02)
        threading.Event().wait(rng.uniform(0, 0.8))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert kills
    process = train_in_process(folder, *overrides)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    assert_same_record(tmp_path / "whole", folder)


def test_ctrl_c_ends_cleanly_and_the_same_command_continues(tmp_path):
    folder = tmp_path / "run"
    overrides = ("train.steps=100000", "train.descent_length=4")
    process = train_in_process(folder, *overrides)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (folder / "log.zarr" / "zarr.json").exists() and store.open_run(folder).rows("scalars") > 0:
            break
        threading.Event().wait(0.05)
    os.kill(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130, errors
    assert "the same command continues" in errors
    run = store.open_run(folder)
    assert run.state == "interrupted"
    assert run.checkpoints[-1] == run.rows("scalars") > 0


def test_two_trainings_into_one_folder_are_refused(tmp_path):
    folder = tmp_path / "run"
    config = digits()
    begun = session.session_of(config, folder)
    try:
        with pytest.raises(store.RunLocked, match=str(os.getpid())):
            experiment.run(config, folder, progress=False)
    finally:
        begun.members[0].writer.close()


def test_a_start_that_is_not_finite_is_refused_and_nothing_is_written(tmp_path):
    config = rosenbrock()
    config["problem"]["start"] = [1e300, 1e300]
    with pytest.raises(ConfigError, match="not finite"):
        experiment.run(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_divergence_is_recorded_as_a_status(tmp_path):
    config = composed("optimizer=sgd", "optimizer.learning_rate=1.0", "train.steps=50")
    run = experiment.run(config, tmp_path / "run", progress=False)
    assert run.state == "diverged" and "not finite" in run.reason
    assert STATUS[int(run.table("steps").columns["status"][run.rows("scalars") - 1])] == "diverged"


def test_a_sweep_goes_on_after_a_divergence(tmp_path):
    command = [sys.executable, "-m", "gdlab", "-m", "optimizer=sgd", "optimizer.learning_rate=1.0,1e-4"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*command, "train.steps=9"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = dict(store.list_runs(tmp_path / "runs"))
    assert sorted(summary["state"] for summary in found.values()) == ["diverged", "finished"]


def test_a_full_disk_loses_nothing_and_the_same_command_continues(tmp_path, monkeypatch):
    config = digits()
    experiment.run(config, tmp_path / "whole", progress=False)
    write, left = os.pwrite, iter(range(30))

    def until_full(*arguments):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(cadence, "FIRST", 4)
        patch.setattr(cadence.Pace, "ran", lambda *told: None)
        patch.setattr(os, "pwrite", until_full)
        with pytest.raises(store.DiskFull):
            experiment.run(config, tmp_path / "run", progress=False)
    assert store.open_run(tmp_path / "run").state != "finished"
    experiment.run(config, tmp_path / "run", progress=False)
    assert_same_record(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(precision="float16"), "float32, float64"),
        (lambda c: c.update(seed=-1), "seed=-1"),
        (lambda c: c.pop("precision"), "the config lacks precision"),
        (lambda c: c["record"].pop("reach"), "record lacks reach"),
        (lambda c: c["train"].update(steps=0), "train.steps=0"),
        (lambda c: c["train"].update(batch_size="many"), "train.batch_size='many'"),
        (lambda c: c["record"].update(path="sometimes"), "record.path='sometimes'"),
        (lambda c: c["record"].update(commit_seconds=0), "record.commit_seconds=0"),
        (lambda c: c["optimizer"]["line_search"].update(sigma=2.0), "sigma=2"),
        (lambda c: c["optimizer"]["line_search"].update(sigmo=0.1), "Did you mean 'sigma'"),
        (lambda c: c["problem"].update(_target_="gdlab.problems.rosenbrok"), "Did you mean 'rosenbrock'"),
        (lambda c: c["problem"].update(_target_="os.system"), "GDLAB_TARGETS"),
        (
            lambda c: c["problem"].update(_target_="gdlab.data.idx.os.system"),
            "cannot be imported|not a function",
        ),
    ],
)
def test_wrong_values_are_named_and_nothing_is_written(change, message, tmp_path):
    config = rosenbrock()
    change(config)
    with pytest.raises(ConfigError, match=message):
        experiment.run(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("experiment=rosenbrok", "Did you mean 'rosenbrock'"),
        ("linesearch.sigm=0.1", "Did you mean 'sigma'"),
        ("optimzer=conjugate_gradient", "Did you mean 'optimizer'"),
        ("linesearch.sigma=3", "linesearch.sigma=3: allowed: a number > 0, < 1"),
        ("steps", "option=value"),
    ],
)
def test_the_command_line_names_what_is_wrong(argument, said, tmp_path):
    command = [sys.executable, "-m", "gdlab", argument]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.rglob("*.json")) == []


def test_a_hundred_thousand_iterations_are_recorded_in_whole_chunks(tmp_path):
    config = composed("optimizer=sgd", "optimizer.learning_rate=1e-5", "train.steps=100000")
    config["record"]["path"] = False
    run = experiment.run(config, tmp_path / "run", progress=False)
    assert run.state == "finished" and run.rows("scalars") == 100_000
    loss = run.table("steps", columns=("loss",)).columns["loss"]
    assert len(loss) == 100_001 and loss[-1] < loss[0]
