"""A reader beside a live writer, and a writer that is killed: whole commits or nothing."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from gdlab import store
from gdlab.store import envelopes, reader
from tests.store import kill_loop, runs


def test_killed_writers_and_live_readers(tmp_path):
    reads = sum(kill_loop.round_of(tmp_path / "run", seed) for seed in range(4))
    assert reads > 0
    writer = store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG)
    writer.set_status("finished")
    writer.close()
    assert store.open_run(tmp_path / "run").state == "finished"


def test_a_reader_keeps_its_snapshot_and_its_views(tmp_path):
    with runs.begin(tmp_path / "run") as writer:
        writer.append(runs.rows(0, 50))
        writer.commit()
        run = store.open_run(tmp_path / "run")
        view = run.array("scalars")
        writer.append(runs.rows(50, 60))
        writer.commit()
        assert len(run.array("scalars")) == 50
    cursors = dict.fromkeys(runs.ARRAYS, 10) | {"ls_eval": runs.ends(10)}
    with store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG, cursors=cursors) as writer:
        other = runs.rows(10, 40)
        other["scalars"] = other["scalars"] + 100
        writer.append(other)
        writer.commit()
        np.testing.assert_array_equal(view, runs.scalars(np.arange(50)))
        # The next read notices the resume by itself: rows of two histories are never mixed.
        assert len(run.array("scalars")) == 40 and run.generation == 1
        assert run.array("scalars")[20, 0] > 50


def test_a_resume_between_look_and_read_is_noticed(tmp_path, monkeypatch):
    runs.record(tmp_path / "run", 50)
    run = store.open_run(tmp_path / "run")
    original = reader.Run._array

    def resumed_meanwhile(self, *arguments):
        monkeypatch.setattr(reader.Run, "_array", original)
        cursors = dict.fromkeys(runs.ARRAYS, 0)
        store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG, cursors=cursors).close()
        return original(self, *arguments)

    monkeypatch.setattr(reader.Run, "_array", resumed_meanwhile)
    assert len(run.array("path")) == 0


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_commits_within_one_clock_tick_are_seen(tmp_path, commits):
    with runs.begin(tmp_path / "run") as writer:
        run = store.open_run(tmp_path / "run")
        for i in range(commits):
            writer.append(runs.rows(i, i + 1))
            writer.commit()
        run.refresh()
        assert run.rows("scalars") == commits


def test_ctrl_c_waits_for_the_commit(tmp_path, monkeypatch):
    feed = envelopes.Pyramid.feed

    def interrupted(self, rows):
        signal.raise_signal(signal.SIGINT)
        feed(self, rows)

    with pytest.raises(KeyboardInterrupt), runs.begin(tmp_path / "run") as writer:
        writer.append(runs.rows(0, 50))
        monkeypatch.setattr(envelopes.Pyramid, "feed", interrupted)
        writer.commit()
    run = store.open_run(tmp_path / "run")
    assert (run.state, runs.check(run), run.rows("envelope/scalars/L1")) == ("interrupted", 50, 3)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_errors_travel_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(store.DamagedRun("what", "where")))
    assert str(error) == "damaged run: what (where)"
    assert str(pickle.loads(pickle.dumps(store.NotARun("no")))) == "no"


def test_the_script_runs():
    command = [sys.executable, "-m", "tests.store.kill_loop", "--rounds", "1", "--seed", "3"]
    done = subprocess.run(command, cwd=kill_loop.ROOT, capture_output=True, text=True, check=True)
    assert "'kills': 1" in done.stdout and "all consistent" in done.stdout
