"""How well runs did: at a time, within a time, how steadily, in which order, and when that was settled.

The accuracy is a share in [0, 1]; of runs that have none, as in regression, -log10 of the validation loss
stands for it (`Ensemble.score`). High is good. Hamid et al. 2019, section 4.1: P1 to P3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gdlab.analysis.ensemble import Ensemble
from gdlab.analysis.hyper import levels
from gdlab.records import Table

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Cells(NamedTuple):
    """A measure on the grid of two hyper-parameters: their values [A] and [B], ascending; mean [A, B] of the
    runs of each cell that have the measure, NaN where none does; cell [M]: a * B + b, -1 for runs outside."""

    rows: np.ndarray
    columns: np.ndarray
    mean: np.ndarray
    cell: np.ndarray


def accuracy_at(ensemble: Ensemble, iteration: float) -> np.ndarray:
    """P1 [M]: the accuracy as last recorded up to an iteration; NaN for runs that did not come so far, and
    before the first row of a run."""
    if not (ensemble.step <= iteration).any():
        return np.full(len(ensemble.runs), np.nan)
    return known(ensemble)[:, _column(ensemble.step, iteration)]


def best_accuracy(ensemble: Ensemble, start: float, stop: float) -> np.ndarray:
    """P2 [M]: the largest accuracy that was recorded in the iterations [start, stop].

    NaN for runs that did not come so far, or have no row there. A run that is over for good keeps its last
    one. Raises ValueError where start lies behind stop.
    """
    inside = _inside(ensemble.step, start, stop)
    if not inside.any():
        return np.full(len(ensemble.runs), np.nan)
    values = held(ensemble)[:, inside]
    best = np.where(np.isfinite(values), values, -np.inf).max(axis=1, initial=-np.inf)
    whole = np.isfinite(known(ensemble)[:, inside][:, -1]) & np.isfinite(best)
    return np.where(whole, best, np.nan)


def deviation(ensemble: Ensemble, start: float, stop: float) -> np.ndarray:
    """Population standard deviation [M] of the accuracy over the rows within [start, stop].

    NaN below two rows, and for runs that did not come so far. A diverged run's accuracy stays what it was.
    """
    inside = _inside(ensemble.step, start, stop)
    values = held(ensemble)[:, inside]
    recorded = np.isfinite(values)
    count = recorded.sum(axis=1)
    whole = np.isfinite(known(ensemble)[:, inside][:, -1]) & (count > 1) if inside.any() else count > 1
    # From the best one on, so that what is constant deviates by exactly 0.
    best = np.where(recorded, values, -np.inf).max(axis=1, initial=-np.inf)
    below = np.where(recorded, best[:, None] - values, 0)
    mean = below.sum(axis=1) / np.maximum(count, 1)
    squares = np.where(recorded, (below - mean[:, None]) ** 2, 0).sum(axis=1)
    return np.where(whole, np.sqrt(squares / np.maximum(count, 1)), np.nan)


def stability(ensemble: Ensemble, start: float, stop: float) -> np.ndarray:
    """P3 [M]: (s_max - s) / (s_max - s_min) of the `deviation` s within [start, stop]; 1 where all are alike.

    A diverged run is constant, hence as stable as can be: its note says that it diverged.
    """
    return reversed_scale(deviation(ensemble, start, stop))


def reversed_scale(values) -> np.ndarray:
    """(max - v) / (max - min) of the finite values [M], 1 where all are equal, NaN where not finite."""
    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.full(values.shape, np.nan)
    low, high = finite.min(), finite.max()
    scaled = (high - values) / (high - low) if high > low else np.ones(values.shape)
    return np.where(np.isfinite(values), scaled, np.nan)


def rescale(values, low: float, high: float) -> np.ndarray:
    """Values clamped to the range [low, high] of an axis, as shares of it in [0, 1]; NaN stays.

    Raises ValueError where low is not below high.
    """
    if not low < high:
        raise ValueError(f"range {low!r} to {high!r}: the first must be smaller than the second")
    return (np.clip(np.asarray(values, float), low, high) - low) / (high - low)


def cells(rows, columns, values) -> Cells:
    """The Cells of two hyper-parameters [M] (numbers or text) and a measure [M]."""
    (along, a), (across, b) = (levels(parameter) for parameter in (rows, columns))
    values = np.asarray(values, float)
    cell = np.where((a >= 0) & (b >= 0), a * len(across) + b, -1)
    used = (cell >= 0) & np.isfinite(values)
    count, total = np.zeros((2, len(along) * len(across)))
    np.add.at(count, cell[used], 1)
    np.add.at(total, cell[used], values[used])
    mean = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return Cells(along, across, mean.reshape(len(along), len(across)), cell)


def ranks(accuracy) -> np.ndarray:
    """Places [M, n] of the runs at each time: 1 is the best, equal ones share their mean, NaN come last."""
    return _places(accuracy, lambda better, equal: better + (equal + 1) / 2)


def settled(ranks, step, tolerance: float = 0.0) -> np.ndarray:
    """Iteration [M] from which each run's rank stays within `tolerance` of its last one.

    ranks [M, n] as `ranks` gives them, step [n]. Raises ValueError for a negative tolerance.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance={tolerance!r}: allowed: a number >= 0")
    ranks = np.asarray(ranks, float)
    away = np.abs(ranks - ranks[:, -1:]) > tolerance
    behind = np.where(away, np.arange(1, away.shape[1] + 1), 0).max(axis=1, initial=0)
    return np.asarray(step)[np.minimum(behind, away.shape[1] - 1)] if away.shape[1] else np.zeros(0, int)


