"""A full disk: a clear error, the last commit stays valid, and nothing is lost once there is space again.

Where the tests may mount a file system the disk is really full, elsewhere the write is made to fail.
"""

import errno
import os
import subprocess

import numpy as np
import pytest

from gdlab import store
from tests.store import runs

_DISK_BYTES = 3 << 20


class RealDisk:
    """A small file system in memory."""

    def __init__(self, path):
        self.path = path
        self._ballast = path / "ballast"

    def fill(self):
        """Leave no block free."""
        with open(self._ballast, "ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))

    def free(self):
        """Make room again."""
        self._ballast.unlink()


class PretendedDisk:
    """`os.pwrite` writes a few more bytes, then reports a full disk."""

    def __init__(self, path, monkeypatch):
        self.path = path
        self._patch = monkeypatch
        self._pwrite = os.pwrite

    def fill(self):
        """The next write is cut short, those after it fail."""
        left = [100]

        def pwrite(fd, data, offset):
            if not left[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written = self._pwrite(fd, data[: left[0]], offset)
            left[0] -= written
            return written

        self._patch.setattr(os, "pwrite", pwrite)

    def free(self):
        """Writes succeed again."""
        self._patch.setattr(os, "pwrite", self._pwrite)


@pytest.fixture(params=["real", "pretended"])
def disk(request, tmp_path, monkeypatch):
    path = tmp_path / "disk"
    path.mkdir()
    if request.param == "pretended":
        yield PretendedDisk(path, monkeypatch)
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "gdlab-test", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        yield PretendedDisk(path, monkeypatch)
        return
    yield RealDisk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize("big", [False, True])
def test_a_full_disk_loses_nothing(disk, big):
    steps = 3000 if big else 300
    writer = runs.begin(disk.path / "run")
    writer.append(runs.rows(0, 100))
    writer.commit()
    disk.fill()
    with pytest.raises(store.DiskFull, match=r"disk full while writing .*: the last commit stays valid"):
        # Many rows are written by append itself, few by the commit.
        writer.append(runs.rows(100, steps))
        writer.commit()
    run = store.open_run(disk.path / "run")
    assert runs.check(run) == 100
    with pytest.raises(store.DiskFull):
        writer.commit()
    disk.free()
    writer.commit()
    assert run.refresh() and runs.check(run) == steps
    writer.append(runs.rows(steps, steps + 50))
    writer.close()
    run = store.open_run(disk.path / "run")
    assert runs.check(run) == steps + 50
    for level in range(1, 3):
        assert run.rows(f"envelope/scalars/L{level}") == (steps + 50) // 16**level
    assert not [name for name in os.listdir(run.path / "log.zarr") if name.endswith(".tmp")]


def test_a_training_ended_by_a_full_disk_can_be_resumed(disk):
    with pytest.raises(store.DiskFull), runs.begin(disk.path / "run") as writer:
        writer.append(runs.rows(0, 100))
        writer.commit()
        disk.fill()
        writer.append(runs.rows(100, 200))
        writer.commit()
    run = store.open_run(disk.path / "run")
    assert runs.check(run) == 100
    if isinstance(disk, RealDisk):  # a little space was kept for the last word
        assert run.state == "failed" and run.reason.startswith("disk full while writing")
        assert dict(store.list_runs(disk.path))["run"]["reason"] == run.reason
    assert not (disk.path / "run" / "RESERVE").exists()
    disk.fill()  # what was kept for the last word, too
    with pytest.raises(store.DiskFull):
        store.RunWriter.resume(disk.path / "run", config=runs.CONFIG)
    assert runs.check(store.open_run(disk.path / "run")) == 100
    disk.free()
    with store.RunWriter.resume(disk.path / "run", config=runs.CONFIG) as writer:
        writer.append(runs.rows(100, 200))
        writer.set_status("finished")
    assert runs.check(store.open_run(disk.path / "run")) == 200


def test_a_run_that_cannot_begin(disk):
    disk.fill()
    with pytest.raises(store.DiskFull):
        runs.begin(disk.path / "run")
    with pytest.raises((store.NotARun, store.HalfWritten)):
        store.open_run(disk.path / "run")
    disk.free()
    runs.record(disk.path / "run", 20)
    assert runs.check(store.open_run(disk.path / "run")) == 20


def test_a_cache_that_cannot_grow(disk):
    runs.record(disk.path / "run", 20)
    run = store.open_run(disk.path / "run")
    cache = store.Derived(run, "x", {}, None, {"v": store.ArraySpec("f8", (50,))})
    cache.write(0, {"v": np.ones((10, 50))})
    disk.fill()
    with pytest.raises(store.DiskFull):
        cache.write(100, {"v": np.ones((500, 50))})
    assert cache.done(0, 10).all() and not cache.done(100, 600).any()
    disk.free()
    cache.write(100, {"v": np.ones((500, 50))})
    assert cache.done(100, 600).all() and (cache.read(0, 10)["v"] == 1).all()


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    runs.record(tmp_path / "run", 5)
    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(store.NotWritable, match="Read-only file system"):
        store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG)
    assert runs.check(store.open_run(tmp_path / "run")) == 5
