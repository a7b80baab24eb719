"""How far the parameters move: step sizes over the iterations, and what early ones foretell.

The step size of iteration k is |theta_{k+1} - theta_k|, of the network or of one layer. Single ones are
noisy, so they are averaged over windows. Averages are taken block by block, so a run of a million
iterations needs no more memory than a short one. Kuchta 2023, chapter 5 ("Step Size").
"""

from collections.abc import Callable
from itertools import pairwise, permutations

import numpy as np

from gdlab.records import IDLE, Table

BLOCK = 1 << 17  # rows that are read at once
POINTS = 1000  # windows of a curve at most, unless said otherwise
EXACT = 8  # runs up to which a p-value counts every permutation
SUMMARY = ("first", "hill", "hill_at", "last", "correlation")


def averages(read: Callable, start: int, stop: int, window: int) -> Table:
    """Means over windows of the iterations [start, stop), finite values only.

    read(a, b) gives the values of iterations [a, b) as [b - a] or [b - a, L], such as rows of a memory
    map. Windows are [i w, (i + 1) w), so that panning does not move them; the first and the last may be
    cut. Returns iteration (the middle of each) [m] and mean [m] or [m, L], NaN where no value is finite.
    Raises ValueError for a window that is not an integer >= 1.
    """
    _check_window(window)
    rows = max(1, BLOCK // window) * window
    edges = [start, *range((start // rows + 1) * rows, stop, rows), stop] if stop > start else []
    firsts, lengths, means = [], [], []
    for a, b in pairwise(edges):
        values = np.asarray(read(a, b), float)
        first = np.unique(np.maximum(np.arange(a // window, (b - 1) // window + 1) * window, a))
        known = np.isfinite(values)
        count = np.add.reduceat(known.astype(float), first - a, axis=0)
        total = np.add.reduceat(np.where(known, values, 0.0), first - a, axis=0)
        means.append(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
        firsts.append(first)
        lengths.append(np.diff(np.append(first, b)))
    if not means:
        return _table({"iteration": np.empty(0), "mean": np.empty(0)}, window)
    iteration = np.concatenate(firsts) + (np.concatenate(lengths) - 1) / 2
    return _table({"iteration": iteration, "mean": np.concatenate(means)}, window)


def wide_enough(count: int, window: int, points: int = POINTS) -> int:
    """The smallest multiple of `window` that cuts any `count` iterations into at most `points` windows."""
    _check_window(window)
    multiple = max(1, -(-count // (points * window)))
    while count > 0 and -(-(count - 1) // (multiple * window)) + 1 > points:
        multiple += 1
    return multiple * window


def moving_average(values, window: int) -> np.ndarray:
    """Means of the finite `values` [n] over the `window` around each, fewer at both ends.

    An even window reaches one further into the past. NaN where no value is finite.
    """
    _check_window(window)
    values = np.asarray(values, float)
    known = np.isfinite(values)
    before, after = window // 2, (window - 1) // 2
    at = np.arange(len(values))
    low, high = np.maximum(at - before, 0), np.minimum(at + after + 1, len(values))
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    size = count[high] - count[low]
    return np.divide(total[high] - total[low], size, out=np.full(len(values), np.nan), where=size > 0)


def moved(values, status) -> np.ndarray:
    """`values` [n] or [n, L] with NaN for iterations that did nothing, since their descent had ended."""
    values = np.array(values, float)
    values[np.asarray(status) == IDLE] = np.nan
    return values


def update_ratio(update_norm, param_norm) -> np.ndarray:
    """|delta theta| / |theta|, elementwise; NaN where theta is 0."""
    update_norm, param_norm = np.asarray(update_norm, float), np.asarray(param_norm, float)
    shape = np.broadcast_shapes(update_norm.shape, param_norm.shape)
    return np.divide(update_norm, param_norm, out=np.full(shape, np.nan), where=param_norm > 0)


def whole(layer_norms) -> np.ndarray:
    """|theta| of the network [n] from the norms of its layers [n, L]."""
    return np.sqrt(np.square(np.asarray(layer_norms, float)).sum(axis=-1))


def summary(means: Table) -> dict[str, float]:
    """One curve of window averages in numbers, by the names in SUMMARY.

    first, last: its first and last value; hill, hill_at: the largest and its iteration; correlation: rank
    correlation of the values with k in [-1, 1], positive where step sizes climb, NaN below three windows.
    """
    iteration, values = means.columns["iteration"], means.columns["mean"]
    known = np.isfinite(values)
    iteration, values = iteration[known], values[known]
    if not values.size:
        return dict.fromkeys(SUMMARY, float("nan"))
    top = int(np.argmax(values))
    numbers = (values[0], values[top], iteration[top], values[-1], rank_correlation(iteration, values)[0])
    return dict(zip(SUMMARY, map(float, numbers), strict=True))


def direction(correlation: float) -> str:
    """ "climbs", "falls" or "level" (|correlation| below 0.3), "" where it is not known."""
    if not np.isfinite(correlation):
        return ""
    return "level" if abs(correlation) < 0.3 else "climbs" if correlation > 0 else "falls"


def early(read: Callable, count: int, share: float, points: int = POINTS) -> tuple[float, float]:
    """Mean step size of the first `share` of `count` iterations, and its rank correlation with k.

    read: as in `averages`; the correlation is that of at most `points` windows. Raises ValueError for a
    share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share!r}: allowed: 0 < share <= 1")
    stop = max(1, round(share * count)) if count else 0
    means = averages(read, 0, stop, wide_enough(stop, 1, points)).columns
    known = np.isfinite(means["mean"])
    if not known.any():
        return float("nan"), float("nan")
    return float(means["mean"][known].mean()), rank_correlation(means["iteration"], means["mean"])[0]


def prediction(step_size, trend, lowest) -> Table:
    """Whether early step sizes, or their trend, foretell the minimum loss: rank correlations over runs.

    step_size, trend: of each run as `early` gives them; lowest: the minimum loss that it reached; [n]
    each. Returns two rows ("step size", "trend"): measure, correlation, p_value (two-sided: the chance of
    a correlation at least as large if there were none), runs (those with finite values). Kuchta 2023.
    """
    losses = np.asarray(lowest, float)
    rows = []
    for name, given in (("step size", step_size), ("trend", trend)):
        values = np.asarray(given, float)
        rows.append((name, *rank_correlation(values, losses), int(np.isfinite(values + losses).sum())))
    names = ("measure", "correlation", "p_value", "runs")
    columns = {key: np.array(column) for key, column in zip(names, zip(*rows, strict=True), strict=True)}
    return Table(columns, dict.fromkeys(names, ("measure",)), {})


def rank_correlation(x, y) -> tuple[float, float]:
    """Spearman's rank correlation of the pairs that are finite, and its two-sided p-value.

    The p-value counts all permutations for up to EXACT pairs; beyond it is SciPy's, from Student's t. Both
    are NaN for fewer than three pairs, or where one side is constant.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    from scipy import stats

    found = stats.spearmanr(x, y)
    if len(x) > EXACT:
        return float(found.statistic), float(found.pvalue)
    ranks = [rank - rank.mean() for rank in (stats.rankdata(x), stats.rankdata(y))]
    sums = ranks[0] @ ranks[1][np.array(list(permutations(range(len(x)))))].T
    observed = abs(ranks[0] @ ranks[1])
    return float(found.statistic), float(np.mean(np.abs(sums) >= observed * (1 - 1e-9)))


def _check_window(window) -> None:
    if isinstance(window, bool) or not isinstance(window, int | np.integer) or window < 1:
        raise ValueError(f"window={window!r}: allowed: an integer >= 1")


def _table(columns: dict, window: int) -> Table:
    return Table(columns, dict.fromkeys(columns, ("window",)), {"window": int(window)})
