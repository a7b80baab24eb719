"""Files that the libraries themselves have written (make_fixtures.py) give the numbers that were written."""

import gzip
import json
import shutil

import numpy as np
import pytest

import gdlab
from gdlab.interchange import Unreadable
from tests.interchange.make_fixtures import CONFIG, FILES, STEPS, numbers

LOSS = np.array([numbers(step)["loss"] for step in range(STEPS)])
BAD = np.array([numbers(step)["bad"] for step in range(STEPS)])
# {source: (what is read, format, the run within it, whether its numbers are float32)}
SOURCES = {
    "tensorboardX": ("tensorboard_x", None, ".", True),
    "clu": ("clu", None, ".", True),
    "wandb": ("wandb", None, "offline-run-20260101_120000-abc", False),
    "mlflow files": ("mlruns", None, "e/first", False),
    "mlflow database": ("mlflow.db", None, "e/first", False),
    "trackio database": ("trackio", "trackio", "p/second", False),
    "trackio Parquet": ("trackio", "parquet", "p/second", False),
}


@pytest.fixture(scope="module")
def lying(tmp_path_factory):
    """A copy of the files, with the packed database unpacked."""
    root = tmp_path_factory.mktemp("files") / "files"
    shutil.copytree(FILES, root)
    (root / "mlflow.db").write_bytes(gzip.decompress((root / "mlflow.db.gz").read_bytes()))
    return root


def column(run, name):
    return np.array(run.array("scalars")[:, run.columns("scalars").index(name)])


def metric(run, name):
    return np.array(run.array(f"metric/{name}")).T


@pytest.mark.parametrize("source", SOURCES)
def test_every_number_and_hyper_parameter_is_what_was_written(lying, tmp_path, source):
    name, kind, within, single = SOURCES[source]
    done = gdlab.import_runs(lying / name, tmp_path / "runs", format=kind)
    path = tmp_path / "runs" / within
    if len(done.folders) == 1 and not path.exists():
        path = tmp_path / "runs"
    run = gdlab.open_run(path)
    width = np.float32 if single else float
    np.testing.assert_array_equal(column(run, "loss"), LOSS.astype(width))
    np.testing.assert_array_equal(metric(run, "bad"), [np.arange(STEPS), BAD.astype(width)])
    even = np.arange(0, STEPS, 2)
    np.testing.assert_array_equal(metric(run, "val/accuracy"), [even, (even / 10).astype(width)])
    validation = np.array(run.array("validation"))
    np.testing.assert_array_equal(validation[:, [0, 2]].T, [even, (even / 10).astype(width)])
    np.testing.assert_array_equal(validation[:, 3], LOSS[even].astype(width))
    own = {**run.config["config"]}
    assert own.pop("net", None) == ({"depth": 2} if source == "wandb" else None)
    assert own == {**CONFIG, "name": "second" if "trackio" in source else "a"}
    assert (run.state, done.skipped, done.left, run.verify()) == ("finished", [], [], [])
    assert np.all(np.diff(column(run, "seconds")) >= 0) and run.summary()["started"] > 1.7e9


def test_the_parts_of_keras_are_one_run(lying, tmp_path):
    gdlab.import_runs(lying / "keras", tmp_path / "runs")
    run = gdlab.open_run(tmp_path / "runs")
    np.testing.assert_array_equal(column(run, "loss"), LOSS.astype(np.float32))
    np.testing.assert_array_equal(metric(run, "train/half")[1], np.arange(STEPS) / 4)
    np.testing.assert_array_equal(metric(run, "train/double")[1], (1 / 3 + np.arange(STEPS)).astype("f4"))
    assert run.array("validation")[:, 2].tolist() == (np.arange(0, STEPS, 2) / 10).astype("f4").tolist()
    assert "metric/validation/weights" not in run.arrays


def test_a_folder_of_several_programs_asks_which_is_meant(lying, tmp_path):
    with pytest.raises(
        Unreadable, match=r"records of tensorboard and wandb and mlflow and trackio: format=NAME"
    ):
        gdlab.import_runs(lying, tmp_path / "runs")
    done = gdlab.import_runs(lying, tmp_path / "runs", format="tensorboard")
    assert sorted(path.name for path in done.folders) == ["clu", "keras", "tensorboard_x"]


def test_the_identity_says_where_the_numbers_come_from_and_not_where_they_lie(lying, tmp_path):
    gdlab.import_runs(lying / "wandb", tmp_path / "runs")
    (path,) = (tmp_path / "runs").iterdir()
    facts = gdlab.open_run(path).identity["imported"]
    assert facts["format"] == "wandb" and facts["source"].endswith(
        "offline-run-20260101_120000-abc/run-abc.wandb"
    )
    assert str(lying.parent.parent) not in json.dumps(facts) and len(facts["fingerprint"]) > 30


def test_metrics_can_be_chosen(lying, tmp_path):
    gdlab.import_runs(lying / "clu", tmp_path / "run", metrics=["val/*", "bad"], loss="none")
    run = gdlab.open_run(tmp_path / "run")
    assert set(run.arrays) == {"scalars", "metric/bad", "metric/val/accuracy", "validation"}
    assert np.isnan(column(run, "loss")).all() and run.summary()["best_loss"] is None
    with pytest.raises(Unreadable, match=r"csv, jsonl, parquet\. Did you mean 'parquet'"):
        gdlab.import_runs(lying / "clu", tmp_path / "other", format="parkett")


def test_tensorboard_itself_reads_the_same(lying):
    loader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed: pip install 'gdlab[rivals]'",
    )
    from gdlab.interchange.tensorboard import sources

    for folder in (lying / "tensorboard_x", lying / "clu", lying / "keras" / "train"):
        files = {path.name: path.stat().st_size for path in folder.glob("*tfevents*")}
        (source,) = sources(folder, {folder: files}, ())
        own = source.read().series
        other = loader.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
        for tag, one in own.items():
            if tag in other.Tags()["scalars"]:
                theirs = other.Scalars(tag)
                values = [event.value for event in theirs]
            else:
                theirs = other.Tensors(tag)
                util = pytest.importorskip("tensorboard.util.tensor_util")
                values = [float(util.make_ndarray(event.tensor_proto)) for event in theirs]
            np.testing.assert_array_equal(one.value, values)
            np.testing.assert_array_equal(one.step, [event.step for event in theirs])
            np.testing.assert_array_equal(one.time, [event.wall_time for event in theirs])
