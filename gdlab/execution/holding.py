"""Parameters and states of a loop that was run again, held bit by bit against those that its run has kept.

What a step says of an iteration can be right, or nothing at all, where what it makes of its state is another:
a learning rate that the loop has changed is no number of an Observation.
"""

import jax
import numpy as np

from gdlab import store
from gdlab.store import kept


class Holding:
    """Of one run. there: its `gdlab.analysis.handed.Handed`; trees: of its functions, what they take."""

    def __init__(self, path, there, trees):
        self._path, self._there = path, there
        params = trees.get("params", ())
        self._expected = {"params": params, "after": params, "state": trees.get("state", ())}

    def gaps(self, row, after, state):
        """The largest difference [n] of what came out of rows row ... row + n - 1 from what was kept, NaN
        where nothing was: after: leaves of the parameters after each; state: those of the state behind the
        last."""
        found = np.full(len(after), np.nan)
        for index, leaves in enumerate(after):
            for recorded in self._kept(row + index + 1):
                found[index] = np.fmax(found[index], difference(recorded, leaves))
        states = self._there.states
        if row + len(after) in states:
            for recorded in self._read(kept.STATES, states[row + len(after)], "state"):
                found[-1] = np.fmax(found[-1], difference(recorded, state))
        return found

    def _kept(self, row):
        """Each theta_k, k = `row`, that was kept, as leaves."""
        there = self._there
        places = ((kept.POINTS, there.points, row, "params"), (kept.MOMENTS, there.moments, row, "params"),
                  (kept.MOMENTS, there.after, row, "after"))  # fmt: skip
        for kind, numbers, k, tree in places:
            if k in numbers:
                yield from self._read(kind, numbers[k], tree)

    def _read(self, kind, number, tree):
        """[leaves] of a tree of a file; [] where it cannot be read: who asks for it is told why."""
        try:
            return [kept.read(self._path, kind, number, self._expected).trees[tree]]
        except (store.StoreError, OSError, KeyError):
            return []


def difference(recorded, leaves):
    """The largest difference of arrays from leaves that were kept: 0 where they are equal bit by bit, inf
    where it has no size."""
    if len(recorded) != len(leaves):
        return np.inf
    pairs = zip(recorded, map(np.asarray, jax.device_get(leaves)), strict=True)
    return max((_of_one(leaf.array, array) for leaf, array in pairs), default=0.0)


def _of_one(one, other):
    if one.shape != other.shape or one.dtype != other.dtype:
        return np.inf
    if one.tobytes() == other.tobytes():
        return 0.0
    kind = np.complex128 if one.dtype.kind == "c" else np.float64
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.abs(one.astype(kind) - other.astype(kind))
    sizes = np.where(np.isnan(one.astype(kind)) & np.isnan(other.astype(kind)), 0.0, sizes)
    largest = float(np.max(np.where(np.isnan(sizes), np.inf, sizes)))
    return max(largest, np.finfo(np.float64).tiny)  # other bits of the same value: -0, another NaN
