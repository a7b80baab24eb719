"""The overview: one dot (k, J(theta_k)) per iteration, on the axis that shows it best.

Where the mini-batch changes, an iteration has two errors: the one its predecessor arrived at, on the
old batch, and the one it leaves from, on the new batch. Both are dots. Long curves come as min/max
envelopes from the store; smoothing always runs over every iteration, never over the drawn sample.
"""

from bisect import bisect_left, bisect_right

import numpy as np

from gdlab.records import Table

SCALES = ("auto", "log", "linear", "symlog")
# Limits of an axis, so that their difference, and what lies a little beyond them, is still a number.
LARGEST, SMALLEST = 8e307, 1e-307
DECADES = (-307.0, 308.0)


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
    around it; no finite value at all gives (0, 1) or, on a log axis, (0.1, 1). Limits are finite and
    differ by a finite number, however large the values are.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if scale == "log":
        values = np.log10(values[values > 0])
    if not values.size:
        return (0.1, 1.0) if scale == "log" else (0.0, 1.0)
    ends = DECADES if scale == "log" else (-LARGEST, LARGEST)
    low, high = (float(np.clip(end, *ends)) for end in (values.min(), values.max()))
    width = high - low
    if width == 0:
        width = 1.0 if scale == "log" else abs(low) or 1.0
    low, high = low - margin * width, high + margin * width
    return _powers(low, high) if scale == "log" else limits(low, high)


def limits(low: float, high: float, scale: str = "linear") -> tuple[float, float]:
    """Limits that an axis can have: finite, one below the other, and with a finite difference."""
    if scale == "log":
        return _powers(*(float(np.log10(max(end, SMALLEST))) for end in (low, high)))
    low, high = (float(np.clip(end, -LARGEST, LARGEST)) for end in (low, high))
    size = max(abs(low), abs(high))
    if not high - low > 1e-14 * size or size < SMALLEST:
        half = 0.5 * size if size >= SMALLEST else 0.5
        low, high = max(low - half, -LARGEST), min(high + half, LARGEST)
    return low, high


def _powers(low: float, high: float) -> tuple[float, float]:
    """10^low and 10^high, as limits of an axis."""
    low, high = (float(np.clip(end, *DECADES)) for end in (low, high))
    if not high - low > 1e-9:
        low, high = max(low - 0.5, DECADES[0]), min(high + 0.5, DECADES[1])
    return 10.0**low, 10.0**high


def symlog(values, threshold: float):
    """Signed logarithm `sign(v) log10(1 + |v| / threshold)`: linear near zero, monotone everywhere."""
    values = np.asarray(values, float)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        times = np.abs(values) / threshold
        far = np.log10(np.abs(values)) - np.log10(threshold)  # where the quotient is too large for a number
        return np.sign(values) * np.where(np.isinf(times), far, np.log10(1.0 + times))


def symlog_threshold(values) -> float:
    """Where a symlog axis turns linear: the lowest decile of the magnitudes that are not zero."""
    magnitude = np.abs(np.asarray(values, float))
    magnitude = magnitude[np.isfinite(magnitude) & (magnitude > 0)]
    return float(np.quantile(magnitude, 0.1)) if magnitude.size else 1.0


def symlog_ticks(low: float, high: float, threshold: float) -> dict[float, float]:
    """Ticks of a symlog axis between two transformed limits: {transformed position: value}."""
    top, base = max(abs(low), abs(high)), float(np.log10(threshold))
    # The logarithm of the largest value, threshold (10^top - 1), which itself may be no number.
    largest = base + (top if top > 15 else float(np.log10(max(10.0**top - 1.0, 1.0))))
    first, last = int(np.floor(base)), int(np.ceil(largest))
    stride = max(1, -(-(last - first) // 4))
    values = [10.0**exponent for exponent in range(last, first - 1, -stride) if exponent <= 308]
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
