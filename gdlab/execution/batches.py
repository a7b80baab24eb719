"""The batches of a recorded loop: made by its own function of the iteration, or those that its moments keep.

A loop whose data come from an iterator has no function of the iteration. What it handed over with each
`write` is kept with the moments, and where there is one of every iteration between, these are run again, too.
"""

import os

import numpy as np

from gdlab import store
from gdlab.store import kept

_MISSING = (
    "the batch of iteration {:,} was not kept: gdlab.Recorder(..., batch=batch_of) with a pure function of "
    "the iteration makes it, moments=range(...) over the iterations that are to be run again keeps it"
)


class Batches:
    """Of one run. there: its `gdlab.analysis.handed.Handed`; rows are counted as there."""

    def __init__(self, path, functions, there):
        self._path, self._functions, self._moments = path, functions, there.moments
        self._made = "make_batch" in functions.names
        self._has: dict[int, bool] = {}

    def cover(self, start: int, stop: int) -> bool:
        """Whether there is one of every row of [start, stop)."""
        return self._made or all(map(self._there, range(start, stop)))

    def of(self, row: int, number: int) -> list:
        """The leaves of row `row`, iteration `number` as the loop counts. ValueError where it was not kept,
        DamagedRun where it is not what the step takes."""
        if self._made:
            return self._functions.make_batch(number)
        if not self._there(row):
            raise ValueError(_MISSING.format(number))
        found = kept.read(self._path, kept.MOMENTS, self._moments[row]).trees["batch"]
        wanted = self._functions.trees.get("batch", ())
        if len(found) != len(wanted) or not all(map(_fits, found, wanted)):
            where = os.path.join(self._path, kept.MOMENTS, str(self._moments[row]))
            raise store.DamagedRun("its batch is not what the step of the run takes", where)
        return [leaf.array for leaf in found]

    def _there(self, row):
        if row not in self._has:
            self._has[row] = row in self._moments and self._holds(self._moments[row])
        return self._has[row]

    def _holds(self, number):
        """Whether a moment has its batch; damage is said by who reads it."""
        try:
            return "batch" in kept.shapes(self._path, kept.MOMENTS, number)[0]
        except FileNotFoundError:  # the run goes on, and has given it up
            return False


def _fits(leaf, wanted):
    shape = np.shape(leaf.array)
    same = len(shape) == len(wanted.shape) and leaf.array.dtype.name == wanted.dtype
    return same and all(other in (None, length) for length, other in zip(shape, wanted.shape, strict=True))
