"""When a training is looked at: how long a chunk is, when rows are published, when whole states are kept.

None of it changes a bit: a chunk of any length is run by the same program.
"""

import time

import numpy as np

LOOK_SECONDS = 0.25  # a chunk: short enough to stop and to show, long enough to cost nothing
FIRST = 8  # iterations of the first chunk


class Pace:
    """How many iterations are run at once, for a look every LOOK_SECONDS.

    most   of one chunk
    count  of the next chunk
    """

    def __init__(self, most: int):
        self.count, self._most, self._compiled = min(FIRST, most), most, False

    def ran(self, count: int, seconds: float) -> None:
        """`count` iterations took `seconds`; the first chunk says nothing of it, it compiles."""
        if self._compiled:
            wanted = count * LOOK_SECONDS / max(seconds, 1e-3)
            self.count = min(int(np.clip(wanted, self.count / 4 + 1, self.count * 4)), self._most)
        self._compiled = True


class Every:
    """A piece of work that is done every so many seconds: `if every.is_due(): with every: ...`.

    share: of the time that it may take; what takes longer is done more rarely. None: as often as it is due.
    """

    def __init__(self, seconds: float, share: float | None = None):
        self._seconds = self._wait = seconds
        self._share, self._last, self._begun = share, time.monotonic(), 0.0

    def is_due(self) -> bool:
        """Whether it is time again."""
        return time.monotonic() - self._last > self._wait

    def __enter__(self):
        self._begun = time.monotonic()

    def __exit__(self, *exception):
        self._last = time.monotonic()
        if self._share is not None:
            self._wait = max(self._seconds, (self._last - self._begun) / self._share)