def advice(accuracy, step, best: float = 0.1, kept: Sequence[float] = SHARES) -> Table:
    """Early stopping: from which iteration on the best share `best` of the runs is among the first `kept`.

    accuracy [M, n] as `held` gives it, step [n]. The best are those of the last time, with all that equal
    the last of them; a run is among the first only where at most that many are as good or better. Runs
    without an accuracy at the end are left out: attrs["left_out"] counts them, attrs["runs"] the others.
    Returns kept [P] (ascending), iteration (NaN: never before the end), and saved: the share of all
    iterations that need not be trained, where the others stop there.
    Raises ValueError for shares outside (0, 1].
    """
    for name, values in (("best", [best]), ("kept", kept)):
        if not all(0 < value <= 1 for value in values):
            raise ValueError(f"{name}={values!r}: allowed: shares in (0, 1]")
    accuracy, step = np.asarray(accuracy, float), np.asarray(step)
    used = np.isfinite(accuracy[:, -1]) if accuracy.shape[1] else np.zeros(len(accuracy), bool)
    shares = np.unique(np.asarray(kept, float))
    iteration, saved = np.full((2, len(shares)), np.nan)
    if used.any():
        count = int(used.sum())
        strict = _places(accuracy[used], lambda better, equal: better + equal)
        top = _places(accuracy[used], lambda better, equal: better + 1)[:, -1] <= _at_least(best, count)
        worst = strict[top].max(axis=0)
        for number, share in enumerate(shares):
            outside = np.flatnonzero(worst > _at_least(share, count))
            at = outside[-1] + 1 if len(outside) else 0
            if at < len(step) - 1:
                iteration[number] = step[at]
                saved[number] = (1 - _at_least(share, count) / count) * (1 - step[at] / step[-1])
    columns: dict[str, np.ndarray] = {"kept": shares, "iteration": iteration, "saved": saved}
    attrs = {"best": best, "runs": int(used.sum()), "left_out": int((~used).sum())}
    return Table(columns, dict.fromkeys(columns, ("share",)), attrs)


def known(ensemble: Ensemble) -> np.ndarray:
    """The accuracy [M, n] as last recorded at each time; NaN before the first row of a run and behind its
    last, unless the run is over for good."""
    at, last, position = _latest(ensemble)
    values = np.take_along_axis(ensemble.score, np.maximum(at, 0), axis=1)
    there = (at >= 0) & ((position <= last) | ensemble.holds[:, None])
    return np.where(there, values, np.nan)


def held(ensemble: Ensemble) -> np.ndarray:
    """The accuracy [M, n] as recorded; a run that is over for good keeps its last value to the end."""
    _, last, position = _latest(ensemble)
    over = ensemble.holds[:, None] & (position > last)
    return np.where(over, known(ensemble), ensemble.score)


def _latest(ensemble):
    """(position of the last row up to each time [M, n], -1: none; of the last row [M, 1]; all [1, n])."""
    accuracy = ensemble.score
    position = np.arange(accuracy.shape[1])[None]
    at = np.maximum.accumulate(np.where(np.isfinite(accuracy), position, -1), axis=1)
    return at, at[:, -1:] if accuracy.shape[1] else np.empty((len(accuracy), 0), int), position


def _column(step, iteration):
    return int(np.searchsorted(step, iteration, side="right")) - 1


def _inside(step, start, stop):
    if not start <= stop:
        raise ValueError(f"iterations {start!r} to {stop!r}: the first must not lie behind the second")
    return (step >= start) & (step <= stop)


def _places(accuracy, place):
    """place(how many are better, how many are equal, itself included) for each run and time."""
    values = np.where(np.isfinite(accuracy), np.asarray(accuracy, float), -np.inf)
    ordered = np.sort(values, axis=0)
    out = np.empty(values.shape)
    for number in range(values.shape[1]):
        low = np.searchsorted(ordered[:, number], values[:, number], side="left")
        high = np.searchsorted(ordered[:, number], values[:, number], side="right")
        out[:, number] = place(len(values) - high, high - low)
    return out


def _at_least(share, count):
    """ceil(share * count), not one more because of rounding."""
    return int(np.ceil(round(share * count, 9)))
