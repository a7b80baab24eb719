"""Runs of before keep the search that they were recorded with: they replay to the same bits and go on so."""

import os
import shutil
import signal

import numpy as np
import pytest
import yaml

from gdlab import store
from gdlab.execution import session
from gdlab.execution.probing import run_probe
from gdlab.store.config import CONFIG_FILE
from tests import recording


def forget_version(folder):
    """The run as it was written before line searches had versions."""
    path = folder / CONFIG_FILE
    config = yaml.safe_load(path.read_text())
    config.pop("version")
    for section in (config["linesearch"], config["optimizer"]["line_search"]):
        section.pop("version")
    path.write_text(yaml.safe_dump(config, sort_keys=False))


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    folder = tmp_path_factory.mktemp("before") / "run"
    recording.record(folder, "problem=brown_dennis", "linesearch.version=1", "train.steps=20")
    forget_version(folder)
    return folder


def test_the_default_descends_where_version_1_stood_still(before, tmp_path):
    stuck = store.open_run(before).table("steps", 0, 1).columns
    assert stuck["step_size"][0] == 0 and stuck["loss"][0] == pytest.approx(7.93e6, rel=1e-3)
    run = recording.record(tmp_path / "run", "problem=brown_dennis", "train.steps=20")
    losses = run.table("steps", 0, run.rows("scalars")).columns["loss"]
    assert losses[-1] == pytest.approx(85_822, rel=0.05)


def test_a_run_of_before_replays_to_the_same_bits(before, tmp_path):
    folder = shutil.copytree(before, tmp_path / "run")
    table = run_probe(folder, "segments", {"start": 0, "stop": 1})
    replay = table.attrs["replay"]
    assert (replay["compared"], replay["different"]) == (1, 0)


def test_a_run_of_before_is_not_trained_again(before, tmp_path):
    folder = shutil.copytree(before, tmp_path / "run")
    again = recording.record(folder, "problem=brown_dennis", "train.steps=20")
    assert again.rows("scalars") == 1


def test_an_interrupted_run_of_before_goes_on_as_it_began(tmp_path, monkeypatch):
    """The same command, which says nothing of a version, continues it by the search that it began with."""
    options = ("problem=rosenbrock", "precision=float64")
    whole = recording.record(tmp_path / "whole", *options, "linesearch.version=1")
    chunk = session.Session._chunk

    def chunk_then_stop(session, count):
        if session.step >= 5:
            os.kill(os.getpid(), signal.SIGINT)
        return chunk(session, min(count, 5))

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "_chunk", chunk_then_stop)
        run = recording.record(tmp_path / "run", *options, "linesearch.version=1")
    assert run.state == "interrupted" and 0 < run.rows("scalars") < whole.rows("scalars")
    forget_version(tmp_path / "run")
    recording.record(tmp_path / "run", *options)
    recording.assert_same_record(whole.path, tmp_path / "run")
    newer = recording.record(tmp_path / "newer", *options)
    first = np.array(newer.array("scalars"))[:, 0]
    assert len(first) != whole.rows("scalars") or (first != np.array(whole.array("scalars"))[:, 0]).any()
