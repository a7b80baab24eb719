"""Charts in bands of one figure: values become heights in pixels, and all bands' glyphs are collected here.

The vertical axis of such a figure counts pixels downwards from 0 (so it is negative), which keeps bands of
any height in one figure and lets two figures beside each other share it. No Bokeh here.
"""

from typing import NamedTuple

import numpy as np

from server.pages.tracker.layers.pixels import buckets

POINTS = 60_000  # of all lines together; beyond that each is resampled
FEWEST = 200  # columns a line keeps however many lines there are

SHAPES = {
    "lines": ("xs", "ys", "colour", "width", "dash"),
    "areas": ("xs", "ys", "colour", "alpha"),
    "boxes": ("left", "right", "top", "bottom", "colour"),
    "strokes": ("x0", "y0", "x1", "y1", "colour", "dash"),
    "values": ("image", "y", "dh", "label"),
}


class Scale(NamedTuple):
    """Values from low to high over a band; log: of their logarithms, unknown where they are not above 0."""

    low: float
    high: float
    log: bool = False

    def share(self, values) -> np.ndarray:
        """Values as heights in [0, 1], NaN where there are none; beyond the ends they are clipped."""
        low, high, values = self.low, self.high, np.asarray(values, float)
        if self.log:
            low, high = np.log(low), np.log(high)
            values = np.log(np.where(values > 0, values, np.nan))
        return np.clip((values - low) / (high - low), 0, 1)


class Place(NamedTuple):
    """A band of the figure: its upper end and its height in pixels."""

    top: float
    height: float

    def y(self, share) -> np.ndarray:
        """Heights in [0, 1] as places on the figure's axis."""
        return -self.top - self.height * (1 - np.asarray(share, float))


class Drawing:
    """Collects the glyphs of all bands; columns(kind) gives what a ColumnDataSource takes."""

    def __init__(self):
        self._rows: dict[str, dict[str, list]] = {k: {n: [] for n in names} for k, names in SHAPES.items()}
        self._more: dict[str, list] = {}

    def columns(self, kind: str) -> dict[str, list]:
        """One of SHAPES; "values" with what `value` was given."""
        return self._rows[kind] | (self._more if kind == "values" else {})

    def add(self, kind: str, *cells) -> None:
        """A glyph, its columns in the order of SHAPES."""
        for column, cell in zip(self._rows[kind].values(), cells, strict=True):
            column.append(cell)

    def line(self, x, y, colour: str, dash: str = "solid") -> None:
        """A line; gaps where y is NaN."""
        self.add("lines", x, y, colour, 1.5, dash)

    def area(self, x, low, high, colour: str, alpha: float = 1.0) -> None:
        """Between two curves, in pieces where either is NaN."""
        known = np.isfinite(low) & np.isfinite(high)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(np.int8), [0]])))
        for first, last in edges.reshape(-1, 2):
            part = slice(first, last)
            around = np.concatenate([x[part], x[part][::-1]])
            self.add("areas", around, np.concatenate([high[part], low[part][::-1]]), colour, alpha)

    def stroke(self, x0, y0, x1, y1, colour: str, dash: str = "solid") -> None:
        """A straight line."""
        self.add("strokes", x0, y0, x1, y1, colour, dash)

    def value(self, place: Place, label: str, **values) -> None:
        """What a reader who points at a band is told: values [D] by name."""
        first = np.asarray(next(iter(values.values())), np.float32)
        self.add(
            "values", np.zeros((1, len(first)), np.uint8), -place.top - place.height, place.height, label
        )
        for name, numbers in values.items():
            self._more.setdefault(name, []).append(np.asarray(numbers, np.float32)[None])


def envelope(values, most: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of a line through values [D] in at most about `most` points; every extreme is kept."""
    values = np.asarray(values, float)
    starts = buckets(len(values), max(1, most // 2))
    if 2 * len(starts) >= len(values):
        return np.arange(len(values), dtype=float), values
    ends = [*starts[1:], len(values)]
    at: list[int] = []
    for first, last in zip(starts, ends, strict=True):
        part = values[first:last]
        known = np.isfinite(part)
        if not known.any():
            at.append(first)
            continue
        pair = {int(np.where(known, part, np.inf).argmin()), int(np.where(known, part, -np.inf).argmax())}
        at += [first + i for i in sorted(pair)]
    return np.array(at, float), values[at]


def points(lines: int) -> int:
    """Points that each of so many lines may have."""
    return max(FEWEST, POINTS // max(1, lines))


def extent(values, log: bool, marks=()) -> Scale:
    """The Scale of all finite values (of those above 0, on a logarithmic one) and of `marks`."""
    values = np.concatenate([np.ravel(values), np.asarray(marks, float)]).astype(float)
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not len(values):
        return Scale(0.1, 1.0, True) if log else Scale(0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2)
    return Scale(low, high, log)
