"""The axes of the parallel coordinates: hyper-parameters first, measures after them.

An axis has a range; values outside it are clamped to its ends, in every view that uses the axis. Text
becomes positions 0, 1, ... in the order of the alphabet, numbers by size before it. A run that lacks a
value has none on the axis.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gdlab.analysis import performance
from gdlab.analysis.hyper import natural
from server.core import hyper
from server.ui import figures

MEASURES = {"P1": "{what} at {t:,}", "P2": "best {t0:,} – {t1:,}", "P3": "stable {t0:,} – {t1:,}"}
SPREAD = 50  # largest over smallest value from which an axis of positive numbers is logarithmic at first
FEW = 12  # different values up to which each of them has its tick
NEAR = 0.055  # of the axis, below which the labels of two ticks would touch
MOST_AXES = 40


class Setting(NamedTuple):
    """What the reader chose for an axis; None: as it comes."""

    low: float | None = None
    high: float | None = None
    log: bool | None = None
    hidden: bool | None = None


class Axis(NamedTuple):
    """values: float64 [M], NaN where missing; words: what the positions of a text stand for, else ().

    low, high: the range, low < high; log: only where low > 0; constant: one value in all runs; shown:
    whether it is drawn; measure: whether it is one of P1 to P3.
    """

    name: str
    caption: str
    values: np.ndarray
    words: tuple[str, ...]
    low: float
    high: float
    log: bool
    constant: bool
    shown: bool
    measure: bool

    def clamped(self) -> np.ndarray:
        """The values within the range."""
        return np.clip(self.values, self.low, self.high)

    def rescaled(self) -> np.ndarray:
        """The clamped values in [0, 1], linearly, as measures are averaged."""
        return performance.rescale(self.values, self.low, self.high)

    def position(self, values) -> np.ndarray:
        """Where values stand on the drawn axis, in [0, 1]."""
        scale = np.log10 if self.log else np.asarray
        low, high = scale(self.low), scale(self.high)
        return (scale(np.clip(np.asarray(values, float), self.low, self.high)) - low) / (high - low)

    def label(self, value: float) -> str:
        """A value in words."""
        if self.words:
            whole = 0 <= value < len(self.words) and value == int(value)
            return self.words[int(value)] if whole else ""
        return hyper.value(float(f"{value:.4g}"))


def build(
    parameters: Mapping[str, np.ndarray],
    measures: Mapping[str, np.ndarray],
    settings: Mapping[str, Setting],
    order: Sequence[str],
    times: Mapping[str, int],
    what: str = "accuracy",
) -> list[Axis]:
    """The axes in their order: `order` first, the others after them as they come.

    parameters: by name, numbers or texts [M]; measures: P1 to P3 [M]; times: t, t0 and t1 for captions;
    what: is measured.
    """
    axes = {}
    for name, values in {**parameters, **measures}.items():
        caption = MEASURES[name].format(what=what, **times) if name in measures else ""
        axes[name] = _axis(name, caption, np.asarray(values), settings.get(name, Setting()), name in measures)
    first = [name for name in order if name in axes]
    return [axes[name] for name in (*first, *(name for name in axes if name not in first))]


def ticks(axis: Axis) -> tuple[list[float], list[str]]:
    """Positions in [0, 1] and labels: every value where there are few, else round numbers."""
    found = np.unique(axis.values[np.isfinite(axis.values)])
    few = len(found) <= FEW and not axis.measure
    values = found[(axis.low <= found) & (found <= axis.high)]
    if not axis.words and not few:
        round_ = figures.log_ticks(axis.low, axis.high) if axis.log else _round(axis.low, axis.high)
        values = np.array(round_)
    if not axis.words:
        values = np.union1d(values, [axis.low, axis.high])
    ends = [value for value in (axis.low, axis.high) if value in values]
    taken: list[tuple[float, str]] = []
    for value in (*ends, *(value for value in values if value not in ends)):
        place = float(axis.position(value))
        if all(abs(place - other) >= NEAR for other, _ in taken):
            taken.append((place, axis.label(float(value))))
    taken.sort()
    return [place for place, _ in taken], [label for _, label in taken]


def settings(state) -> dict[str, Setting]:
    """What the address says of axes; what is malformed in it is left out."""
    found = {}
    for text in state.get_all("ens_axis")[: 2 * MOST_AXES]:
        try:
            name, low, high, log, hidden = json.loads(text)
            ends = [None if end is None else float(end) for end in (low, high)]
        except (ValueError, TypeError, RecursionError):
            continue
        flags = all(flag in (None, 0, 1) for flag in (log, hidden))
        if isinstance(name, str) and flags and all(end is None or math.isfinite(end) for end in ends):
            log, hidden = (None if flag is None else bool(flag) for flag in (log, hidden))
            found[name] = Setting(ends[0], ends[1], log, hidden)
    return found


def keys(settings: Mapping[str, Setting], order: Sequence[str]) -> dict[str, object]:
    """The address's keys for axes that the reader changed and for their order."""
    texts = []
    for name, each in settings.items():
        if each != Setting():
            flags = [None if flag is None else int(flag) for flag in (each.log, each.hidden)]
            content = [name, each.low, each.high, *flags]
            texts.append(json.dumps(content, separators=(",", ":"), ensure_ascii=False))
    return {"ens_axis": texts, "ens_order": list(order)}


def _axis(name, caption, raw, setting: Setting, measure: bool) -> Axis:
    words: tuple[str, ...] = ()
    if raw.dtype == object:
        words = tuple(natural({str(word) for word in raw if word != ""}))
        place = {word: float(i) for i, word in enumerate(words)}
        values = np.array([place.get(str(word), np.nan) for word in raw])
    else:
        values = raw.astype(float)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    # A value that some runs lack tells runs apart, too.
    constant = not len(known) or (low == high and (measure or len(known) == len(values)))
    low, high = _range(low, high, setting, measure)
    may = low > 0 and not words
    usual = may and not measure and high >= SPREAD * low
    log = may and (usual if setting.log is None else setting.log)
    shown = not (constant if setting.hidden is None else setting.hidden)
    return Axis(name, caption, values, words, low, high, log, constant, shown, measure)


def _range(low, high, setting, measure) -> tuple[float, float]:
    if low == high:
        margin = 0.5 * abs(low) or 0.5
        low, high = low - margin, high + margin
        if measure:
            low, high = max(0.0, low), min(1.0, high)
    low = low if setting.low is None else setting.low
    high = high if setting.high is None else setting.high
    if not low < high:  # ends of the address that fit no more
        low, high = (low, low + 1.0) if setting.high is None else (high - 1.0, high)
    return low, high


def _round(low, high) -> np.ndarray:
    quarter = high / 4 - low / 4  # the difference alone may be no number
    size = 10.0 ** math.floor(math.log10(quarter))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= quarter * 4 / 6)
    return np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
