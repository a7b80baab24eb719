"""Where the grid's lines stand: mini-sets from top to bottom, anomaly iterations from left to right.

A mini-set is as high as it has filters and a layer as high as its mini-sets; a class is as wide as it has
anomaly iterations. Between layers and between classes is a gap, so that blocks can be told apart.
"""

from typing import NamedTuple

import numpy as np

from gdlab.analysis.correlation import Grid

GAP = 0.02  # of the whole extent, shared by all gaps on an axis


class Blocks(NamedTuple):
    """low, high [n]: extents of the lines; block_low, block_high [b]: of layers or classes; end: of all."""

    low: np.ndarray
    high: np.ndarray
    block_low: np.ndarray
    block_high: np.ndarray
    end: float

    @property
    def middle(self):
        """Of the lines, [n]."""
        return (self.low + self.high) / 2

    @property
    def block_middle(self):
        """Of the layers or classes, [b]."""
        return (self.block_low + self.block_high) / 2

    def at(self, position: float) -> int | None:
        """The line at a position; None in a gap or outside."""
        inside = np.flatnonzero((self.low <= position) & (position < self.high))
        return int(inside[0]) if len(inside) else None

    def block_at(self, position: float) -> int | None:
        """The layer or class at a position; None in a gap or outside."""
        inside = np.flatnonzero((self.block_low <= position) & (position < self.block_high))
        return int(inside[0]) if len(inside) else None


def blocks(place, size) -> Blocks:
    """Lines of `size` [n] one after another, in blocks: place [n] is each line's block, ascending from 0."""
    place, size = np.asarray(place, np.int64), np.asarray(size, float)
    count = int(place[-1]) + 1 if len(place) else 0
    gap = GAP * size.sum() / max(count, 1)
    high = np.cumsum(size) + gap * place
    low = high - size
    first = np.searchsorted(place, np.arange(count))
    last = np.searchsorted(place, np.arange(count), side="right") - 1
    end = float(high[-1]) if len(high) else 1.0
    return Blocks(low, high, low[first], high[last], end)


class Layout(NamedTuple):
    """rows: Blocks of the mini-sets in layers; columns: Blocks of the anomaly iterations in classes."""

    rows: Blocks
    columns: Blocks


def layout(grid: Grid, abstract: bool) -> Layout:
    """The Layout of a grid; abstract: one line of the same size per layer and class."""
    if abstract:
        even = (np.arange(len(grid.layers)), np.arange(len(grid.classes)))
        return Layout(*(blocks(place, np.ones(len(place))) for place in even))
    parts, columns = grid.parts.columns, grid.columns.columns
    return Layout(
        blocks(parts["place"], parts["size"]), blocks(columns["place"], np.ones(len(columns["place"])))
    )


def filters_of(grid: Grid, part: int) -> np.ndarray:
    """The filters of a mini-set."""
    stop = grid.parts.columns["stop"]
    return grid.filters[(stop[part - 1] if part else 0) : stop[part]]


def parts_with(grid: Grid, filters) -> np.ndarray:
    """The mini-sets that hold any of some filters, ascending."""
    holds = np.isin(grid.filters, np.asarray(filters, np.int64))
    of_filter = np.repeat(np.arange(len(grid.parts.columns["size"])), grid.parts.columns["size"])
    return np.unique(of_filter[holds])


def strips(grid: Grid, change, parts) -> np.ndarray:
    """Mean change of the filters of some mini-sets, float [parts, D]; change [D, F]; NaN where unknown."""
    parts = np.asarray(parts, np.int64)
    if not len(parts):
        return np.empty((0, len(change)))
    sizes = grid.parts.columns["size"][parts]
    begin = np.cumsum(sizes) - sizes
    of_part = np.repeat(np.arange(len(parts)), sizes)
    within = np.arange(len(of_part)) - begin[of_part]
    first = grid.parts.columns["stop"][parts] - sizes
    values = np.asarray(change)[:, grid.filters[first[of_part] + within]]
    known = np.isfinite(values)
    total = np.add.reduceat(np.where(known, values, 0), begin, axis=1)
    count = np.add.reduceat(known.astype(np.float32), begin, axis=1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0).T
