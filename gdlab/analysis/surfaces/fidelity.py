"""How far a picture of the loss can be trusted, in numbers.

Against what is known for certain (losses at points of the path, the straight line between its ends)
and against other pictures (structural similarity), and what the picture itself looks like.

Source: the future work of Kuchta 2023; Wang, Bovik, Sheikh, Simoncelli 2004 (structural similarity).
"""

import numpy as np

SSIM_WINDOW = 7


def interpolate(x, y, value, points):
    """The picture value [ny, nx] at points [k, 2], bilinear; NaN outside and next to holes."""
    points = np.asarray(points, np.float64)
    column = np.clip(np.searchsorted(x, points[:, 0], "right") - 1, 0, len(x) - 2)
    row = np.clip(np.searchsorted(y, points[:, 1], "right") - 1, 0, len(y) - 2)
    across = (points[:, 0] - x[column]) / (x[column + 1] - x[column])
    up = (points[:, 1] - y[row]) / (y[row + 1] - y[row])
    total = np.zeros(len(points))
    for down, left in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (across if left else 1 - across) * (up if down else 1 - up)
        corner = value[row + down, column + left]
        # A corner without weight does not count, be it a hole or not.
        total += np.where(weight == 0, 0.0, weight * corner)
    outside = (points < [x[0], y[0]]).any(axis=1) | (points > [x[-1], y[-1]]).any(axis=1)
    return np.where(outside, np.nan, total)


def structural_similarity(one, other, window=SSIM_WINDOW):
    """Mean structural similarity of two pictures [ny, nx], 1 for equal ones.

    Unweighted windows of `window` cells (less in small pictures), constants 0.01 and 0.03 of the range of
    both pictures together; cells that are not finite in both count as the mean of what is.

    Raises ValueError where the shapes differ.
    """
    from scipy.ndimage import uniform_filter

    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if one.shape != other.shape:
        raise ValueError(f"pictures of different shapes, {one.shape} and {other.shape}, cannot be compared")
    known = np.isfinite(one) & np.isfinite(other)
    if not known.any():
        return np.nan
    extent = max(one[known].max(), other[known].max()) - min(one[known].min(), other[known].min())
    if extent == 0:
        return 1.0
    one, other = (np.where(known, a, a[known].mean()) for a in (one, other))
    size = min(window, *(n - 1 + n % 2 for n in one.shape))
    mean = {key: uniform_filter(a, size) for key, a in (("a", one), ("b", other))}
    # Unbiased, as the published implementations have it.
    unbiased = size**2 / (size**2 - 1) if size > 1 else 1.0
    var_a = unbiased * (uniform_filter(one * one, size) - mean["a"] ** 2)
    var_b = unbiased * (uniform_filter(other * other, size) - mean["b"] ** 2)
    both = unbiased * (uniform_filter(one * other, size) - mean["a"] * mean["b"])
    c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    above = (2 * mean["a"] * mean["b"] + c1) * (2 * both + c2)
    below = (mean["a"] ** 2 + mean["b"] ** 2 + c1) * (var_a + var_b + c2)
    edge = size // 2
    inner = tuple(slice(edge, n - edge) for n in one.shape)
    return float((above / below)[inner].mean())


def resampled(x, y, value, other_x, other_y):
    """A picture [ny, nx] on another grid's lines, bilinear: what two resolutions are compared on."""
    across, up = np.meshgrid(other_x, other_y)
    points = np.stack([across.ravel(), up.ravel()], axis=1)
    return interpolate(x, y, value, points).reshape(across.shape)


def roughness(value):
    """Mean length of the second differences along both axes over the range of the picture; 0 is a plane."""
    value = np.asarray(value, np.float64)
    finite = value[np.isfinite(value)]
    if not finite.size:
        return np.nan
    if np.ptp(finite) == 0:
        return 0.0
    seconds = np.concatenate([np.abs(np.diff(value, 2, axis=axis)).ravel() for axis in (0, 1)])
    seconds = seconds[np.isfinite(seconds)]
    return float(seconds.mean() / np.ptp(finite)) if seconds.size else np.nan


def local_extremes(value):
    """(minima, maxima): inner cells strictly below, or above, all eight neighbours, none of them a hole."""
    value = np.asarray(value, np.float64)
    if min(value.shape) < 3:
        return 0, 0
    ny, nx = value.shape
    centre = value[1:-1, 1:-1]
    neighbours = np.stack(
        [
            value[1 + i : ny - 1 + i, 1 + j : nx - 1 + j]
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            if (i, j) != (0, 0)
        ]
    )
    # A comparison with NaN is false, so a cell beside a hole is no extreme.
    minima, maxima = (centre < neighbours).all(axis=0), (centre > neighbours).all(axis=0)
    return int(minima.sum()), int(maxima.sum())


def mean_error(x, y, value, points, losses):
    """(mean, largest) |picture - loss| at points [k, 2] of known losses [k]; NaN where none lies on it."""
    gap = np.abs(interpolate(x, y, value, points) - np.asarray(losses))
    gap = gap[np.isfinite(gap)]
    return (float(gap.mean()), float(gap.max())) if gap.size else (np.nan, np.nan)
