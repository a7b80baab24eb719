"""The two directions in which a path moves most, without ever holding the path in memory.

Short paths: a singular value decomposition. Long ones: subspace iteration from a random
start, one pass over the path per iteration, until the two directions no longer change; the p x p
covariance is only ever multiplied with a few vectors.

Source: Kuchta 2023, section 6.4; Halko, Martinsson, Tropp 2011 (randomised subspace iteration).
"""

from typing import NamedTuple

import numpy as np

EXACT_ROWS = 200  # up to so many rows, and bytes in float64, the exact route is quick
EXACT_BYTES = 128 << 20
FLAT = 1e-14  # share of the variance below which a direction is rounding
OVERSAMPLING = 8
PASSES = 40
TOLERANCE = {4: 1e-5, 8: 1e-10}  # by bytes of a number, of |C v - lambda v| / lambda


class Pca(NamedTuple):
    """mean [p]; directions [k, p], orthonormal; variance [k] along them, unbiased; total, the variance of
    all directions together; passes over the path; residual, the largest |C v - lambda v| / lambda."""

    mean: np.ndarray
    directions: np.ndarray
    variance: np.ndarray
    total: float
    passes: int
    residual: float


def principal(rows, count=2, *, seed=0, without=None):
    """The first `count` principal directions of a path.

    Args:
      rows: a Rows of n >= 2 finite rows.
      seed: of the random start; a direction's entry of largest magnitude is positive.
      without: a unit vector [p]; what the path moves along it is left out.

    Returns:
      A Pca, float64.

    Raises:
      ValueError: the path has fewer than two rows, does not move, or moves in fewer than `count`
        directions.
    """
    if len(rows) < 2:
        raise ValueError(f"a path of {len(rows)} finite point(s) has no direction; at least 2 are needed")
    mean, total = _moments(rows, without)
    magnitude = float(np.abs(mean).max(initial=0.0))
    epsilon = np.finfo(rows.dtype).eps
    if not total > (epsilon * magnitude) ** 2 * rows.size:
        raise ValueError(f"the path does not move: its {len(rows):,} points are equal")
    centred = _Centred(rows, mean, without)
    if len(rows) <= EXACT_ROWS and len(rows) * rows.size * 8 <= EXACT_BYTES:
        directions, variance, passes, residual = _exact(centred, count)
    else:
        directions, variance, passes, residual = _iterated(centred, count, seed)
    if len(variance) < count or not variance[-1] > max((64 * epsilon) ** 2, FLAT) * variance[0]:
        raise ValueError(
            f"the path moves in fewer than {count} directions ({len(rows):,} points, {rows.size:,} "
            "parameters), so it spans no plane; choose more points or another plane"
        )
    return Pca(mean, oriented(directions), variance, total, passes, residual)


def oriented(directions):
    """The directions [k, p] with the sign that makes each one's entry of largest magnitude positive."""
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return directions * signs[:, None]


class _Centred:
    """Blocks of a path minus its mean, and minus its part along `without`."""

    def __init__(self, rows, mean, without):
        self.rows, self.mean, self.without = rows, mean, without

    def blocks(self, dtype):
        mean = self.mean.astype(dtype)
        for start, stop, block in self.rows.blocks():
            block = block.astype(dtype, copy=False)
            block -= mean
            if self.without is not None:
                block -= np.outer(block @ self.without.astype(dtype), self.without.astype(dtype))
            yield start, stop, block


def _moments(rows, without):
    """(mean [p], total variance) in float64, shifted by the first row against cancellation."""
    first = rows.at([0])[0].astype(np.float64)
    total, sums, along = 0.0, np.zeros(rows.size), np.zeros(len(rows))
    for start, stop, block in rows.blocks():
        shifted = block - first.astype(block.dtype)
        sums += shifted.sum(axis=0, dtype=np.float64)
        total += float(np.einsum("ij,ij->i", shifted, shifted).sum(dtype=np.float64))
        if without is not None:
            along[start:stop] = shifted @ without
    mean = sums / len(rows)
    total -= len(rows) * float(mean @ mean)
    if without is not None:
        total -= float(((along - along.mean()) ** 2).sum())
    return first + mean, max(total, 0.0) / (len(rows) - 1)


def _exact(centred, count):
    every = np.concatenate([block for _, _, block in centred.blocks(np.float64)])
    _, lengths, directions = np.linalg.svd(every, full_matrices=False)
    return directions[:count], lengths[:count] ** 2 / (len(every) - 1), 1, 0.0


def _iterated(centred, count, seed):
    rows = centred.rows
    width = min(count + OVERSAMPLING, len(rows), rows.size)
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((rows.size, width)))[0]
    tolerance = TOLERANCE[rows.dtype.itemsize]
    passes, residual = 0, np.inf
    while passes < PASSES and residual > tolerance:
        passes += 1
        image = np.zeros((rows.size, width))
        narrow = basis.astype(rows.dtype)
        for _, _, block in centred.blocks(rows.dtype):
            image += block.T @ (block @ narrow)
        image /= len(rows) - 1
        narrowed = basis.T @ image
        values, vectors = np.linalg.eigh((narrowed + narrowed.T) / 2)
        chosen = np.argsort(values)[::-1][:count]
        directions, values = basis @ vectors[:, chosen], values[chosen]
        gap = np.linalg.norm(image @ vectors[:, chosen] - directions * values, axis=0)
        residual = float((gap / np.maximum(values, np.finfo(float).tiny)).max())
        basis = np.linalg.qr(image)[0]
    return directions.T, values, passes, residual
