"""Pyramids of minimum, maximum and number of non-finite values, so that any zoom is answered at once.

Level 1 summarises 16 rows, level 2 sixteen rows of level 1, and so on; only complete groups are
stored. An interval is answered by the coarsest level that is fine enough for its middle and by
finer ones for both ends, so the answer is exact: no spike is lost, none comes from outside.
"""

import numpy as np

from gdlab.store.spec import ArraySpec, layout
from gdlab.store.stream import Stream

FACTOR = 16
_MAX_LEVELS = 10


def level_name(name, level):
    """Name of the array that holds a level (1, 2, ...) of the pyramid over array `name`."""
    return f"envelope/{name}/L{level}"


def is_level(name):
    """True for the arrays that hold pyramids; the writer alone fills them."""
    return name.startswith("envelope/")


def summarise(rows):
    """Minimum, maximum, non-finite count [g, S, 3] of values [g, 16, S]; NaN where none is finite."""
    finite = np.isfinite(rows)
    values = np.where(finite, rows, np.nan)
    out = np.empty((rows.shape[0], rows.shape[2], 3))
    np.fmin.reduce(values, axis=1, out=out[..., 0])
    np.fmax.reduce(values, axis=1, out=out[..., 1])
    out[..., 2] = rows.shape[1] - np.count_nonzero(finite, axis=1)
    return out


def combine(stats, axis):
    """The same three numbers (last axis) over several groups of rows along `axis`."""
    low, high, bad = stats[..., 0], stats[..., 1], stats[..., 2]
    return np.stack([np.fmin.reduce(low, axis), np.fmax.reduce(high, axis), bad.sum(axis)], axis=-1)


class Pyramid:
    """The writer's side: rows go in as they are accepted, complete groups go on to the levels' streams."""

    def __init__(self, folder, base, streams=()):
        self.base = base
        self.levels = list(streams)
        self._folder = folder
        self._tails = [np.empty((0, *base.row_shape))]
        self._tails += [np.empty((0, *base.row_shape, 3)) for _ in self.levels]

    def restore(self, base_stream):
        """Fetch the rows of each level that wait for their group to become complete."""
        below = base_stream
        for level, stream in enumerate([*self.levels, None]):
            done = stream.rows if stream else below.rows // FACTOR
            self._tails[level] = below.read(done * FACTOR, below.rows).astype(float)
            below = stream

    def feed(self, rows):
        """Summarise newly accepted base rows [n, S]."""
        new, reduce = np.asarray(rows, float), summarise
        for level in range(_MAX_LEVELS):
            waiting = np.concatenate([self._tails[level], new]) if len(self._tails[level]) else new
            groups = len(waiting) // FACTOR
            self._tails[level] = waiting[groups * FACTOR :].copy()
            if not groups:
                return
            grouped = waiting[: groups * FACTOR].reshape(groups, FACTOR, *waiting.shape[1:])
            new = reduce(grouped) if level == 0 else combine(grouped, axis=1)
            self._level(level).add(new)

    def _level(self, level):
        if level == len(self.levels):
            shape = (*self.base.row_shape, 3)
            name = level_name(self.base.name, level + 1)
            row = f"{self.base.name}_L{level + 1}"
            dims = (row, f"{self.base.name}_column", "statistic")
            spec = ArraySpec("f8", shape, ("minimum", "maximum", "nonfinite"), dims)
            self.levels.append(Stream(self._folder, layout(name, spec)))
            self._tails.append(np.empty((0, *shape)))
        return self.levels[level]


def query(read, rows, column, start, stop, points):
    """Envelope of one column over rows [start, stop) in at most `points` (2 or more) buckets.

    read(level, column, start, stop) gives one column of a level, level 0 being the values [n], others
    [n, 3]; rows[level] counts the rows of each. Returns rows per bucket, first rows [b], statistics [b, 3].
    """
    bucket = max(1, -(-(stop - start) // points))
    if bucket == 1:
        return 1, np.arange(start, stop), _raw(read, column, start, stop)
    top = 0
    while FACTOR ** (top + 1) <= bucket and top + 1 < len(rows):
        top += 1
    unit = FACTOR**top
    bucket = -(-bucket // unit) * unit
    # Buckets are aligned to their own width, so that panning does not make the curve flicker; one
    # more may then be needed than rows / width.
    while (stop - 1) // bucket - start // bucket >= points:
        bucket += unit
    first_rows, pieces = [], []
    for level, a, b in _pieces(top, rows, start, stop):
        width = FACTOR**level
        first_rows.append(np.arange(a, b) * width)
        pieces.append(_raw(read, column, a, b) if level == 0 else read(level, column, a, b))
    firsts, stats = np.concatenate(first_rows), np.concatenate(pieces)
    number = firsts // bucket
    edges = np.flatnonzero(np.concatenate([[True], number[1:] != number[:-1]]))
    low = np.fmin.reduceat(stats[:, 0], edges)
    high = np.fmax.reduceat(stats[:, 1], edges)
    return bucket, firsts[edges], np.stack([low, high, np.add.reduceat(stats[:, 2], edges)], axis=1)


def _pieces(level, rows, start, stop):
    """[(level, first, end)] in order, covering base rows [start, stop) exactly once, coarse in the middle."""
    if start >= stop:
        return []
    if level == 0:
        return [(0, start, stop)]
    width = FACTOR**level
    first, end = -(-start // width), min(stop // width, rows[level])
    if first >= end:
        return _pieces(level - 1, rows, start, stop)
    head = _pieces(level - 1, rows, start, first * width)
    return [*head, (level, first, end), *_pieces(level - 1, rows, end * width, stop)]


def _raw(read, column, start, stop):
    values = read(0, column, start, stop).astype(float)
    finite = np.isfinite(values)
    values = np.where(finite, values, np.nan)
    return np.stack([values, values, ~finite], axis=1)
