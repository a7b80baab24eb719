"""How many filters of a layer are highly correlated, time by time: what a layer has too many of.

Correlation and anti-correlation count alike. Hamid et al. 2019, section 4.2 (Filter Correlation Graph).
"""

import numpy as np

THRESHOLD = 0.7


def pairs_above(r, threshold: float = THRESHOLD) -> np.ndarray:
    """Number [n] of pairs of filters with |r| > threshold, of correlations r [n, F, F].

    NaN for matrices that are not finite. Raises ValueError for a threshold outside [0, 1].
    """
    above, finite = _above(r, threshold)
    return np.where(finite, np.triu(above, 1).sum(axis=(1, 2)), np.nan)


def filters_above(r, threshold: float = THRESHOLD) -> np.ndarray:
    """Number [n] of filters that are in such a pair; arguments, NaN and errors as in `pairs_above`."""
    above, finite = _above(r, threshold)
    return np.where(finite, above.any(axis=2).sum(axis=1), np.nan)


def _above(r, threshold):
    """(|r| > threshold off the diagonal, bool [n, F, F]; whether all is finite [n])."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold!r}: allowed: 0 to 1")
    r = np.asarray(r)
    if r.ndim != 3 or r.shape[1] != r.shape[2]:
        raise ValueError(f"correlations of shape {r.shape}: allowed: [n, F, F]")
    above = np.abs(r) > threshold
    above &= ~np.eye(r.shape[1], dtype=bool)
    return above, np.isfinite(r).all(axis=(1, 2))
