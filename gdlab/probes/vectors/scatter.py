"""How much values scatter, and how well so many of them tell it."""

import numpy as np


def deviation(values):
    """(standard deviation [...], its own standard error [...]) of values [n, ...] over the first axis.

    The error is that of a sample of n from any distribution, by its fourth moment; for a normal one it is
    1 / sqrt(2 (n - 1)) of the deviation. Both NaN below two values.
    """
    values = np.asarray(values, np.float64)
    count = len(values)
    if count < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    with np.errstate(invalid="ignore", over="ignore"):
        centred = values - values.mean(axis=0)
        variance = (centred**2).sum(axis=0) / (count - 1)
        excess = (centred**4).mean(axis=0) - (count - 3) / (count - 1) * variance**2
        spread = np.sqrt(variance)
        error = np.sqrt(np.maximum(excess, 0) / count)
        return spread, np.divide(error, 2 * spread, out=np.zeros_like(spread), where=spread > 0)
