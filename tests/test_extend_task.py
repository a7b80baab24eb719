"""A finished run trained on in its folder, to the bits of one that was as long from the beginning."""

import os
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from gdlab import experiment, store
from gdlab.commands.extend_task import extend, extend_task
from gdlab.execution import session
from gdlab.execution.replay import Replay
from gdlab.plan.builder import ConfigError
from gdlab.store import extension, manifest
from tests import recording
from tests.composing import composed
from tests.recording import assert_same_record, record

RECORDINGS = {
    "mini-batches in descents": ("experiment=digits_cg", "train.descent_length=4", "record.validate=6"),
    "Adam": ("experiment=digits_adam", "record=dumps", "record.dumps=6", "record.validate=6"),
    "whole batch": ("experiment=galaxy_batch",),
}


@pytest.fixture(autouse=True)
def _precision():
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("name", RECORDINGS)
def test_it_is_the_run_that_was_as_long_from_the_beginning(tmp_path, name):
    overrides = RECORDINGS[name]
    record(tmp_path / "long", *overrides, "train.steps=24")
    record(tmp_path / "run", *overrides, "train.steps=12")
    ends = [extend(tmp_path / "run", steps, progress=False) for steps in (18, 24)]
    assert [run.state for run in ends] == ["finished"] * 2
    stages = [(start, config["train"]["steps"]) for start, config in ends[1].stages]
    assert stages == [(0, 12), (12, 18), (18, 24)]
    assert ends[1].config["train"]["steps"] == 24
    assert dict(store.list_runs(tmp_path))["run"]["hyperparameters"]["train.steps"] == 24
    long, run = recording.recorded(tmp_path / "long"), recording.recorded(tmp_path / "run")
    for array in ("scalars", "ls_eval", "ls_end", *filter(long.__contains__, ("path", "layers"))):
        np.testing.assert_array_equal(long[array], run[array], err_msg=array)
    replay = Replay(tmp_path / "run")
    assert len(list(replay.steps(10, 20))) == 10
    assert (replay.report().compared, replay.report().different) == (20, 0)


def test_the_first_of_several_descents_is_replayed_by_the_program_of_one(tmp_path):
    run = record(tmp_path / "run", "experiment=digits_cg", "train.descent_length=8", "train.steps=8")
    assert not Replay(run.path).assembly.several_descents
    run = extend(run.path, 20, progress=False)
    replay = Replay(run.path)
    assert replay.assembly.several_descents
    assert [step.iteration for step in replay.steps(0, 20)] == list(range(20))
    report = replay.report()
    assert (report.compared, report.different) == (20, 0)
    first, later = (stage.training for stage in replay._stages)
    assert first is not later


def test_what_is_interrupted_goes_on_by_the_same_command_alone(tmp_path, monkeypatch):
    config = composed("experiment=digits_cg", "train.steps=12", "record.validate=6")
    folder = tmp_path / "run"
    experiment.run(config, folder, progress=False)
    chunk = session.Session._chunk

    def interrupted(running, count):
        result = chunk(running, min(count, 3))
        os.kill(os.getpid(), signal.SIGINT)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "_chunk", interrupted)
        run = extend(folder, 24, progress=False)
    assert run.state == "interrupted" and 12 < run.rows("scalars") < 18
    with pytest.raises(store.ConfigMismatch, match=r"to 24 iterations and is interrupted.*steps=24"):
        experiment.run(config, folder, progress=False)
    reached = run.rows("scalars")
    with pytest.raises(ConfigError, match=f"more than the {reached} iterations"):
        extend(folder, reached, progress=False)
    # Its end may be another, such as after a slip; then it is extended again.
    assert extend(folder, 18, progress=False).rows("scalars") == 18
    assert [start for start, _ in store.open_run(folder).stages] == [0, 12, reached]
    assert extend(folder, 24, progress=False).state == "finished"
    record(tmp_path / "long", "experiment=digits_cg", "train.steps=24", "record.validate=6")
    assert_same_record(folder, tmp_path / "long")
    # Both commands have been carried out.
    assert experiment.run(config, folder, progress=False).rows("scalars") == 24
    assert extend(folder, 24, progress=False).generation == 3


