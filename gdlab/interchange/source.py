"""What other programs have recorded, before it is written as a run: numbers by name, each at steps of its
own.

Names, steps and numbers come from strangers' files. How much of them is kept has a bound, and what is left
out is counted and said.
"""

import fnmatch
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdlab.messages import counted

MOST_METRICS = 1000  # of a run, as many as a Recorder keeps
MOST_POINTS = 1 << 24  # of a run: 400 MB while it is read
MOST_NAME = 1000  # characters
MOST_STEP = 1 << 53  # beyond it a float no longer counts by one
_MOST_COUNTED = 100_000  # names that are left out, told apart


class Unreadable(ValueError):
    """A file that cannot be read, with what is wrong with it."""


# What a strange file may still raise out of a library that reads it; it costs its own run and no other.
STRANGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def why(error: Exception) -> str:
    """What is wrong with a file, in words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, STRANGE) and not isinstance(error, (Unreadable, UnicodeError)):
        return f"holds what cannot be read ({type(error).__name__}: {str(error)[:120]})"
    return str(error)


class Series(NamedTuple):
    """A metric as it was written: steps int64 [n], values float64 [n], seconds since 1970 [n] (NaN:
    unknown).
    """

    step: np.ndarray
    value: np.ndarray
    time: np.ndarray


@dataclass
class Found:
    """What was read of a run.

    config: hyper-parameters, nested as they come; series: {name: Series} in the order of their writing;
    state, reason: as of `gdlab.store.Run`; started: seconds since 1970 or None; fingerprint: of the bytes
    read; notes: what was left out or cut, in words; damage: what ends before its end, in words.
    """

    config: dict[str, Any]
    series: dict[str, Series]
    fingerprint: str = ""
    state: str = "finished"
    reason: str | None = None
    started: float | None = None
    notes: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)


class Source(NamedTuple):
    """A run that lies somewhere.

    name: where it is to lie below the folder of runs; format: what reads it; place: of the file or folder;
    read: () -> Found, raises Unreadable; fingerprint: () -> of the bytes that `read` reads; size: how many
    these are, for the estimate.
    """

    name: str
    format: str
    place: Path
    read: Callable[[], Found]
    fingerprint: Callable[[], str]
    size: int


class Collector:
    """Takes numbers in as they are read, within the bounds; `series` in the end."""

    def __init__(self, wanted: Sequence[str] = ()):
        """wanted: patterns of names as a shell has them; none: all."""
        self._wanted = tuple(wanted)
        # Steps, values, times, and pairs of (points before, restarts before) wherever the latter change.
        self._of: dict[str, tuple[array, array, array, array] | None] = {}
        self._restarts, self._prefixes = array("q"), array("q")  # their steps; the places of their prefixes
        self._known: dict[str, int] = {}  # prefixes
        self._restarted = -1  # points before the last restart
        self._left: set[int] = set()  # of their names a hash, which may be long
        self._kept = self._points = self.negative = 0

    def add(self, name: str, step: int, value: float, time: float = np.nan) -> None:
        """One number. Raises Unreadable where a run has more of them than may be kept."""
        found = self._of.get(name)
        if found is None:
            found = None if name in self._of else self._begin(name)
            if found is None:
                return
        if not 0 <= step < MOST_STEP:
            self.negative += 1
            return
        if self._restarts:
            _mark(found, len(self._restarts))
        found[0].append(step)
        found[1].append(value)
        found[2].append(time)
        self._points += 1
        if self._points > MOST_POINTS:
            raise Unreadable(
                f"more than {MOST_POINTS:,} numbers in a run: import.metrics=NAME chooses some of its metrics"
            )

    def restart(self, step: int, prefix: str = "") -> None:
        """The training began again at a step: what has names with this prefix is given up from it on."""
        which = self._known.setdefault(prefix, len(self._known))
        # Only noted here: a file may hold as many restarts as numbers.
        if self._restarted == self._points and self._prefixes[-1] == which:
            self._restarts[-1] = min(self._restarts[-1], step)
            return
        self._restarts.append(step)
        self._prefixes.append(which)
        self._restarted = self._points

    def series(self) -> dict[str, Series]:
        """{name: Series} of all that were taken in."""
        given = {name: found for name, found in self._of.items() if found is not None and len(found[0])}
        kept = {name: np.ones(len(found[0]), bool) for name, found in given.items()}
        for prefix, which in self._known.items():
            own = np.where(np.frombuffer(self._prefixes, np.int64) == which, self._restarts, MOST_STEP)
            # The lowest step of the restarts behind so many of them.
            lowest = np.append(np.minimum.accumulate(own[::-1])[::-1], MOST_STEP)
            for name, (step, _, _, marks) in given.items():
                if name.startswith(prefix):
                    kept[name] &= np.frombuffer(step, np.int64) < lowest[_before(marks, len(step))]
        return {
            name: Series(*(np.frombuffer(part, part.typecode)[kept[name]] for part in found[:3]))
            for name, found in given.items()
            if kept[name].any()
        }

    def notes(self) -> list[str]:
        """What was left out, in words."""
        found = []
        if self._left:
            more = "more than " if len(self._left) >= _MOST_COUNTED else ""
            count = counted(len(self._left), "metric")
            found.append(
                f"{more}{count} beyond the first {MOST_METRICS:,} left out; import.metrics=NAME chooses"
            )
        if self.negative:
            found.append(f"{counted(self.negative, 'number')} at steps below 0 or beyond 2^53 left out")
        return found

    def _begin(self, name):
        """The place of a name that was not met before; None where it is not kept."""
        if self._wanted and not any(fnmatch.fnmatchcase(name, pattern) for pattern in self._wanted):
            if len(self._of) < _MOST_COUNTED and len(name) <= MOST_NAME:
                self._of[name] = None
            return None
        if self._kept >= MOST_METRICS or len(name) > MOST_NAME or not name:
            if len(self._left) < _MOST_COUNTED:
                self._left.add(hash(name))
            return None
        self._kept += 1
        found = self._of[name] = (array("q"), array("d"), array("d"), array("q"))
        return found


def _mark(found, restarts):
    """Notes that the points of a metric from here on stand behind so many restarts."""
    marks = found[3]
    if not marks or marks[-1] != restarts:
        marks.extend((len(found[0]), restarts))


def _before(marks, points):
    """How many restarts stand before each point of a metric, [points]."""
    at, counts = np.frombuffer(marks, np.int64).reshape(-1, 2).T if marks else np.empty((2, 0), np.int64)
    return np.repeat(np.append(0, counts), np.diff(at, prepend=0, append=points))


def number(value: Any) -> float | None:
    """A number as a float, of texts those that JSON has no numbers for; None for anything else."""
    if isinstance(value, bool) or value is None:
        return float(value) if isinstance(value, bool) else None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return SPECIAL.get(value) if isinstance(value, str) else None


SPECIAL = {
    name: value
    for value, names in (
        (float("nan"), ("NaN", "nan", "NAN")),
        (float("inf"), ("Infinity", "inf", "Inf", "+inf", "+Infinity")),
        (float("-inf"), ("-Infinity", "-inf", "-Inf")),
    )
    for name in names
}


def flat_numbers(mapping: Mapping[str, Any], depth: int = 6) -> list[tuple[str, float]]:
    """[("a/b", 1.0)] of the numbers in a mapping, nested ones too; what is no number is left out."""
    found: list[tuple[str, float]] = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            if depth and not any(mark in value for mark in ("_type", "path")):  # a picture or a file
                found += [(f"{key}/{name}", one) for name, one in flat_numbers(value, depth - 1)]
        elif (one := number(value)) is not None:
            found.append((str(key), one))
    return found
