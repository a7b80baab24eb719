"""The writer's lease on a run folder: the file LOCK says who writes, its age when it last did.

On the writer's own machine the lease holds as long as the process lives; the process's start time
tells it from a later one with the same number. From another machine only the heartbeat (the
file's modification time) can be seen, and a lease without one for `LEASE_SECONDS` has ended.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
import weakref
from typing import NamedTuple

from gdlab.store import files
from gdlab.store.errors import DamagedRun, LeaseLost, RunLocked

LOCK = "LOCK"
# A step that compiles for minutes commits nothing meanwhile; another machine must wait this long.
LEASE_SECONDS = 300.0
_HEARTBEAT_SECONDS = 5.0
_CLOCKS_APART = 60.0  # seconds by which clocks of machines that share a folder may differ
_MAX_BYTES = 4096


class Holder(NamedTuple):
    """Who wrote LOCK: host name, pid, process start (clock ticks since boot), machine, token, age in s."""

    host: str
    pid: int
    start: str
    machine: str
    token: str
    age: float

    @property
    def alive(self):
        """True while the lease holds, as far as this machine can tell."""
        if self.machine and self.machine == _machine():
            return _start_of(self.pid) == self.start != ""
        if not self.machine and self.host == socket.gethostname():
            return _exists(self.pid)
        return self.age < LEASE_SECONDS

    def __str__(self):
        sign = f"last sign {max(self.age, 0):.0f} s ago"
        if self.age < -_CLOCKS_APART:
            sign = (
                f"its last sign lies {-self.age:,.0f} s in the future, so a clock was set back; remove "
                f"{LOCK} if that process is gone"
            )
        return f"process {self.pid} on {self.host or 'an unknown host'} ({sign})"


class Lease:
    """Held from construction to `release`; RunLocked where somebody else holds it."""

    def __init__(self, run_folder):
        self.path = os.path.join(run_folder, LOCK)
        self._token = os.urandom(16).hex()
        self._beat = time.monotonic()
        mine = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "start": _start_of(os.getpid()),
            "machine": _machine(),
            "token": self._token,
        }
        with _locked(self.path) as fd:
            other = _parse(fd)
            if other is not None and other.alive:
                raise RunLocked(f"{run_folder} is being written by {other}: stop that training first")
            try:
                with files.writing(self.path):
                    os.ftruncate(fd, 0)
                    files.write_all(fd, json.dumps(mine).encode(), 0)
                    os.utime(fd)
            except BaseException:
                # Half a LOCK would lock out everybody until it is old.
                os.unlink(self.path)
                raise
        # A writer that is forgotten rather than closed must not lock its folder for the session.
        self.release = weakref.finalize(self, _release, self.path, self._token, os.getpid())

    def heartbeat(self):
        """Show that the writer lives; LeaseLost where another one has taken over."""
        now = time.monotonic()
        holder = read(self.path)
        if holder is None or holder.token != self._token:
            who = "LOCK was removed" if holder is None else f"now held by {holder}"
            raise LeaseLost(f"the lease {self.path} is lost: {who}; nothing more is written")
        if now - self._beat > _HEARTBEAT_SECONDS:
            with files.writing(self.path):
                os.utime(self.path)
            self._beat = now


def read(path):
    """The `Holder` that a LOCK file names; None without a file."""
    try:
        fd, _ = files.open_regular(path)
    except FileNotFoundError:
        return None
    try:
        return _parse(fd)
    finally:
        os.close(fd)


def is_alive(run_folder):
    """True while a writer holds the lease of the folder, as far as can be seen from here."""
    try:
        holder = read(os.path.join(run_folder, LOCK))
    except DamagedRun:
        return False
    return holder is not None and holder.alive


@contextlib.contextmanager
def _locked(path):
    # The kernel's lock makes "look, then take" one action; it is held for microseconds only, since
    # forked children would keep it. Where it is not supported, the race stays open for that long.
    while True:
        with files.writing(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_current(fd, path):
                yield fd
                return
        finally:
            os.close(fd)


def _is_current(fd, path):
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _parse(fd):
    facts = os.fstat(fd)
    age = time.time() - facts.st_mtime
    if facts.st_size == 0:
        return None
    try:
        data = json.loads(os.pread(fd, _MAX_BYTES, 0))
        start, machine, token = (str(data[key]) for key in ("start", "machine", "token"))
        return Holder(str(data["host"]), int(data["pid"]), start, machine, token, age)
    except (ValueError, KeyError, TypeError, RecursionError):
        # Being written just now, or damaged: its age decides.
        return Holder("", 0, "", "", "", age)


def _release(path, token, pid):
    if os.getpid() != pid:
        return
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX)
            holder = _parse(fd)
            if _is_current(fd, path) and holder is not None and holder.token == token:
                os.unlink(path)
        finally:
            os.close(fd)


def _machine():
    """Identifies what a process number refers to: this boot of this kernel, this process namespace."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_of(pid):
    """Start time of a living process in clock ticks since boot, as text; '' where there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


def _exists(pid):
    # Where /proc does not exist, a process of the same number has to count as the writer.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
