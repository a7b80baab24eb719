"""How the replayed iterations of a run compared with its record: kept beside the run, never forgotten.

What was computed from a replay is kept and read again later, when nothing is replayed any more; whether that
replay was the training that the record tells of is kept with it, iteration by iteration. A difference
that was seen once stays: what was computed then may still be there.
"""

from typing import NamedTuple

import numpy as np

from gdlab import store

SPEC = {"gap": store.ArraySpec(dtype="f8", row_shape=())}


class Report(NamedTuple):
    """Replayed iterations compared with the record: how many, how many differed, the largest difference of a
    number, and what has changed since the recording (list of texts); altered: what of that are data or code,
    which make another training even where nothing was replayed; replayed: how many were, of which some may
    have had nothing to be compared with."""

    compared: int
    different: int
    largest: float
    changed: list
    altered: tuple = ()
    replayed: int = 0


class Comparisons:
    """Of one run: the largest difference of a number of each iteration; NaN where it was never compared."""

    def __init__(self, run):
        self._run = run
        self._gap = np.full(run.rows("scalars"), np.nan)
        self._replayed = np.zeros(run.rows("scalars"), bool)
        self._news: list[tuple[int, int]] = []

    def add(self, first, gap):
        """Iterations from `first` on were replayed; gap [n]: 0 where equal, inf where only one is
        finite, NaN where there was nothing to compare."""
        stop = first + len(gap)
        self._reach(stop)
        self._gap[first:stop] = np.fmax(self._gap[first:stop], gap)
        self._replayed[first:stop] = True
        self._news.append((first, stop))

    def keep(self):
        """Write what is new into the run folder; where nothing can be written it is known here alone."""
        news, self._news = self._news, []
        try:
            kept = self._kept()
            for first, stop in _joined(news):
                self._take(kept, first, stop)
                kept.write(first, {"gap": self._gap[first:stop]})
        except (OSError, store.StoreError):
            return

    def report(self, changed, altered=()):
        """A Report of all iterations that this process and those before it have replayed."""
        try:
            kept = self._kept()
            self._take(kept, 0, len(self._gap))
        except (OSError, store.StoreError):
            pass  # a folder that cannot be read says nothing of earlier replays
        known = self._gap[~np.isnan(self._gap)]
        largest = float(known.max(initial=0.0))
        different, replayed = int((known > 0).sum()), int(self._replayed.sum())
        return Report(len(known), different, largest, changed, tuple(altered), replayed)

    def _kept(self):
        return store.Derived(self._run, "replay", {}, rows=None, arrays=SPEC)

    def _take(self, kept, first, stop):
        self._reach(stop)
        done = np.asarray(kept.done(first, stop))
        found = np.where(done, kept.read(first, stop)["gap"], np.nan)
        self._replayed[first:stop] |= done
        self._gap[first:stop] = np.fmax(self._gap[first:stop], found)

    def _reach(self, stop):
        if stop > len(self._gap):
            more = stop - len(self._gap)
            self._gap = np.concatenate([self._gap, np.full(more, np.nan)])
            self._replayed = np.concatenate([self._replayed, np.zeros(more, bool)])


def gaps(recorded, replayed):
    """Largest difference [n] of errors [names, n]; NaN equals NaN, and inf is a difference without a size."""
    same = (recorded == replayed) | (np.isnan(recorded) & np.isnan(replayed))
    with np.errstate(invalid="ignore"):
        size = np.where(same, 0.0, np.abs(recorded - replayed))
    return np.where(np.isnan(size), np.inf, size).max(axis=0)


def _joined(intervals):
    """The intervals [first, stop), those that meet or overlap as one."""
    joined: list[list[int]] = []
    for first, stop in sorted(intervals):
        if joined and first <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stop)
        else:
            joined.append([first, stop])
    return joined
