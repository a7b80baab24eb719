"""What the curves draw: the error, or a metric that a recorded loop measured at iterations of its own."""

import numpy as np

from gdlab.analysis import steps
from gdlab.store.effects import is_of_recorder
from server.ui.clock import Clock
from server.views.curve import data
from server.views.curve.data import BUCKETS, DOTS, Sent
from server.views.curve.plot import LOSS, TOOLTIPS

METRICS = "metric/"  # before the names of the arrays
ERROR = "error"


def recorded(context) -> list[str]:
    """Names of the metrics that a selected run has, in order of appearance."""
    arrays = (array for name in context.selected for array in context.run(name).arrays)
    return list(dict.fromkeys(a.removeprefix(METRICS) for a in arrays if a.startswith(METRICS)))


def first(context) -> str:
    """What is drawn unless something else is chosen: the error, where any run has one."""
    known = any(context.run(name).summary()["best_loss"] is not None for name in context.selected)
    names = recorded(context)
    return ERROR if known or not names else names[0]


def load(run, clock: Clock, low: float, high: float, smoothing: float, what: str) -> Sent:
    """As `data.load`, of `what`: the error, or a metric; nothing where the run has not measured it."""
    if what == ERROR:
        return data.load(run, clock, low, high, smoothing)
    start, stop = clock.rows(low, high, data.dot_count(run))
    iteration, value, x = _measured(run, clock, what)
    shown = np.flatnonzero((x >= low) & (x <= high))
    begin, end = (max(int(shown[0]) - 1, 0), int(shown[-1]) + 2) if len(shown) else (0, 0)
    smooth = {"x": x, "y": steps.smooth(value, smoothing)} if smoothing else {"x": x[:0], "y": x[:0]}
    smooth = _thinned(smooth["x"][begin:end], smooth["y"][begin:end])
    iteration, value, x = iteration[begin:end], value[begin:end], x[begin:end]
    line = _thinned(x, value)
    few = len(x) <= DOTS
    nothing = np.full(len(x) if few else 0, np.nan)
    dots = {name: nothing for name in data.COLUMNS if name not in ("loss", "loss_end")}
    dots |= {"x": x, "y": value, "iteration": iteration, "loss": value} if few else dict.fromkeys(
        ("x", "y", "iteration", "loss"), x[:0]
    )  # fmt: skip
    before = {"x": [], "y": [], "iteration": []}
    nonfinite = int(np.count_nonzero(~np.isfinite(value)))
    return Sent(dots, before, line, smooth, value, start, stop, nonfinite)


def overview(run, clock: Clock, what: str) -> dict:
    """As `data.overview`, of `what`."""
    if what == ERROR:
        return data.overview(run, clock)
    _, value, x = _measured(run, clock, what)
    return _thinned(x, value, 300)


def at(run, clock: Clock, k: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    """(x, value) of dot k, [1] each; [0] where a metric was not measured then."""
    if what == ERROR:
        return clock.x([k]), run.table("steps", k, k + 1, columns=["loss"]).columns["loss"]
    iteration, value, x = _measured(run, clock, what)
    there = iteration == int(np.asarray(clock.number(np.array([k])))[0])
    return x[there][-1:], value[there][-1:]


def tips(run, what: str) -> list[tuple[str, str]]:
    """What is said of a dot: of a recorded loop, what it has measured."""
    if what != ERROR:
        return [TOOLTIPS[0], (what, LOSS)]
    if not is_of_recorder(run.config):
        return TOOLTIPS
    columns = {"gradient norm": "grad_norm", "step width": "step_size", "evaluations": "evaluations"}

    def known(title):
        column = columns.get(title)
        return column is None or np.isfinite(run.envelope(column, points=16).columns["maximum"]).any()

    return [(title, value) for title, value in TOOLTIPS if known(title)]


def extent(run, clock: Clock, what: str) -> tuple[float, float]:
    """First and last x of the dots, and of what was measured before or behind them."""
    last = max(data.dot_count(run) - 1, 1)
    first = 1 if clock.log and clock.axis != "iteration" else 0
    x = np.asarray(clock.x([first, last]), float)
    if what != ERROR:
        measured = _measured(run, clock, what)[2]
        x = np.append(x, measured[measured > 0] if clock.log else measured)
    return float(x.min()), float(x.max())


def words(run, clock: Clock, what: str) -> list[str]:
    """What is said of a metric that is drawn in place of the error."""
    if METRICS + what not in run.arrays:
        return [f"This run has not measured {what}."]
    left = run.rows(METRICS + what) - len(_measured(run, clock, what)[0])
    said = f"{left:,} of its values, at iterations beyond those of the error, have no place on this axis."
    return [f"{what}, as it was measured.", *([said] if left else [])]


def limits(run, what: str) -> np.ndarray:
    """As `data.limits`, of `what`."""
    if what == ERROR:
        return data.limits(run)
    if METRICS + what not in run.arrays:
        return np.empty(0)
    value = run.table(METRICS + what).columns["value"]
    value = value[np.isfinite(value)]
    return np.array([value.min(), value.max()]) if len(value) else value


def _measured(run, clock, what):
    """(iterations, values, positions on the x axis) [n] of a metric; [0] where the run has none.

    What was spent is known up to the end of the last row: on an axis of that, values beyond have no place.
    """
    rows = run.rows("scalars")
    if METRICS + what not in run.arrays or not rows:
        return np.empty(0, int), np.empty(0), np.empty(0)
    found = run.table(METRICS + what).columns
    iteration, value = found["iteration"], found["value"]
    place = clock.dot(iteration)
    if clock.axis != "iteration":
        known = (place >= 0) & (place <= rows)
        iteration, value, place = iteration[known], value[known], place[known]
    return iteration, value, np.asarray(clock.x(place), float)


def _thinned(x, y, most: int = BUCKETS) -> dict:
    """A line with no more than so many buckets, through minimum and maximum of each."""
    if len(x) <= 2 * most:
        return {"x": x, "y": y}
    edges = np.linspace(0, len(x), most + 1).astype(int)[:-1]
    known = np.isfinite(y)
    low = np.minimum.reduceat(np.where(known, y, np.inf), edges)
    high = np.maximum.reduceat(np.where(known, y, -np.inf), edges)
    low, high = (np.where(np.isfinite(side), side, np.nan) for side in (low, high))
    return {"x": np.repeat(x[edges], 2), "y": np.stack([low, high], axis=1).ravel()}
