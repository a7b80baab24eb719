"""How many images of a class may flip together by coincidence.

Suppose that images flip independently of one another. The score of a class of n images is then a sum of n
independent marks with some expected value l. For T >= l + 1 such a sum reaches T at most as often as a
binomial one with the same n and l, whatever the rates of the single images (Hoeffding 1956); where
T < l + 1 a cell is counted as certain. Summed over all cells this bounds the expected number of false
anomalies.

l is the larger of two rates: the class's mean score times the trend of the whole network, and the class's
own moving average. Scores that reach the threshold are no coincidence, so they are left out of the rates
and the threshold is found again, until it stays (as outliers are clipped elsewhere); without that, one
shaken dump hides all that comes after it.
"""

from bisect import bisect_left

import numpy as np

PASSES = 10  # times that outliers are taken out, at most
STEPS = 50  # levels of a rate per factor e: chances are taken at the next level above, at most 2 % too high
LEAST_RATE = 1e-9


def threshold(scored, sizes, reach: int, allowed: float) -> tuple[int, float]:
    """The smallest threshold >= 2 that bounds the expected number of false anomalies, and that bound.

    scored: arrays of scores [C, m] whose cells are counted together (both rules); sizes [C]: images of
    each class; reach: dumps of the moving averages; allowed: the bound. Where any score may be chance,
    the threshold is one more than the largest class has images.
    """
    choices = range(2, int(max(sizes.max(initial=0) + 1, 2)) + 1)
    found = choices[-1]
    for _ in range(PASSES):
        cells = [_cells(_rates(part, reach, part < found), sizes) for part in scored]
        n, p, times = (np.concatenate(column) for column in zip(*cells, strict=True))
        at = bisect_left(choices, True, key=lambda t: _expected(t, n, p, times) <= allowed)
        previous, found = found, choices[min(at, len(choices) - 1)]
        if found == previous:
            break
    return found, _expected(found, n, p, times)


def _rates(scored, reach, keep):
    """The expected score of each cell [C, m] if the images of a class had nothing to do with one another.

    keep [C, m]: the cells that rates are taken from.
    """
    counted = np.where(keep, scored, 0)
    average = _divided(_moving(counted, reach), _moving(keep, reach))
    of_class = _divided(counted.sum(axis=1, keepdims=True), keep.sum(axis=1, keepdims=True))
    network = _divided(*(_moving(a.sum(axis=0, keepdims=True), reach) for a in (counted, keep)))
    profile = _divided(network, _divided(counted.sum(keepdims=True), keep.sum(keepdims=True)))
    return np.maximum(of_class * profile, average)


def _divided(numerator, denominator):
    """The quotient, 0 where there is nothing to divide by."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    return np.divide(numerator, denominator, out=np.zeros(shape), where=denominator > 0)


def _moving(values, reach):
    """Sums over `reach` columns around each, of as many columns at the ends."""
    length = values.shape[1]
    if not length:
        return np.zeros(values.shape)
    reach = min(reach, length)
    total = np.zeros((len(values), length + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    inside = total[:, reach:] - total[:, : length + 1 - reach]
    before = reach // 2
    return np.pad(inside, ((0, 0), (before, reach - 1 - before)), mode="edge")


def _cells(rates, sizes):
    """Cells with a rate, gathered by number of images n and rate per image p (rounded up): n, p, how many."""
    numbers, of_class = np.unique(sizes, return_inverse=True)
    share = rates / np.maximum(sizes, 1)[:, None]
    least = int(np.floor(np.log(LEAST_RATE) * STEPS))
    known = share > 0
    level = np.ceil(np.log(np.clip(share[known], LEAST_RATE, 1)) * STEPS).astype(np.int64) - least
    key = np.broadcast_to(of_class[:, None], share.shape)[known] * (1 - least) + level
    times = np.bincount(key, minlength=len(numbers) * (1 - least))
    used = np.flatnonzero(times)
    p = np.exp((used % (1 - least) + least) / STEPS)
    return numbers[used // (1 - least)], np.minimum(p, 1.0), times[used]


def _expected(threshold, n, p, times):
    """Bound of the expected number of cells at or above the threshold."""
    from scipy.special import betainc

    possible = n >= threshold
    n, p, times = n[possible], p[possible], times[possible]
    chance = np.where(threshold < n * p + 1, 1.0, betainc(threshold, n - threshold + 1.0, p))
    return float(chance @ times)
