"""A training that runs is asked to end, from elsewhere: gdlab's own and a loop of one's own."""

import os
import threading
from pathlib import Path

import pytest

import gdlab
from gdlab import ensemble, store
from gdlab.commands.stop_task import stop_task
from gdlab.plan.builder import ConfigError
from gdlab.store import requests
from tests.composing import composed
from tests.recording import assert_same_record, record

OPTIONS = ("experiment=rosenbrock", "train.steps=40", "record.commit_seconds=0.000001")


def test_a_training_ends_where_it_is_asked_and_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    record(tmp_path / "whole", *OPTIONS)
    commit = store.RunWriter.commit

    def asking(self, *given, **named):
        commit(self, *given, **named)
        requests.ask_to_stop(tmp_path / "run")

    with monkeypatch.context() as patch:
        patch.setattr(store.RunWriter, "commit", asking)
        record(tmp_path / "run", *OPTIONS)
    run = gdlab.open_run(tmp_path / "run")
    assert run.state == "interrupted" and 0 < run.rows("scalars") < 40
    # What was asked of the session that has ended is not asked of the one that goes on.
    assert os.path.exists(run.path / requests.STOP)
    record(tmp_path / "run", *OPTIONS)
    assert gdlab.open_run(tmp_path / "run").state == "finished"
    assert not os.path.exists(run.path / requests.STOP)
    assert_same_record(tmp_path / "run", tmp_path / "whole")


def test_one_of_a_group_ends_alone_and_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    given = ("experiment=digits_sgd", "train.steps=30")
    configs = [composed(*given, f"optimizer.learning_rate={rate}") for rate in (0.1, 0.2)]
    for config in configs:
        config["record"]["commit_seconds"] = 1e-6
    whole = [tmp_path / "whole_a", tmp_path / "whole_b"]
    ensemble.train(configs, whole, progress=False)
    commit = store.RunWriter.commit

    def asking(self, *given, **named):
        commit(self, *given, **named)
        if Path(self.path).name == "a":
            requests.ask_to_stop(tmp_path / "a")

    folders = [tmp_path / "a", tmp_path / "b"]
    with monkeypatch.context() as patch:
        patch.setattr(store.RunWriter, "commit", asking)
        ensemble.train(configs, folders, progress=False)
    states = [gdlab.open_run(folder).state for folder in folders]
    assert states == ["interrupted", "finished"]
    assert 0 < gdlab.open_run(folders[0]).rows("scalars") < 30
    ensemble.train(configs, folders, progress=False)
    for folder, other in zip(folders, whole, strict=True):
        assert gdlab.open_run(folder).state == "finished"
        assert_same_record(folder, other)


def test_a_loop_of_ones_own_ends_where_it_looks(tmp_path):
    asked = threading.Thread(target=stop_task, args=({"run": str(tmp_path / "r")},))
    with gdlab.Recorder(tmp_path / "r", strict=True, commit_seconds=0.001) as recorder:
        recorder.write(0, loss=1.0)
        assert not recorder.should_stop
        asked.start()
        step = 1
        while not recorder.should_stop:
            recorder.write(step, loss=1.0)
            step += 1
    asked.join()
    run = gdlab.open_run(tmp_path / "r")
    assert (run.state, run.reason, run.rows("scalars")) == ("interrupted", "stopped, as a reader asked", step)
    requests.ask_to_stop(run.path)  # too late: meant for nobody
    with gdlab.Recorder(tmp_path / "r", strict=True, resume=True) as recorder:
        recorder.write(step, loss=1.0)
        assert not recorder.should_stop
    run = gdlab.open_run(tmp_path / "r")
    assert (run.state, run.rows("scalars")) == ("finished", step + 1)


def test_what_cannot_be_stopped_is_said(tmp_path):
    with pytest.raises(ConfigError, match="task=stop needs the folder of a run: task=stop run=runs/NAME"):
        stop_task({"run": None})
    with gdlab.Recorder(tmp_path / "r", strict=True, commit_seconds=3600) as recorder:
        recorder.write(0, loss=1.0)
        with pytest.raises(ConfigError, match="has not answered for 0 s"):
            stop_task({"run": str(tmp_path / "r")}, seconds=0)
    with pytest.raises(ConfigError, match="is finished: there is nothing to stop"):
        stop_task({"run": str(tmp_path / "r")})


@pytest.mark.parametrize("kind", ["link", "pipe", "text", "folder", "other"])
def test_what_is_no_request_stops_nothing_and_does_not_block(tmp_path, kind):
    place = tmp_path / requests.STOP
    (tmp_path / "elsewhere").mkdir()
    requests.ask_to_stop(tmp_path / "elsewhere")
    if kind == "link":
        place.symlink_to(tmp_path / "elsewhere" / requests.STOP)
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "text":
        place.write_bytes(b'{"stop": true}' + b" " * 5000)
    elif kind == "folder":
        place.mkdir()
    else:
        requests.ask(tmp_path, 3)
        os.rename(tmp_path / requests.FILE, place)
    assert not requests.stop_taken(tmp_path)
    assert os.path.lexists(place) == (kind == "folder")
    assert requests.stop_taken(tmp_path / "elsewhere") and not requests.stop_taken(tmp_path / "elsewhere")
