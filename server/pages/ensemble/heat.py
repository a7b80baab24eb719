"""A measure over pairs of hyper-parameters: which pair, which measures, and the cells.

A hyper-parameter of few values has a cell for each; one of many is cut into intervals of the same length on
its axis. The value of a cell is the mean over its runs of the mean of the chosen measures, after clamping and
rescaling to the measures' axes. Hamid 2019, Figure 1 (b).
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from gdlab.analysis import colours, performance
from server.pages.ensemble import axes
from server.pages.ensemble.shared import Shared
from server.pages.ensemble.shared import shared as shared_of

MOST_LEVELS, INTERVALS = 16, 10


class Levels(NamedTuple):
    """labels of the cells along an axis; place float64 [M]: the cell of each run, NaN where it has none."""

    labels: list[str]
    place: np.ndarray


class Grid(NamedTuple):
    """mean [Y, X] of the runs in each cell, runs: how many these are; x, y [M]: the cell of each run, NaN
    where it is in none."""

    mean: np.ndarray
    runs: np.ndarray
    x: np.ndarray
    y: np.ndarray


class Heat:
    """What the heat maps show: x and y, names of hyper-parameters; measures, names out of P1 to P3. Emits
    "pair" when these are others."""

    def __init__(self, shared: Shared):
        self.shared, self.context = shared, shared.context
        state = self.context.state
        self.wanted = {"x": state.get("ens_x", ""), "y": state.get("ens_y", "")}
        chosen = [name for name in state.get("ens_by", "P1,P2").split(",") if name in axes.MEASURES]
        self.measures = tuple(chosen) or ("P1", "P2")
        self.context.on("show", self._write)

    @property
    def names(self) -> list[str]:
        """The hyper-parameters that differ, in the order of the axes."""
        return [axis.name for axis in self.shared.axes if not axis.measure and not axis.constant]

    @property
    def pair(self) -> tuple[str, str] | None:
        """(x, y): as chosen where these are there, else the first two; None below two."""
        names = self.names
        if len(names) < 2:
            return None
        x = self.wanted["x"] if self.wanted["x"] in names else names[0]
        y = self.wanted["y"] if self.wanted["y"] in names and self.wanted["y"] != x else ""
        return x, y or next(name for name in names if name != x)

    def pairs(self, most: int) -> list[tuple[str, str]]:
        """(x, y) of all pairs of the first `most` hyper-parameters."""
        return list(combinations(self.names[:most], 2))

    def choose(self, x: str, y: str) -> None:
        """Another pair; the same name twice swaps the two."""
        before = self.pair
        if before is None:
            return
        if x == y:
            x, y = (x, before[0]) if x != before[0] else (before[1], y)
        if (x, y) != before:
            self.wanted = {"x": x, "y": y}
            self._write()
            self.context.emit("pair")

    def measure(self, names) -> None:
        """Other measures, at least one."""
        names = tuple(name for name in axes.MEASURES if name in names)
        if names and names != self.measures:
            self.measures = names
            self._write()
            self.context.emit("pair")

    def values(self) -> np.ndarray:
        """float64 [M] in [0, 1], NaN for runs that lack one of the measures."""
        return np.mean([self.shared.axis(name).rescaled() for name in self.measures], axis=0)

    def plane(self, pair) -> tuple[np.ndarray, np.ndarray]:
        """Places [M] of the runs in [0, 1] along both sides of the square of colours, NaN where missing."""
        count = self.shared.count
        if pair is None:
            return np.full(count, 0.5), np.full(count, 0.5)
        a, b = (colours.positions(levels(self.shared.axis(name)).place) for name in pair)
        return a, b

    def grid(self, x: str, y: str) -> Grid:
        """The cells of a pair."""
        return grid(levels(self.shared.axis(x)), levels(self.shared.axis(y)), self.values())

    def _write(self) -> None:
        by = ",".join(self.measures)
        keys = {f"ens_{side}": name or None for side, name in self.wanted.items()}
        self.context.state.update(keys | {"ens_by": None if by == "P1,P2" else by})


def heat(shared: Shared) -> Heat:
    """The Heat of a page."""
    return shared.context.shared(_heat)


def _heat(context) -> Heat:
    return Heat(shared_of(context))


def levels(axis: axes.Axis) -> Levels:
    """The cells along an axis. Values beyond the axis's range belong to its first and last cell."""
    values = axis.clamped()
    known = np.isfinite(values)
    found = np.unique(values[known])
    if axis.words or len(found) <= MOST_LEVELS:
        place = np.where(known, np.searchsorted(found, values), np.nan)
        return Levels([axis.label(float(value)) for value in found], place)
    edges = np.linspace(0, 1, INTERVALS + 1)
    place = np.where(known, np.clip(np.floor(axis.position(values) * INTERVALS), 0, INTERVALS - 1), np.nan)
    low, high = np.log10([axis.low, axis.high]) if axis.log else (axis.low, axis.high)
    middles = low + (high - low) * (edges[:-1] + edges[1:]) / 2
    return Levels([axis.label(float(10**m if axis.log else m)) for m in middles], place)


def grid(x: Levels, y: Levels, values) -> Grid:
    """The Grid of two axes and a measure [M]; a run without the measure has a cell and adds nothing to it."""
    found = performance.cells(y.place, x.place, values)
    mean = np.full((len(y.labels), len(x.labels)), np.nan)
    mean[np.ix_(found.rows.astype(int), found.columns.astype(int))] = found.mean
    inside = np.isfinite(x.place) & np.isfinite(y.place)
    count = np.zeros(mean.shape, int)
    used = inside & np.isfinite(values)
    np.add.at(count, (y.place[used].astype(int), x.place[used].astype(int)), 1)
    return Grid(mean, count, np.where(inside, x.place, np.nan), np.where(inside, y.place, np.nan))
