"""What the claims are measured on: measures of an ensemble's runs and correlations of their filters."""

from typing import NamedTuple

import numpy as np

from experiments.tables import Claim, verdict_of
from gdlab.analysis import performance
from gdlab.analysis.colours import positions
from gdlab.analysis.ensemble import Ensemble, correlation_at

# The source's times on MNIST, as shares of its 1,000 steps: P1 at 100, P2 and P3 in [100, 600], filters
# at 500.
AT, STOP, MIDDLE = 0.1, 0.6, 0.5
INITIAL = 0.2  # the phase after which claims on the evolution are measured; the source gives no number


class Observed(NamedTuple):
    """An ensemble of M runs at the source's times.

    at, stop, middle, initial: iterations; p1, p2, p3, deviation [M]: NaN where a run has none; good [M]: the
    mean of P1 and P2, each rescaled to its range in the ensemble; rate, momentum [M]: places on the grid,
    in [0, 1]
    """

    ensemble: Ensemble
    at: float
    stop: float
    middle: float
    initial: float
    p1: np.ndarray
    p2: np.ndarray
    p3: np.ndarray
    deviation: np.ndarray
    good: np.ndarray
    rate: np.ndarray
    momentum: np.ndarray

    @property
    def shown(self):
        """The layer of the source's views, Conv2, or the only one; "" where none is recorded."""
        return ("", *self.ensemble.layers)[min(2, len(self.ensemble.layers))]

    def matrices(self, layer, iteration):
        """(runs, [r [F, F]]): positions of the comparable runs, and their correlations at an iteration."""
        found = {}
        for member in np.flatnonzero(self.ensemble.comparable):
            _, r = correlation_at(self.ensemble, member, layer, iteration)
            if r is not None and np.isfinite(r).all():
                found[int(member)] = np.asarray(r, float)
        return np.array(list(found), int), list(found.values())


def observe(ensemble) -> Observed:
    """The Observed of an ensemble over learning rate and momentum."""
    last = float(ensemble.step.max(initial=0))
    at, stop = AT * last, STOP * last
    p1, p2 = performance.accuracy_at(ensemble, at), performance.best_accuracy(ensemble, at, stop)
    p3 = performance.stability(ensemble, at, stop)
    deviation = performance.deviation(ensemble, at, stop)
    good = (_rescaled(p1) + _rescaled(p2)) / 2
    alike = np.zeros(len(ensemble.runs))
    places = [positions(ensemble.parameters.get(name, alike)) for name in ("learning_rate", "momentum")]
    return Observed(ensemble, at, stop, MIDDLE * last, INITIAL * last, p1, p2, p3, deviation, good, *places)


class Evidence(NamedTuple):
    """mnist, cifar10: Observed, or None where that ensemble is not asked for."""

    mnist: Observed | None
    cifar10: Observed | None


class Finding(NamedTuple):
    """What a claim's measure says: in words; hits, what of the claim holds (bools); numbers."""

    words: str
    hits: list
    details: dict


def claim(number, text, reported, measure, setting, *observed):
    """The Claim of measure(*observed) -> Finding; not decidable where an ensemble was not asked for."""
    if any(one is None for one in observed):
        return Claim(number, text, reported, "not asked for", verdict_of([]), setting, {})
    finding = measure(*observed)
    details = finding.details | {"hits": finding.hits}
    return Claim(number, text, reported, finding.words, verdict_of(finding.hits), setting, details)


def rank_correlation(a, b):
    """Spearman's correlation of the finite pairs; NaN where there are fewer than three, or no spread."""
    from scipy.stats import rankdata

    known = np.isfinite(a) & np.isfinite(b)
    a, b = np.asarray(a, float)[known], np.asarray(b, float)[known]
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def _rescaled(values):
    known = values[np.isfinite(values)]
    if not len(known) or known.min() == known.max():
        return np.where(np.isfinite(values), 1.0, np.nan)
    return performance.rescale(values, known.min(), known.max())
