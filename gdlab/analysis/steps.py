"""The overview: one dot (k, J(theta_k)) per iteration, on the axis that shows it best.

Where the mini-batch changes, an iteration has two errors: the one its predecessor arrived at, on the
old batch, and the one it leaves from, on the new batch. Both are dots. Long curves come as min/max
envelopes from the store; smoothing always runs over every iteration, never over the drawn sample.
"""

from bisect import bisect_left, bisect_right

import numpy as np

from gdlab.records import Table

SCALES = ("auto", "log", "linear", "symlog")


def dots(steps: Table) -> Table:
    """Dots of the error curve from a "steps" table of n rows (consecutive iterations).

    Returns (iteration, loss, arrived, two) [n]: `loss` is the error an iteration leaves from,
    `arrived` the error its predecessor ended at (NaN for the first row), and `two` is True where
    the batch changed in between, so that both are drawn. Becker 2019, Figure 6(b).
    """
    loss, end = steps.columns["loss"], steps.columns["loss_end"]
    arrived = np.concatenate([[np.nan], end[:-1]])[: len(loss)]
    fresh = np.nan_to_num(steps.columns["new_descent"]).astype(bool)
    two = fresh & np.isfinite(arrived) & (arrived != loss)
    columns = {"iteration": steps.columns["iteration"], "loss": loss, "arrived": arrived, "two": two}
    return Table(columns, dict.fromkeys(columns, ("iteration",)), {})


def axis_scale(values, requested: str = "auto") -> str:
    """The error axis: "log" where all finite values are positive, else "linear", unless requested.

    A requested "log" with values that are not positive becomes "symlog", which can show them.
    Raises ValueError where `requested` is not one of SCALES.
    """
    if requested not in SCALES:
        raise ValueError(f"axis scale {requested!r} is not one of {', '.join(SCALES)}")
    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    positive = bool(finite.size) and bool(finite.min() > 0)
    if requested == "auto":
        return "log" if positive else "linear"
    if requested == "log" and not positive and finite.size:
        return "symlog"
    return requested


def view_range(values, scale: str, *, margin: float = 0.05) -> tuple[float, float]:
    """Limits that hold every finite value with a margin, in the units of the data.

    On a log axis the margin is a share of the decades. A constant curve gets a range of its own
    around it; no finite value at all gives (0, 1) or, on a log axis, (0.1, 1).
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if scale == "log":
        values = np.log10(values[values > 0])
    if not values.size:
        return (0.1, 1.0) if scale == "log" else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    width = high - low
    if width == 0:
        width = 1.0 if scale == "log" else abs(low) or 1.0
    low, high = low - margin * width, high + margin * width
    return (10.0**low, 10.0**high) if scale == "log" else (low, high)


def symlog(values, threshold: float):
    """Signed logarithm `sign(v) log10(1 + |v| / threshold)`: linear near zero, monotone everywhere."""
    values = np.asarray(values, float)
    return np.sign(values) * np.log10(1.0 + np.abs(values) / threshold)


def symlog_threshold(values) -> float:
    """Where a symlog axis turns linear: the lowest decile of the magnitudes that are not zero."""
    magnitude = np.abs(np.asarray(values, float))
    magnitude = magnitude[np.isfinite(magnitude) & (magnitude > 0)]
    return float(np.quantile(magnitude, 0.1)) if magnitude.size else 1.0


def symlog_ticks(low: float, high: float, threshold: float) -> dict[float, float]:
    """Ticks of a symlog axis between two transformed limits: {transformed position: value}."""
    top = max(abs(low), abs(high))
    largest = threshold * (10.0**top - 1.0)
    first, last = int(np.floor(np.log10(threshold))), int(np.ceil(np.log10(max(largest, threshold))))
    stride = max(1, -(-(last - first) // 4))
    values = [10.0**exponent for exponent in range(last, first - 1, -stride)]
    ticks = [-value for value in values] + [0.0] + values[::-1]
    placed = {float(symlog(value, threshold)): value for value in ticks}
    return {position: value for position, value in placed.items() if low <= position <= high}


def smooth(values, weight: float) -> np.ndarray:
    """Exponential moving average of [n] values with debiased start; gaps (NaN, inf) stay gaps (NaN).

    `weight` in [0, 1) is the share of the past; 0 returns the values. Computed by recursive doubling,
    `y[i] += w^s y[i - s]` for s = 1, 2, 4, ..., which is exact, needs log(n) vector operations and is
    independent of how the values are cut. Raises ValueError for a weight outside [0, 1).
    """
    if not 0 <= weight < 1:
        raise ValueError(f"smoothing {weight!r} is outside [0, 1)")
    values = np.asarray(values, float)
    if weight == 0:
        return values.copy()
    known = np.isfinite(values)
    total = (1 - weight) * values[known]
    shift = 1
    while shift < len(total) and weight**shift > 1e-17:
        total[shift:] += weight**shift * total[:-shift].copy()
        shift *= 2
    out = np.full(len(values), np.nan)
    out[known] = total / -np.expm1(np.log(weight) * np.arange(1, len(total) + 1))
    return out


def positions(seconds, low: float, high: float) -> tuple[int, int]:
    """Rows whose time lies in [low, high], one more on each side; `seconds` [n] does not decrease."""
    start = bisect_left(seconds, low)
    stop = bisect_right(seconds, high)
    return max(0, start - 1), min(len(seconds), stop + 1)


def ranges(iterations, *, limit: int = 4) -> str:
    """Iterations in words: "25-27, 30"; beyond `limit` runs the rest is counted."""
    numbers = np.unique(np.asarray(iterations, int))
    if not numbers.size:
        return ""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    words = [f"{run[0]}" if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs[:limit]]
    if len(runs) > limit:
        words.append(f"and {sum(len(run) for run in runs[limit:])} more")
    return ", ".join(words)
