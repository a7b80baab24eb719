"""The correlations of an ensemble's filters, read when a view asks for them, in the background.

Runs that cannot be used are left out and counted: those of another network or without correlations, those
that did not come to the time asked for, those whose correlations are not finite there.
"""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from gdlab.analysis import correlated, embedding, ensemble, filter_order, run_similarity

MOST_ORDERS = 4000  # kept: of 121 runs at 33 times


class Ordered(NamedTuple):
    """step: of the row; order: filter_order.Order; matrix: |r| [F, F] in that order."""

    step: int
    order: filter_order.Order
    matrix: np.ndarray


class Plane(NamedTuple):
    """runs [m]: positions in the ensemble; points [m, 2]; left_out: {why: how many runs}."""

    runs: np.ndarray
    points: np.ndarray
    left_out: dict[str, int]


class Counts(NamedTuple):
    """step int64 [K]; values [M, K], NaN where a run has no row; left_out: {why: how many runs}."""

    step: np.ndarray
    values: np.ndarray
    left_out: dict[str, int]


class Matrices:
    """What the views of the filters show of one ensemble. Its methods are called from threads."""

    def __init__(self, ensemble_: ensemble.Ensemble):
        self.ensemble = ensemble_
        self.layers = ensemble_.layers
        self.runs = np.flatnonzero(ensemble_.comparable)
        self._orders: OrderedDict[tuple, Ordered | None] = OrderedDict()
        self._planes: dict[tuple, np.ndarray] = {}
        self._steps: np.ndarray | None = None

    def steps(self) -> np.ndarray:
        """Iterations [K] with correlations of any comparable run, ascending."""
        if self._steps is None:
            found = [ensemble.correlations(self.ensemble, int(i), self.layers[0])[0] for i in self.runs]
            self._steps = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
        return self._steps

    def ordered(self, member: int, layer: str, time: int) -> Ordered | str:
        """The matrix of a run at its latest row up to a time, in its order; or why there is none."""
        if not self.ensemble.comparable[member]:
            return "another network or no correlations"
        step, r = ensemble.correlations(self.ensemble, member, layer)
        if not len(step) or (step[-1] < time and not self.ensemble.holds[member]):
            return "not come so far"
        row = max(0, int(np.searchsorted(step, time, side="right")) - 1)
        key = (member, layer, row)
        if key not in self._orders:
            matrix = np.asarray(r[row])
            found = None
            if np.isfinite(matrix).all():
                order = filter_order.order_filters(matrix)
                found = Ordered(int(step[row]), order, np.abs(matrix)[np.ix_(order.order, order.order)])
            self._orders[key] = found
            while len(self._orders) > MOST_ORDERS:
                self._orders.popitem(last=False)
        return self._orders.get(key) or "not finite"

    def counts(self, layer: str, threshold: float, counted: str, progress) -> Counts:
        """How many pairs, or filters in them, of each run are above the threshold, over time."""
        steps, count = (
            self.steps(),
            correlated.pairs_above if counted == "pairs" else correlated.filters_above,
        )
        values = np.full((len(self.ensemble.names), len(steps)), np.nan)
        for number, member in enumerate(self.runs):
            progress(number / len(self.runs), "Counting correlated filters")
            step, r = ensemble.correlations(self.ensemble, int(member), layer)
            values[member, np.searchsorted(steps, step)] = count(r, threshold)
        return Counts(steps, values, self._others())

    def plane(self, layer: str, time: int, method: str, progress) -> Plane:
        """The runs as points, near one another where their matrices are alike, aligned with the last time."""
        found, left_out = {}, self._others()
        for number, member in enumerate(self.runs):
            progress(0.8 * number / len(self.runs), "Comparing the runs")
            one = self.ordered(int(member), layer, time)
            if isinstance(one, str):
                left_out[one] = left_out.get(one, 0) + 1
            else:
                found[int(member)] = one.matrix
        runs = np.array(list(found), int)
        if not len(runs):
            return Plane(runs, np.empty((0, 2)), left_out)
        progress(0.8, "Projecting the runs")
        key = (layer, time, method)
        if key not in self._planes:
            distance = run_similarity.distance(run_similarity.similarity(list(found.values())))
            self._planes[key] = self._aligned(key, runs, np.maximum(distance, 0), progress)
        return Plane(runs, self._planes[key][runs], left_out)

    def _aligned(self, key, runs, distance, progress) -> np.ndarray:
        """Points [M, 2], NaN for runs that are not there, turned onto those of the last time."""
        layer, time, method = key
        points = np.full((len(self.ensemble.names), 2), np.nan)
        last = int(self.steps()[-1])
        onto = None
        if time < last:
            end = self.plane(layer, last, method, progress)
            onto = np.full_like(points, np.nan)
            onto[end.runs] = end.points
        points[runs] = embedding.embed(distance, method, onto=None if onto is None else onto[runs])
        return points

    def _others(self) -> dict[str, int]:
        count = len(self.ensemble.names) - len(self.runs)
        return {"another network or no correlations": count} if count else {}


def said(left_out: dict[str, int]) -> str:
    """Runs that are left out, in words; "" where none is."""
    if not left_out:
        return ""
    parts = [f"{count:,} ({why})" for why, count in left_out.items()]
    return f" Left out: {', '.join(parts)}."
