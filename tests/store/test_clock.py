"""A clock that is set back: on the machine that writes, on the one that reads, between two of one folder."""

import os
import time

import pytest

from gdlab import store
from tests.store import runs
from tests.store.test_lease import lock_of

DAY = 86_400.0


def dated(path, by):
    """Shift the times of all files of a run."""
    for file in path.rglob("*"):
        when = file.stat().st_mtime + by
        os.utime(file, (when, when))


def test_a_run_goes_on_and_is_seen_to_where_its_files_are_of_tomorrow(tmp_path, monkeypatch):
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + DAY)
    runs.record(tmp_path / "run", 20, state="interrupted")
    monkeypatch.setattr(time, "time", now)
    dated(tmp_path / "run", DAY)
    run = store.open_run(tmp_path / "run")
    assert run.summary()["started"] > now() and not run.refresh()
    with store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG) as writer:
        assert run.refresh() and run.state == "running"
        for start in range(20, 41, 7):
            writer.append(runs.rows(start, start + 7))
            writer.commit()
            assert run.refresh() and run.rows("scalars") == start + 7
        writer.set_status("finished")
    assert run.refresh() and runs.check(run) == 41
    assert run.summary()["state"] == dict(store.list_runs(tmp_path))["run"]["state"] == "finished"


def test_a_commit_that_seems_older_than_the_one_before_is_seen(tmp_path):
    with runs.begin(tmp_path / "run") as writer:
        writer.append(runs.rows(0, 5))
        writer.commit()
        dated(tmp_path / "run", -100.0)
        run = store.open_run(tmp_path / "run")
        assert run.rows("scalars") == 5 and not run.refresh()
        writer.append(runs.rows(5, 9))
        writer.commit()
        dated(tmp_path / "run", -1000.0)
        assert run.refresh() and runs.check(run) == 9


def test_a_sign_of_life_from_tomorrow_locks_and_says_what_to_do(tmp_path):
    writer = runs.begin(tmp_path / "run")
    file = lock_of(tmp_path / "run", machine="another", host="elsewhere", pid=1, token="x")
    del writer  # its lease is another's by now, which it leaves alone
    os.utime(file, (time.time() + DAY, time.time() + DAY))
    with pytest.raises(store.RunLocked, match=r"86,\d+ s in the future, so a clock.*remove LOCK"):
        store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG)
    file.unlink()
    store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG).close()
