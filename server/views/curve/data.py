"""What a curve sends to the browser for the window it shows: as few points as the screen can tell apart.

Few iterations are dots of their own; many are buckets with their minimum and maximum, so that no
spike is lost. Smoothing runs over every iteration before it is thinned.
"""

import math
from typing import NamedTuple

import numpy as np

from gdlab.analysis import steps
from server.ui.clock import Clock

DOTS = 1500  # iterations that are shown one by one
BUCKETS = 1500  # buckets of a longer window, two points each
MEMORY = 1e-4  # weight below which the past does not reach into a smoothed window

COLUMNS = (
    "loss", "loss_end", "grad_norm", "step_size", "evaluations", "status", "restarted", "new_descent",
)  # fmt: skip


class Sent(NamedTuple):
    """Columns for the browser: `dots` (empty for a bucketed window), `before` (the values arrived at
    where the batch changes), `line` (the curve, through both values of a change or through minimum and
    maximum of each bucket), `smooth` (empty without smoothing); `values` for the axis; `start`, `stop`."""

    dots: dict
    before: dict
    line: dict
    smooth: dict
    values: np.ndarray
    start: int
    stop: int
    nonfinite: int


def dot_count(run) -> int:
    """K + 1 dots of K iterations, K of a recorded loop, whose last error nobody knows; 0 before the first."""
    rows = run.rows("scalars")
    return rows + ("loss_end" in run.columns("scalars")) if rows else 0


def load(run, clock: Clock, low: float, high: float, smoothing: float = 0.0) -> Sent:
    """What to draw between the positions low and high of the x axis."""
    start, stop = clock.rows(low, high, dot_count(run))
    smooth = _smooth(run, clock, start, stop, smoothing) if smoothing else {"x": [], "y": []}
    if stop - start > DOTS:
        return _buckets(run, clock, start, stop, smooth)
    table = run.table("steps", max(0, start - 1), stop, columns=list(COLUMNS))
    skip = min(start, 1)
    dots = {name: values[skip:] for name, values in steps.dots(table).columns.items()}
    x, two = clock.x(dots["iteration"]), dots["two"]
    shown = {name: table.columns[name][skip:] for name in COLUMNS if name not in ("loss", "loss_end")}
    number = np.asarray(clock.number(dots["iteration"]))
    shown |= {"x": x, "y": dots["loss"], "iteration": number, "loss": dots["loss"]}
    before = {"x": x[two], "y": dots["arrived"][two], "iteration": number[two]}
    # Through both values of a change: the curve arrives at the one and leaves from the other.
    at = np.flatnonzero(two)
    line = {"x": np.insert(x, at, x[at]), "y": np.insert(dots["loss"], at, dots["arrived"][at])}
    values = np.concatenate([dots["loss"], before["y"]])
    nonfinite = int(np.count_nonzero(~np.isfinite(dots["loss"])))
    return Sent(shown, before, line, smooth, values, start, stop, nonfinite)


def overview(run, clock: Clock, points: int = 600) -> dict:
    """The whole curve in few points, for the strip: columns x and y."""
    envelope = run.envelope("loss", points=points).columns
    return _zigzag(clock, envelope["iteration"], envelope["minimum"], envelope["maximum"])


def limits(run) -> np.ndarray:
    """The smallest and largest error of the whole run, ends of segments included; empty without any."""
    if not dot_count(run):
        return np.empty(0)
    parts = [run.envelope(name, points=16).columns for name in ("loss", "loss_end")]
    return np.concatenate([part[side] for part in parts for side in ("minimum", "maximum")])


def _buckets(run, clock, start, stop, smooth) -> Sent:
    found = run.envelope("loss", start, stop, points=BUCKETS).columns
    line = _zigzag(clock, found["iteration"], found["minimum"], found["maximum"])
    empty = {name: [] for name in (*COLUMNS, "x", "y", "iteration") if name != "loss_end"}
    before = {"x": [], "y": [], "iteration": []}
    return Sent(empty, before, line, smooth, line["y"], start, stop, int(found["nonfinite"].sum()))


def _zigzag(clock, first, low, high) -> dict:
    """A line through minimum and maximum of each bucket, alternating so that neighbours join."""
    flip = np.arange(len(low)) % 2 == 1
    y = np.stack([np.where(flip, high, low), np.where(flip, low, high)], axis=1).ravel()
    return {"x": np.repeat(clock.x(first), 2), "y": y}


def _smooth(run, clock, start, stop, weight) -> dict:
    warm = max(0, start - math.ceil(math.log(MEMORY) / math.log(weight)))
    losses = run.table("steps", warm, stop, columns=["loss"]).columns["loss"]
    values = steps.smooth(losses, weight)[start - warm :]
    if len(values) <= DOTS:
        return {"x": clock.x(np.arange(start, stop)), "y": values}
    edges = np.linspace(0, len(values), BUCKETS + 1).astype(int)[:-1]
    known = np.isfinite(values)
    low = np.minimum.reduceat(np.where(known, values, np.inf), edges)
    high = np.maximum.reduceat(np.where(known, values, -np.inf), edges)
    low, high = (np.where(np.isfinite(side), side, np.nan) for side in (low, high))
    return _zigzag(clock, start + edges, low, high)
