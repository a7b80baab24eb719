"""What a job of the worker may use: a run that asks for too much costs a message and not the machine.

A config may ask for a network of a million features, or for one that compiles for days. Memory is limited by
the system (RLIMIT_DATA: what the process has of its own, without files that it maps), so that an allocation
beyond it fails and is told as such; time by the server, which ends the worker's process.
"""

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

SHARE = 0.75  # of the machine's memory, unless said otherwise
MINUTES = 120.0
SILENCE = 900.0  # s without a report of progress: compiling a large network takes minutes on a small machine
STANDSTILL = 60.0  # s without a report and without using the processor
FEW_TICKS = 5  # hundredths of a second of the processor: less is none
_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Limits(NamedTuple):
    """memory: bytes of the worker's process, where it computes on the CPU; seconds: of a job; silence:
    seconds of a job without a report of progress; standstill: without using the processor either. None: as
    much as it takes."""

    memory: int | None = None
    seconds: float | None = None
    silence: float | None = SILENCE
    standstill: float | None = STANDSTILL

    @property
    def too_much(self) -> str:
        """The message where an allocation failed."""
        return f"It needs more memory than {self.allowed}: the network or the data of this run are too large."

    @property
    def allowed(self) -> str:
        """The memory in words."""
        if not self.memory:
            return "there is"
        return f"the {self.memory / 2**30:.3g} GiB that a job may use (--memory)"


UNLIMITED = Limits(silence=None, standstill=None)


class Watch:
    """Follows the job that a process works on, as the server sees it."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._pid: int | None = None
        self._begun = self._heard = self._moved = 0.0
        self._ticks = 0

    def begin(self, pid: int | None) -> None:
        """The process has been given a job."""
        self._pid, self._begun, self._ticks = pid, time.monotonic(), 0
        self.heard()

    def heard(self) -> None:
        """It has reported that it gets on."""
        self._heard = self._moved = time.monotonic()

    def reason(self) -> str | None:
        """Why the job is to be ended; None: it may go on."""
        now, limits = time.monotonic(), self.limits
        ticks = _processor_ticks(self._pid)
        if ticks is None or ticks >= self._ticks + FEW_TICKS:
            self._ticks, self._moved = ticks or 0, now
        if limits.seconds is not None and now - self._begun > limits.seconds:
            minutes = f"{limits.seconds / 60:.3g} minutes"
            return f"It took longer than the {minutes} that a job may take (--job-minutes)."
        if limits.silence is not None and now - self._heard > limits.silence:
            return (
                f"It did not get on for {limits.silence / 60:.3g} minutes and was ended; the network or the "
                "data of this run are too large for this machine."
            )
        # XLA on a CPU waits for ever where it could not allocate what a program returns.
        if limits.standstill is not None and now - self._moved > limits.standstill:
            return f"It stood still and was ended; it may have needed more memory than {limits.allowed}."
        return None


def machine_memory() -> int | None:
    """Bytes of memory that this machine, or the container that this is, has; None where it does not say."""
    if not hasattr(os, "sysconf"):
        return None
    known = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in map(Path, _GROUPS):
        try:
            known.append(int(file.read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return min(known)


def default_memory() -> int | None:
    """The limit of memory unless one is given."""
    memory = machine_memory()
    return None if memory is None else int(SHARE * memory)


def restrain(memory: int | None) -> None:
    """Limits this process to so many bytes, once JAX is loaded and computes on the CPU.

    A GPU's driver maps the memory of the device into the process, so there the device is the limit.
    """
    jax = sys.modules.get("jax")
    if memory is None or jax is None or sys.platform != "linux" or jax.default_backend() != "cpu":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, Python's own or XLA's."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _processor_ticks(pid: int | None) -> int | None:
    """How long a process has used the processor, in the system's ticks; None where that is not told."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(after_name[11]) + int(after_name[12])
    except (OSError, ValueError, IndexError):
        return None
