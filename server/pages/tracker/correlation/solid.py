"""The cube's geometry: three faces that share their edges, as pixels of one picture.

Front: dumps from left to right, rows (filters) from top to bottom. Right: the same rows, columns (classes)
receding. Top: the same dumps, the same columns receding. Lengths are pixels, x to the right, y up, the
origin at the front's lower left corner. DeepTracker 2018, section 7.4 and Figure 9.
"""

from typing import NamedTuple

import numpy as np

from server.pages.tracker.correlation.layout import Blocks
from server.pages.tracker.correlation.raster import columns_of, nearest_lines, raster


class Solid(NamedTuple):
    """width, height: of the front face; depth: of the receding edge; skew: its angle above the horizontal
    in degrees, above 0 and below 90. All lengths in pixels."""

    width: float
    height: float
    depth: float
    skew: float

    @property
    def edge(self) -> tuple[float, float]:
        """(x, y) from the front to the back."""
        angle = np.radians(self.skew)
        return float(self.depth * np.cos(angle)), float(self.depth * np.sin(angle))

    def corners(self) -> dict[str, tuple[list, list]]:
        """{face: (xs, ys)} of "front", "right" and "top"."""
        (dx, dy), w, h = self.edge, self.width, self.height
        return {
            "front": ([0, w, w, 0], [0, 0, h, h]),
            "right": ([w, w + dx, w + dx, w], [0, dy, h + dy, h]),
            "top": ([0, w, w + dx, dx], [h, h, h + dy, h + dy]),
        }

    def point(self, along=None, down=None, back=None):
        """(x, y) of a place: along the dumps, down the rows, back the columns, each a share from 0 to 1. What
        is left out lies where its faces meet: along at the right, down at the top, back in front."""
        dx, dy = self.edge
        along, down = (1.0 if along is None else along), (0.0 if down is None else down)
        back = 0.0 if back is None else back
        return self.width * along + dx * back, self.height * (1 - np.asarray(down)) + dy * back

    def place(self, x: float, y: float) -> tuple[str | None, float, float]:
        """(face, first, second) under a point, shares from 0 to 1: front (along, down), right (back, down),
        top (along, back); (None, nan, nan) outside."""
        (dx, dy), w, h = self.edge, self.width, self.height
        if 0 <= x <= w and 0 <= y <= h:
            return "front", x / w, 1 - y / h
        back = (x - w) / dx
        if 0 <= back <= 1 and 0 <= y - back * dy <= h:
            return "right", back, 1 - (y - back * dy) / h
        back = (y - h) / dy
        if 0 <= back <= 1 and 0 <= x - back * dx <= w:
            return "top", (x - back * dx) / w, back
        return None, np.nan, np.nan


def roomy(lines: Blocks, pixels: float, least: float) -> Blocks:
    """The lines over about `pixels` pixels, none thinner than `least`: the extent grows where it must."""
    scale = pixels / lines.end
    size = np.maximum((lines.high - lines.low) * scale, least)
    high_before = np.concatenate([[0.0], lines.high[:-1]])
    gap = (lines.low - high_before) * scale
    high = np.cumsum(size + gap)
    low = high - size
    first = np.searchsorted(lines.low, lines.block_low)
    last = np.searchsorted(lines.high, lines.block_high)
    return Blocks(low, high, low[first], high[last], float(high[-1]) if len(high) else pixels)


def front(solid: Solid, rows: Blocks, values) -> np.ndarray:
    """values [rows, D] on the front face, float [height, width], the first row lowest; NaN in gaps."""
    values = np.asarray(values, float)
    lines = nearest_lines(rows, 0, rows.end, round(solid.height))
    edges, _, _ = columns_of(-0.5, values.shape[1] - 0.5, values.shape[1], round(solid.width))
    picture = raster(values, lines, edges)[::-1]
    return picture[:, _stretched(picture.shape[1], round(solid.width))]


def top(solid: Solid, columns: Blocks, values) -> np.ndarray:
    """values [columns, D] on the top face, float [edge's y, width + edge's x], the first row lowest;
    NaN outside."""
    values = np.asarray(values, float)
    dx, dy = solid.edge
    height, width = max(round(dy), 1), round(solid.width)
    lines = nearest_lines(columns, 0, columns.end, height)
    edges, _, _ = columns_of(-0.5, values.shape[1] - 0.5, values.shape[1], width)
    picture = raster(values, lines, edges)
    picture = picture[:, _stretched(picture.shape[1], width)]
    out = np.full((height, width + round(dx)), np.nan)
    for row in range(height):  # each row of pixels lies a little further to the right
        begin = min(round((row + 0.5) / height * dx), out.shape[1] - width)
        out[row, begin : begin + width] = picture[row]
    return out


def right(solid: Solid, rows: Blocks, columns: Blocks, cells) -> np.ndarray:
    """cells [rows, columns] on the right face, float [height + edge's y, edge's x], the first row lowest;
    NaN outside. A cell thinner than a pixel shows where a pixel's middle falls on it."""
    dx, dy = solid.edge
    height, width = round(solid.height), max(round(dx), 1)
    column = nearest_lines(columns, 0, columns.end, width)
    row = nearest_lines(rows, 0, rows.end, height)[::-1]
    face = np.asarray(cells, float)[np.maximum(row, 0)][:, np.maximum(column, 0)]
    face[row < 0] = np.nan
    face[:, column < 0] = np.nan
    out = np.full((height + round(dy), width), np.nan)
    for at in range(width):  # each column of pixels lies a little higher
        begin = min(round((at + 0.5) / width * dy), len(out) - height)
        out[begin : begin + height, at] = face[:, at]
    return out


def _stretched(count, pixels):
    """Which of `count` columns each of `pixels` pixels shows."""
    return np.minimum((np.arange(pixels) + 0.5) / pixels * count, count - 1).astype(int)
