"""Pictures of error rates and of single images: a column is a dump, or a few where there are very many."""

from typing import NamedTuple

import numpy as np

from gdlab.analysis import class_curves

MOST_COLUMNS = 1600  # sent at once: about the pixels of a wide frame
PIECE = 8  # dumps read at once; chunks hold a multiple of it
NAMED = 6  # wrong labels of a class that have a colour of their own
RIGHT, WRONG, OTHER = 0, 1, NAMED + 1  # codes of pixels; 1 ... NAMED: the most frequent wrong labels


class Columns(NamedTuple):
    """Dumps first ... last - 1, `step` of them to a column."""

    first: int
    last: int
    step: int

    @property
    def left(self) -> float:
        """Where the first column begins on the axis of dumps."""
        return self.first - 0.5

    @property
    def width(self) -> float:
        """How long the columns are on that axis."""
        return -(-(self.last - self.first) // self.step) * self.step


def columns(start: float, end: float, count: int) -> Columns:
    """The columns for the visible stretch of an axis of `count` dumps: all of them, or a stretch with as
    much again on both sides, of which several make a column where there are more than MOST_COLUMNS."""
    if count <= MOST_COLUMNS:
        return Columns(0, count, 1)
    width = max(1.0, end - start)
    step = max(1, int(3 * width // MOST_COLUMNS))
    first = int(np.clip((start - width) // step * step, 0, count - 1))
    last = int(np.clip(np.ceil(end + width), first + 1, count))
    return Columns(first, last, step)


def covers(sent: Columns, start: float, end: float, count: int) -> bool:
    """Whether columns that were sent still serve the visible stretch of the axis."""
    wanted = columns(start, end, count)
    low, high = max(0.0, start), min(count - 0.5, end)
    inside = sent.left <= low + 0.5 and high - 0.5 <= sent.left + sent.width
    return inside and sent.step <= wanted.step


def stripe(rates, shown: Columns) -> np.ndarray:
    """Error rates [D] as one row of columns [1, m], means where several dumps make a column."""
    part = np.asarray(rates, np.float32)[shown.first : shown.last]
    if shown.step == 1:
        return part[None]
    begins = np.arange(0, len(part), shown.step)
    sizes = np.diff(np.append(begins, len(part)))
    return (np.add.reduceat(part, begins) / sizes)[None]


def highest(rates) -> float:
    """The error rate at which colours end: 1, 2 or 5 times a power of ten, above all but 2 % of the rates
    [C, D] in the last nine tenths of the dumps; 1 where there are none."""
    late = np.asarray(rates)[:, np.asarray(rates).shape[1] // 10 :]
    late = late[np.isfinite(late)]
    wanted = float(np.quantile(late, 0.98)) if late.size else 1.0
    levels = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    return next((level for level in levels if wanted <= level), 1.0)


def history(dumps, first: int, last: int) -> np.ndarray:
    """Predicted labels of the images first ... last - 1 over all dumps, uint16 [D, last - first].

    Read few dumps at a time: as long as they lie in one chunk they are not copied, which for a class of a
    thousand is thirty times as fast as reading the whole record.
    """
    parts = [dumps.predicted(at, at + PIECE)[:, first:last] for at in range(0, dumps.count, PIECE)]
    return np.concatenate(parts) if parts else np.empty((0, last - first), np.uint16)


class Pixels(NamedTuple):
    """The images of a class, best recognised first. images [n]: positions; code uint8 [n, m]: RIGHT, WRONG
    or the place of the wrong label; label uint16 [n, m]: what each was taken for; labels: the wrong labels
    that have a code (1, 2, ...), most frequent first."""

    images: np.ndarray
    code: np.ndarray
    label: np.ndarray
    labels: tuple[int, ...]


def pixels(labels, true: int, first: int, shown: Columns, *, wrong_labels: bool) -> Pixels:
    """Pixels of a class from its predicted labels [D, n]; first: position of its first image.

    Where several dumps make a column it shows the last of them.
    """
    record = np.asarray(labels)
    share = class_curves.images(record == true).columns["share_right"]
    order = np.argsort(-share, kind="stable")
    at = np.minimum(np.arange(shown.first, shown.last, shown.step) + shown.step, shown.last) - 1
    label = np.ascontiguousarray(record[at][:, order].T)
    code = (label != true).astype(np.uint8)
    named: tuple[int, ...] = ()
    if wrong_labels:
        values, count = np.unique(record[record != true], return_counts=True)
        top = values[np.argsort(-count, kind="stable")][:NAMED]
        named = tuple(int(value) for value in top)
        code *= OTHER
        for place, value in enumerate(named):
            code[label == value] = place + 1
    return Pixels(first + order, code, label, named)
