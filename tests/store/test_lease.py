"""One writer per run folder: the living are respected, the dead are not waited for."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from gdlab import store
from gdlab.store import lease
from tests.store import kill_loop, runs

HOLD = """
import sys
from tests.store import runs
writer = runs.begin(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path):
    """A process that holds tmp_path/run and waits for its input to end."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        cwd=kill_loop.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.communicate()


def lock_of(path, **changes):
    """Replace entries of a LOCK file, as another writer would have written them."""
    file = path / "LOCK"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return file


def test_a_second_writer_is_refused(tmp_path, other_process):
    for begin in (runs.begin, lambda path: store.RunWriter.resume(path, config=runs.CONFIG)):
        with pytest.raises(store.RunLocked, match=f"process {other_process.pid} on "):
            begin(tmp_path / "run")
    assert store.open_run(tmp_path / "run").state == "running"


def test_a_killed_writer_is_not_waited_for(tmp_path, other_process):
    os.kill(other_process.pid, signal.SIGKILL)
    # Dead but not yet collected by its parent: its number still exists.
    os.waitid(os.P_PID, other_process.pid, os.WEXITED | os.WNOWAIT)
    run = store.open_run(tmp_path / "run")
    assert run.state == run.summary()["state"] == "crashed"
    store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG).close()
    assert run.refresh() and run.state == "interrupted"


def test_the_same_process_is_a_second_writer_too(tmp_path):
    writer = runs.begin(tmp_path / "run")
    with pytest.raises(store.RunLocked, match=str(os.getpid())):
        store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG)
    writer.close()
    store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG).close()


def test_a_recycled_process_number_does_not_lock(tmp_path):
    writer = runs.begin(tmp_path / "run")
    lock_of(tmp_path / "run", start="1")
    assert store.open_run(tmp_path / "run").state == "crashed"
    with store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG) as second:
        with pytest.raises(store.LeaseLost, match="held by"):
            writer.commit()
        with pytest.raises(store.LeaseLost):
            writer.close()
        second.append(runs.rows(0, 3))
    assert runs.check(store.open_run(tmp_path / "run")) == 3


def test_another_machine_is_believed_while_it_shows_signs_of_life(tmp_path):
    writer = runs.begin(tmp_path / "run")
    file = lock_of(tmp_path / "run", machine="another", host="elsewhere", pid=1, token="x")
    with pytest.raises(store.RunLocked, match="process 1 on elsewhere"):
        store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG)
    long_ago = time.time() - lease.LEASE_SECONDS - 1
    os.utime(file, (long_ago, long_ago))
    store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG).close()
    with pytest.raises(store.LeaseLost):
        writer.commit()


def test_heartbeats_keep_the_lease_fresh(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "_HEARTBEAT_SECONDS", 0.0)
    with runs.begin(tmp_path / "run") as writer:
        file = lock_of(tmp_path / "run", machine="another")
        os.utime(file, (1, 1))
        assert not lease.is_alive(tmp_path / "run")
        writer.commit()
        assert lease.is_alive(tmp_path / "run")


def test_without_proc_the_process_number_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "_machine", lambda: "")
    with runs.begin(tmp_path / "run"):
        assert lease.is_alive(tmp_path / "run")
        lock_of(tmp_path / "run", pid=2**22 + 1)
        assert not lease.is_alive(tmp_path / "run")
        lock_of(tmp_path / "run", token=lease.read(tmp_path / "run" / "LOCK").token)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"pid": "x"}', b"\xff", b"[" * 4000])
def test_an_unreadable_lock_counts_by_its_age(tmp_path, content):
    runs.record(tmp_path / "run", 1)
    file = tmp_path / "run" / "LOCK"
    file.write_bytes(content)
    with pytest.raises(store.RunLocked, match="unknown host"):
        store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG)
    os.utime(file, (1, 1))
    store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG).close()
    assert not file.exists()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    runs.record(tmp_path / "run", 1)
    (tmp_path / "victim").write_text("keep")
    (tmp_path / "run" / "LOCK").symlink_to(tmp_path / "victim")
    with pytest.raises(store.StoreError):
        store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG)
    assert (tmp_path / "victim").read_text() == "keep"


def test_a_removed_lock_stops_the_writer(tmp_path):
    writer = runs.begin(tmp_path / "run")
    (tmp_path / "run" / "LOCK").unlink()
    writer.append(runs.rows(0, 1))
    with pytest.raises(store.LeaseLost, match="LOCK was removed"):
        writer.commit()
    assert store.open_run(tmp_path / "run").rows("scalars") == 0


def test_of_many_writers_exactly_one_begins(tmp_path):
    results, barrier = [], threading.Barrier(8)

    def attempt():
        barrier.wait()
        try:
            results.append(runs.begin(tmp_path / "run"))
        except store.StoreError as error:
            results.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writers = [item for item in results if isinstance(item, store.RunWriter)]
    assert len(writers) == 1
    assert {type(item) for item in results} <= {store.RunWriter, store.RunLocked, store.RunExists}
    writers[0].close()


def test_a_forgotten_writer_lets_go(tmp_path):
    writer = runs.begin(tmp_path / "run")
    del writer
    gc.collect()
    assert not (tmp_path / "run" / "LOCK").exists()
    assert store.open_run(tmp_path / "run").state == "crashed"


def test_a_forked_child_does_not_release(tmp_path, monkeypatch):
    writer = runs.begin(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        writer._lease.release()
    assert (tmp_path / "run" / "LOCK").exists()