def test_killed_before_its_commit_it_has_changed_nothing(tmp_path, monkeypatch):
    folder = record(tmp_path / "run", "experiment=digits_cg", "train.steps=12").path
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(manifest, "write", lambda *some: (_ for _ in ()).throw(KeyboardInterrupt))
        extension.extend(folder, {"train.steps": 99}, "because")
    run = store.open_run(folder)
    assert (run.state, run.config["train"]["steps"], len(run.stages)) == ("finished", 12, 1)
    assert len(extend(folder, 16, progress=False).stages) == 2


def test_what_a_damaged_state_cuts_belongs_to_the_extension(tmp_path):
    """The latest state is damaged, the one before is of iteration 8: from there on, the longer run trains."""
    overrides = ("experiment=digits_cg", "train.steps=12", "train.descent_length=4")
    folder = record(tmp_path / "run", *overrides, checkpoint_seconds=1e-3).path
    steps = store.open_run(folder).checkpoints
    assert len(steps) > 1 and steps[-1] == 12
    for file in (folder / "checkpoints" / "12").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    run = extend(folder, 24, progress=False)
    assert [start for start, _ in run.stages] == [0, steps[-2]]
    record(tmp_path / "long", *overrides[:1], "train.steps=24", *overrides[2:])
    assert_same_record(folder, tmp_path / "long")


def test_what_cannot_be_extended_is_refused_and_left_as_it_is(tmp_path):
    refused = {
        "schedule": (("experiment=digits_sgd", "schedule=cosine", "train.steps=6"), 12, "laid over all"),
        "ended": (("experiment=rosenbrock",), 200, "ended by itself, the line search can do no more"),
        "shorter": (("experiment=digits_sgd", "train.steps=6"), 6 - 1, "allowed: more than the 6 iterations"),
        "text": (("experiment=digits_sgd", "train.steps=6"), "9", "more than the 6 of"),
        "true": (("experiment=digits_sgd", "train.steps=6"), True, "more than the 6 of"),
        "huge": (("experiment=digits_sgd", "train.steps=6"), 10**400, "more than the 6 of"),
        "diverged": (("experiment=digits_sgd", "optimizer.learning_rate=1e30"), 900, "is diverged after"),
    }  # fmt: skip
    for name, (overrides, steps, message) in refused.items():
        folder = record(tmp_path / name, *overrides).path
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with pytest.raises(ConfigError, match=message):
            extend(folder, steps, progress=False)
        assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}, name
    with pytest.raises(store.NotARun, match="does not exist"):
        extend(tmp_path / "nothing", 5, progress=False)


@pytest.mark.parametrize("damage", ["rows", "states", "no states", "a link"])
def test_what_is_damaged_is_refused_and_stays_finished(tmp_path, damage):
    folder = record(tmp_path / "run", "experiment=digits_adam", "train.steps=6").path
    if damage == "rows":
        (chunk,) = (folder / "log.zarr" / "scalars").glob("c.*")
        data = bytearray(chunk.read_bytes())
        data[3] ^= 1
        chunk.write_bytes(data)
    elif damage == "states":
        for file in (folder / "checkpoints").rglob("*"):
            if file.is_file():
                file.write_bytes(b"")
    else:
        shutil.move(folder / "checkpoints", tmp_path / "elsewhere")
        if damage == "a link":
            (folder / "checkpoints").symlink_to(tmp_path / "elsewhere")
    with pytest.raises((ConfigError, store.StoreError)):
        extend(folder, 9, progress=False)
    run = store.open_run(folder)
    assert (run.state, run.config["train"]["steps"], run.rows("scalars")) == ("finished", 6, 6)


def test_a_member_of_a_group_is_refused(tmp_path):
    configs = [composed("experiment=digits_sgd", "train.steps=4", f"seed={seed}") for seed in (0, 1)]
    from gdlab.ensemble import train

    train(configs, [tmp_path / "0", tmp_path / "1"], progress=False)
    with pytest.raises(ConfigError, match="trained in a group"):
        extend(tmp_path / "0", 8, progress=False)


