"""The points of a picture: lines around the path, and an order that fills it from coarse to fine.

The grid is centred on the middle of the path's bounding box, reaches 1.2 times its half-range, and has
the exact coordinates of the path's two ends as further lines: 17 + 2 lines a side by default.

Source: Kuchta 2023, section 6.4.
"""

import numpy as np

REACH = 1.2  # of the path's half-range
SAME_LINE = 1e-9  # of the grid's extent; closer lines are one


def lines(coordinates, resolution, *, half_range=None):
    """Sorted lines of one axis, `resolution` + 2 at most.

    coordinates: of the path along this axis [n], in order; its ends get lines of their own, where they lie
    on the grid. half_range: of a grid around 0 that does not follow the path.
    """
    coordinates = np.asarray(coordinates, np.float64)
    low, high = coordinates.min(), coordinates.max()
    if half_range is None:
        middle, half = (low + high) / 2, REACH * (high - low) / 2
    else:
        middle, half = 0.0, float(half_range)
    if not half > 0:
        raise ValueError(f"the path does not move along one of the axes (it stays at {low:g})")
    even = np.linspace(middle - half, middle + half, resolution)
    ends = [end for end in (coordinates[0], coordinates[-1]) if even[0] <= end <= even[-1]]
    every = np.sort(np.concatenate([even, ends]))
    # The path's ends are exact: of two lines that nearly coincide the even one goes.
    exact = np.isin(every, ends)
    keep = np.ones(len(every), bool)
    for number in np.flatnonzero(np.diff(every) <= SAME_LINE * 2 * half):
        keep[number if exact[number + 1] else number + 1] = False
    return every[keep]


def points(x, y):
    """All points of the grid [ny * nx, 2], row by row of y."""
    across, up = np.meshgrid(x, y)
    return np.stack([across.ravel(), up.ravel()], axis=1)


def order(nx, ny):
    """Positions in `points`, coarse to fine: each prefix covers the picture evenly, [ny * nx]."""
    level = np.minimum(_level(nx)[None, :], _level(ny)[:, None]).ravel()
    return np.argsort(-level, kind="stable")


def spread(value, done):
    """A picture [ny, nx] whose missing cells take the value of the nearest line that is done."""
    value, done = np.asarray(value), np.asarray(done, bool)
    if not done.any() or done.all():
        return value
    rows, columns = np.nonzero(done)
    out = value.copy()
    for row, column in zip(*np.nonzero(~done), strict=True):
        nearest = np.argmin((rows - row) ** 2 + (columns - column) ** 2)
        out[row, column] = value[rows[nearest], columns[nearest]]
    return out


def bending(value):
    """How much each cell [ny, nx] departs from the mean of its neighbours, in units of the picture's range.

    Cells without a finite value count 0; where the whole picture is flat, so does every cell.
    """
    value = np.asarray(value, np.float64)
    finite = np.isfinite(value)
    if not finite.any():
        return np.zeros(value.shape)
    extent = np.ptp(value[finite])
    bend = np.zeros(value.shape)
    for axis in (0, 1):
        moved = np.moveaxis(value, axis, 0)
        second = np.abs(moved[:-2] + moved[2:] - 2 * moved[1:-1]) / 2
        target = np.moveaxis(bend, axis, 0)
        target[1:-1] = np.fmax(target[1:-1], second)
    return np.where(finite & (extent > 0), np.nan_to_num(bend) / (extent or 1.0), 0.0)


def refined(axis, bends, share):
    """An axis with further lines, halfway to both neighbours of the lines that bend most.

    axis [n]; bends [n], the largest bending on each line; share: of the lines, in [0, 1].
    """
    count = round(share * len(axis))
    chosen = np.argsort(-np.asarray(bends), kind="stable")[:count]
    chosen = chosen[np.asarray(bends)[chosen] > 0]
    halves = [(axis[i] + axis[j]) / 2 for i in chosen for j in (i - 1, i + 1) if 0 <= j < len(axis)]
    return np.union1d(axis, halves)


def _level(count):
    """Per line: the largest power of two that divides its number; line 0 belongs to every grid."""
    numbers = np.arange(count)
    return np.where(numbers == 0, 1 << 62, numbers & -numbers)
