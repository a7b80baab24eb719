"""Conjugate gradients with the two-phase search as plain loops: real descents to analyse and to show.

Written from the description of the methods, one evaluation at a time, without a thought of speed. What
it returns has the layout of a recorded run: rows of STEP_COLUMNS, rows of TRACE_COLUMNS and their ends.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from gdlab.records import (
    BISECT,
    CUBIC,
    EXTRAPOLATE,
    LINE_SEARCH_FAILED,
    NO_FIT,
    OK,
    QUADRATIC,
    SHRINK,
    STEP_COLUMNS,
    TRACE_COLUMNS,
    Table,
)

NOTHING = float("nan")


class Record(NamedTuple):
    """scalars [N, S], evaluations [M, F], ends [N] (CSR), path [N + 1, p], directions [N, p]."""

    scalars: np.ndarray
    evaluations: np.ndarray
    ends: np.ndarray
    path: np.ndarray
    directions: np.ndarray


def rosenbrock(theta, batch=0):
    """Value and gradient of Rosenbrock's function of two variables."""
    x, y = theta
    value = 100.0 * (y - x * x) ** 2 + (1 - x) ** 2
    return value, np.array([-400.0 * x * (y - x * x) - 2 * (1 - x), 200.0 * (y - x * x)])


def shifted_bowls(theta, batch=0):
    """Three bowls with different centres: an error that jumps where the batch changes."""
    centre = np.array([[1.0, 0.0], [-0.5, 1.0], [-0.5, -1.2]])[batch % 3]
    shift = theta - centre
    stretch = np.array([1.0, 8.0])
    value = 0.3 + np.sum(stretch * shift**2) + 0.5 * np.sum(1 - np.cos(3 * shift))
    return float(value), 2 * stretch * shift + 1.5 * np.sin(3 * shift)


