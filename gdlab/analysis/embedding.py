"""Runs as points of a plane, near one another where they are alike.

MDS keeps distances (metric, by majorisation from the classical solution), t-SNE keeps neighbourhoods. Both
are turned and moved onto the points of another time, so that only what has changed moves. Hamid et al. 2019,
section 4.2; Borg, Groenen: Modern Multidimensional Scaling, chapters 8 (SMACOF), 12 and 20 (Procrustes).
"""

import numpy as np

METHODS = ("mds", "tsne")
PERPLEXITY = 30.0  # t-SNE; less where there are few runs
_FEW = 4  # runs below which neighbourhoods say nothing


def embed(distance, method: str = "mds", seed: int = 0, onto=None) -> np.ndarray:
    """Points [M, 2] for distances [M, M], the same ones for the same seed.

    onto [M, 2]: points of the same runs to be aligned with, NaN for runs that had none. Below four runs
    "tsne" is "mds". Raises ValueError for an unknown method, or for distances that are not square and
    symmetric, not finite, negative, or not 0 on the diagonal.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r}: allowed: {', '.join(METHODS)}")
    distance = _checked(distance)
    points = classical(distance)
    if len(distance) > 2:
        make = _tsne if method == "tsne" and len(distance) >= _FEW else _mds
        points = make(distance, points, seed)
    points = points - points.mean(axis=0) if len(points) else points
    return points if onto is None else aligned(points, onto)


def classical(distance) -> np.ndarray:
    """Classical scaling [M, 2]: the two principal axes of the doubly centred squares (Torgerson)."""
    squares = np.asarray(distance, float) ** 2
    if not len(squares):
        return np.empty((0, 2))
    centred = -(squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()) / 2
    values, vectors = np.linalg.eigh(centred)
    points = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0))
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    # The sign of an axis is open: that of its largest entry is taken to be positive.
    largest = points[np.abs(points).argmax(axis=0), [0, 1]]
    return points * np.where(largest < 0, -1, 1)


def aligned(points, onto) -> np.ndarray:
    """`points` [M, 2] turned, mirrored and moved, not scaled, such that they lie nearest to `onto` [M, 2].

    Rows of `onto` that are not finite do not count; with fewer than two the points stay as they are.
    Raises ValueError where the shapes differ.
    """
    points, onto = np.asarray(points, float), np.asarray(onto, float)
    if points.shape != onto.shape:
        raise ValueError(f"points {points.shape} cannot be aligned with {onto.shape}")
    known = np.isfinite(onto).all(axis=1)
    if known.sum() < 2:
        return points
    here, there = points[known].mean(axis=0), onto[known].mean(axis=0)
    left, _, right = np.linalg.svd((points[known] - here).T @ (onto[known] - there))
    return (points - here) @ (left @ right) + there


def _mds(distance, start, seed):
    from sklearn.manifold import smacof

    if not distance.any():
        return np.zeros_like(start)
    # From points that all differ: SMACOF divides by their distances.
    start = start + 1e-6 * distance.max() * np.random.default_rng(seed).standard_normal(start.shape)
    return smacof(distance, init=start, n_init=1, random_state=seed, normalized_stress=False)[0]


def _tsne(distance, start, seed):
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(distance) - 1) / 3)
    spread = start.std() or 1.0
    noise = 1e-6 * np.random.default_rng(seed).standard_normal(start.shape)
    # As scikit-learn's own start from principal components: spread 1e-4.
    made = TSNE(
        metric="precomputed", init=(1e-4 * start / spread + noise).astype(np.float32), perplexity=perplexity,
        random_state=seed, n_jobs=1,
    )  # fmt: skip
    return made.fit_transform(distance).astype(float)


def _checked(distance):
    distance = np.asarray(distance, float)
    if distance.ndim != 2 or distance.shape[0] != distance.shape[1]:
        raise ValueError(f"distances of shape {distance.shape}: allowed: [M, M]")
    if not np.isfinite(distance).all() or (distance < 0).any():
        raise ValueError("distances that are not finite or negative cannot be embedded")
    if not np.allclose(distance, distance.T) or not np.allclose(np.diag(distance), 0):
        raise ValueError("distances must be symmetric, and 0 on the diagonal")
    return (distance + distance.T) / 2
