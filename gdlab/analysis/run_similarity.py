"""How alike two runs are, by what their filters have to do with one another.

Filters take other parts in other runs, so that the matrices of their correlations are compared in the order
of `gdlab.analysis.filter_order`, which does not know their numbers. Hamid et al. 2019, section 4.2.
"""

from collections.abc import Sequence

import numpy as np


def similarity(matrices: Sequence) -> np.ndarray:
    """Pearson correlation [M, M] of the magnitudes above the diagonals of M ordered matrices [F, F].

    In [-1, 1]; 0 with a matrix whose magnitudes are all equal, 1 of every run with itself. Raises ValueError
    for matrices of different sizes, of fewer than 3 filters, or with values that are not finite.
    """
    shapes = {np.shape(matrix) for matrix in matrices}
    if not shapes:
        return np.empty((0, 0))
    if len(shapes) > 1 or len(shape := next(iter(shapes))) != 2 or shape[0] != shape[1] or shape[0] < 3:
        raise ValueError(f"matrices of shapes {sorted(shapes)}: allowed: [F, F] with one F >= 3")
    above = np.triu_indices(shape[0], 1)
    rows = np.stack([np.abs(np.asarray(matrix, float)[above]) for matrix in matrices])
    if not np.isfinite(rows).all():
        raise ValueError("correlations that are not finite cannot be compared: a run has diverged here")
    constant = np.ptp(rows, axis=1) == 0
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.where(constant, 1, np.linalg.norm(centred, axis=1))
    unit = np.where(constant, 0, 1 / length)[:, None] * centred
    r = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(r, 1)
    return (r + r.T) / 2


def distance(similarity) -> np.ndarray:
    """1 - r, in [0, 2]."""
    return 1 - np.asarray(similarity, float)