def descend(error, start, *, steps, sigma=0.05, length=None):
    """Minimise `error(theta, batch) -> (value, gradient)` from `start`; a new batch every `length` steps."""
    theta, record = np.array(start, float), ([], [], [], [np.array(start, float)], [])
    d = g_old = None
    for k in range(steps):
        batch = k // length if length else 0
        fresh = k == 0 or bool(length and k % length == 0)
        value, g = error(theta, batch)
        restarted = False
        if fresh or d is None:
            d = -g
        else:
            d = -g + (g @ (g - g_old)) / (g_old @ g_old) * d
            if g @ d >= 0:
                d, restarted = -g, True
        along = partial(_along, error, theta, d, batch)
        found, rows = two_phase(along, value, g @ d, d @ d, sigma)
        if found is None and not np.array_equal(d, -g):
            d, restarted = -g, True
            found, again = two_phase(partial(_along, error, theta, d, batch), value, g @ d, d @ d, sigma)
            rows += [[1.0, *row[1:]] for row in again]
        eta = found[0] if found else 0.0
        last = rows[-1][0]
        widest = max(row[2] for row in rows if row[0] == last)
        end = found[1] if found else value
        status = OK if found else LINE_SEARCH_FAILED
        record[0].append(
            [value, end, np.linalg.norm(g), eta * np.linalg.norm(d), g @ d, eta, widest, restarted, fresh,
             status, len(rows), batch, batch // 3, 1e-4 * (k + 1)]
        )  # fmt: skip
        record[1].extend(rows)
        record[2].append(len(record[1]))
        record[4].append(d)
        theta = theta + eta * d
        record[3].append(theta)
        g_old = g
        if not found:
            break
    return Record(
        *(np.array(part, float) for part in record[:2]), np.array(record[2]), *map(np.array, record[3:])
    )


def two_phase(phi, value, slope, squared_norm, sigma, *, alpha=0.1, beta=3.0, gamma=0.1, most=25):
    """The search as loops: ((eta, phi) or None, trace rows)."""
    a = (0.0, value, slope)
    b, phase, eta, rows, best = None, EXTRAPOLATE, 1 / (1 + squared_norm), [], None
    for _ in range(most):
        now = (eta, *phi(eta))
        low = np.isfinite(now[1]) and now[1] < value
        if low and (best is None or now[1] < best[1]):
            best = now[:2]
        if low and abs(now[2]) <= sigma * abs(slope):
            rows.append([0, phase, *now, NO_FIT, *[NOTHING] * 10, 1])
            return now[:2], rows
        beyond = not low or now[2] > 0
        if phase == EXTRAPOLATE and not beyond:
            kind, c, lowest = _fit(a, now, value, quadratic=False)
            limits, anchors = (alpha * eta, beta * eta), (a[0], eta)
            wanted = lowest if np.isfinite(lowest) and lowest >= 0 else limits[1]
        else:
            phase = SHRINK
            a, b = (a, now) if beyond else (now, b)
            kind, c, lowest = _fit(a, b, value, quadratic=b[1] > value)
            width = b[0] - a[0]
            limits, anchors = (a[0] + gamma * width, b[0] - gamma * width), (a[0], b[0])
            wanted = lowest if np.isfinite(lowest) else a[0] + width / 2
        following = min(max(wanted, limits[0]), limits[1])
        rows.append([0, phase, *now, kind, *anchors, *c, lowest, *limits, following, 0])
        eta = following
    return best, rows


def tables(record):
    """The "steps" and "evaluations" tables that a run folder gives for this record."""
    count = len(record.scalars)
    steps = {name: np.append(record.scalars[:, i], np.nan) for i, name in enumerate(STEP_COLUMNS)}
    steps["loss"][-1] = steps["loss_end"][-2]
    steps["iteration"] = np.arange(count + 1)
    trace = {name: record.evaluations[:, i] for i, name in enumerate(TRACE_COLUMNS)}
    lengths = np.diff(np.concatenate([[0], record.ends]))
    trace["iteration"] = np.repeat(np.arange(count), lengths)
    trace["j"] = np.concatenate([np.arange(length) for length in lengths])
    return Table(steps, {}, {}), Table(trace, {}, {})


def samples(record, error, start, stop, *, length=None, dense=48):
    """What a replay samples along the directions of iterations [start, stop): the "segments" table."""
    rows = []
    for k in range(start, stop):
        eta, widest = record.scalars[k, 5], record.scalars[k, 6]
        end = max(2.0, widest / eta) if eta else 2.0
        offset = np.linspace(0, 2, dense + 1)
        if end > 2:
            offset = np.concatenate([offset, np.geomspace(2, end, 24)[1:]])
        batch = k // length if length else 0
        values = [error(record.path[k] + xi * eta * record.directions[k], batch)[0] for xi in offset]
        rows.append((offset, np.array(values)))
    widest = max(len(offset) for offset, _ in rows)
    padded = [[np.pad(part, (0, widest - len(part)), constant_values=np.nan) for part in row] for row in rows]
    columns = {
        "iteration": np.arange(start, stop),
        "offset": np.array([row[0] for row in padded]),
        "value": np.array([row[1] for row in padded]),
        "noise": np.zeros(stop - start),
        "noisy": np.zeros(stop - start, bool),
        "difference": np.zeros(stop - start),
    }
    return Table(columns, {}, {"threshold": 0.1, "max_difference": 0.0})


def _along(error, theta, d, batch, eta):
    value, g = error(theta + eta * d, batch)
    return value, g @ d


def _fit(a, b, value, *, quadratic):
    """Kind, coefficients in powers of (eta - a) / (b - a), and the minimiser as a step width (or NaN)."""
    h, rise = b[0] - a[0], b[1] - a[1]
    if not np.isfinite([b[1], b[2]]).all():
        return BISECT, [NOTHING] * 4, NOTHING
    if quadratic:
        c = [a[1], h * a[2], rise - h * a[2], 0.0]
        return QUADRATIC, c, a[0] + h * (-c[1] / (2 * c[2])) if c[2] > 0 else NOTHING
    c = [a[1], h * a[2], 3 * rise - 2 * h * a[2] - h * b[2], h * a[2] + h * b[2] - 2 * rise]
    roots = np.roots([3 * c[3], 2 * c[2], c[1]])
    minima = [u.real for u in roots if abs(u.imag) < 1e-14 and 2 * c[2] + 6 * c[3] * u.real > 0]
    return CUBIC, c, a[0] + h * minima[0] if minima else NOTHING