def test_data_are_read_where_the_command_says_and_nothing_changes_without_them(tmp_path):
    images = tmp_path / "given" / "images"
    rng = np.random.default_rng(0)
    from PIL import Image

    for part in ("train", "test"):
        for name in ("a", "b"):
            (images / part / name).mkdir(parents=True)
            for number in range(4):
                picture = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8))
                picture.save(images / part / name / f"{number}.png")
    overrides = (
        "problem=classification",
        "dataset=images",
        f"data_dir={images}",
        "model=mlp",
        "model.features=[4,2]",
    )
    folder = record(tmp_path / "run", *overrides, "optimizer=sgd", "train.steps=3").path
    shutil.move(tmp_path / "given", tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="are in no folder"):
        extend(folder, 6, progress=False)
    assert store.open_run(folder).state == "finished"
    assert extend(folder, 6, data=[tmp_path / "elsewhere"], progress=False).rows("scalars") == 6
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere" / "images" / "train" / "a" / "0.png")
    with pytest.raises(ConfigError, match="put them back"):
        extend(folder, 9, data=[tmp_path / "elsewhere"], progress=False)
    run = store.open_run(folder)
    assert (run.state, run.config["train"]["steps"], len(run.stages)) == ("finished", 6, 2)


@pytest.mark.parametrize("changes", [[{}], {"iteration": 3}, [{"iteration": -1, "options": {}}], [None] * 3,
                                     [{"iteration": 1, "options": {"train.steps": 9}}] * 200,
                                     [{"iteration": 7, "options": {"train.steps": 6}}]])  # fmt: skip
def test_changes_that_no_writer_makes_are_damage(tmp_path, changes):
    import json

    from gdlab.store import checksums

    folder = record(tmp_path / "run", "experiment=digits_sgd", "train.steps=4").path
    extend(folder, 6, progress=False)
    document = json.loads((folder / "run.json").read_bytes())
    document = {key: value for key, value in document.items() if key != "checksum"} | {"changes": changes}
    (folder / "run.json").write_bytes(checksums.sealed(checksums.placed(document)))
    with pytest.raises(store.DamagedRun, match="changes"):
        _ = store.open_run(folder).config


def test_a_changed_option_besides_the_length_is_not_followed(tmp_path):
    folder = record(tmp_path / "run", "experiment=digits_sgd", "train.steps=4").path
    extension.extend(folder, {"optimizer.learning_rate": 0.5}, "by hand")
    with pytest.raises(ConfigError, match="can change within a run"):
        Replay(folder)
    with pytest.raises(store.UnknownName, match="learning_rate"):
        extension.extend(record(tmp_path / "b", "experiment=digits_sgd", "train.steps=4").path,
                         {"optimizer.learning_rat": 1}, "by hand")  # fmt: skip


def test_the_command_says_what_it_needs(tmp_path):
    config = composed("experiment=digits_sgd")
    for given, words, message in (
        ({}, ["train.steps=9"], "needs the folder"),
        ({"run": "x"}, [], "needs the number of iterations"),
        (
            {"run": "x"},
            ["train.steps=9", "+seed=3"],
            "seed: a run is extended in its number of iterations",
        ),
        ({"run": "x"}, ["train.steps=9", "experiment=a"], "experiment: a run is extended"),
    ):
        with pytest.raises(ConfigError, match=message):
            extend_task({**config, "run": None, **given}, words)
    folder = record(tmp_path / "runs" / "run", "experiment=digits_sgd", "train.steps=4").path
    command = [sys.executable, "-m", "gdlab", "task=extend", f"run={folder}"]

    def run(*more):
        return subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True)

    done = run("train.steps=7")
    assert (done.returncode, done.stdout) == (0, "") and "finished; 7 iterations" in done.stderr
    again = run("train.steps=5")
    assert again.returncode == 1
    assert again.stderr == f"gdlab: train.steps=5: allowed: more than the 7 iterations of {folder}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
