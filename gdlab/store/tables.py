"""The tables that analyses ask a run for, assembled from its arrays.

A descent of K steps has K + 1 dots (k, J(theta_k)). The record has one row per step; the last dot
is the end of the last step.
"""

import numpy as np

from gdlab.records import STEP_COLUMNS, TRACE_COLUMNS, Table
from gdlab.store.envelopes import is_level, level_name, query
from gdlab.store.errors import DamagedRun, UnknownName, nearest

__all__ = ["envelope", "is_level", "table"]
_TABLES = ("steps", "evaluations")
_METRIC = "metric/"  # before the names of what a recorded loop measured besides its steps


def table(run, name, start, stop, columns):
    """See `Run.table`."""
    if name == "steps":
        return _steps(run, start, stop, columns)
    if name == "evaluations":
        return _evaluations(run, start, stop, columns)
    metrics = [array for array in run.arrays if array.startswith(_METRIC)]
    if name in metrics:
        return _metric(run, name, start, stop)
    raise UnknownName(f"no table '{name}'." + nearest(name, (*_TABLES, *metrics)))


def _metric(run, name, start, stop):
    if run.columns(name) != ("iteration", "value") or len(run._layout(name).row_shape) != 1:
        raise DamagedRun(f"'{name}' is not a metric: it has other columns", run.path / "log.zarr" / name)
    rows = run._array(name, start, stop)
    if not np.isfinite(rows[:, 0]).all():
        raise DamagedRun(f"'{name}' has iterations that are no numbers", run.path / "log.zarr" / name)
    columns = {"iteration": rows[:, 0].astype(np.int64), "value": rows[:, 1].copy()}
    return Table(columns, dict.fromkeys(columns, ("measurement",)), {"generation": run.generation})


def iterations(run, stop=None):
    """Which iterations the rows [0, stop) of a Run are, int64 [rows], ascending.

    Rows are the iterations 0, 1, 2, ..., but those of a recorded loop that left some out or began later.
    """
    if "iteration" in run.arrays:
        found = np.array(run.array("iteration", 0, stop))
        rising = found.ndim == 1 and found.dtype.kind in "iu" and bool(np.all(found[1:] > found[:-1]))
        if not rising or run.rows("iteration") != run.rows("scalars"):
            raise DamagedRun("not the iterations of the recorded rows", run.path / "log.zarr" / "iteration")
        return found
    return np.arange(run.rows("scalars") if stop is None else stop)


def envelope(run, column, start, stop, points):
    """See `Run.envelope`."""
    if points < 3:
        raise ValueError(f"points = {points}: an envelope needs at least 3")
    names = run.columns("scalars")
    if column in STEP_COLUMNS and column not in names:
        return _unknown(run, column)
    number = _index(column, names)
    count = [run.rows("scalars")]
    while level_name("scalars", len(count)) in run._manifest.layouts:
        count.append(run.rows(level_name("scalars", len(count))))
    steps = count[0]
    dots = steps + _has_last_dot(run, column)
    start, stop, _ = slice(start, stop).indices(dots)

    layouts = [
        run._layout("scalars" if level == 0 else level_name("scalars", level)) for level in range(len(count))
    ]

    def read(level, column, a, b):
        return run._chunks.column(layouts[level], column, a, b)

    last_dot = start <= steps < stop
    points -= last_dot
    bucket, firsts, stats = query(read, count, number, start, max(start, min(stop, steps)), points)
    if last_dot:
        value = float(run._array("scalars", steps - 1, steps)[0, names.index("loss_end")])
        finite = np.isfinite(value)
        last = [value, value, 0.0] if finite else [np.nan, np.nan, 1.0]
        firsts, stats = np.append(firsts, steps), np.concatenate([stats, [last]])
    columns = {
        "iteration": firsts,
        "minimum": stats[:, 0],
        "maximum": stats[:, 1],
        "nonfinite": stats[:, 2].astype(np.int64),
    }
    facts = {"column": column, "bucket": bucket, "start": start, "stop": max(start, stop)}
    return Table(columns, dict.fromkeys(columns, ("bucket",)), {**facts, "generation": run.generation})


def _unknown(run, column):
    """The envelope of a column that a recorded loop lacks: one bucket of nothing."""
    columns = {"iteration": np.zeros(1, int), "minimum": np.full(1, np.nan), "maximum": np.full(1, np.nan)}
    columns["nonfinite"] = np.zeros(1, np.int64)
    facts = {"column": column, "bucket": 1, "start": 0, "stop": 0, "generation": run.generation}
    return Table(columns, dict.fromkeys(columns, ("bucket",)), facts)


def _steps(run, start, stop, wanted):
    names = run.columns("scalars")
    steps = run.rows("scalars")
    start, stop, _ = slice(start, stop).indices(steps + _has_last_dot(run, "loss"))
    stop = max(start, stop)
    lacking = [name for name in STEP_COLUMNS if name not in names]
    wanted = [*names, *lacking] if wanted is None else [name for name in wanted if name != "iteration"]
    layout = run._layout("scalars")
    columns = {"iteration": np.arange(start, stop)}
    for name in wanted:
        if name in lacking:
            columns[name] = np.full(stop - start, np.nan)
            continue
        column = run._chunks.column(layout, _index(name, names), start, min(stop, steps))
        if start <= steps < stop:
            column = np.append(column, np.nan)
            if name == "loss":
                column[-1] = run._array("scalars", steps - 1, steps)[0, names.index("loss_end")]
        columns[name] = column
    return Table(
        columns, dict.fromkeys(columns, ("iteration",)), {"steps": steps, "generation": run.generation}
    )


def _evaluations(run, start, stop, wanted):
    if "ls_eval" not in run.arrays or "ls_end" not in run.arrays:
        return _no_evaluations(run, wanted)
    names = run.columns("ls_eval")
    start, stop, _ = slice(start, stop).indices(run.rows("ls_end"))
    stop = max(start, stop)
    bounds = run._array("ls_end", max(0, start - 1), stop)
    if start == 0:
        bounds = np.concatenate([np.zeros(1, np.int64), bounds])
    if len(bounds) == 0:
        bounds = np.zeros(1, np.int64)
    if np.any(np.diff(bounds) < 0) or bounds[0] < 0 or bounds[-1] > run.rows("ls_eval"):
        raise DamagedRun(
            "the line searches' ends do not fit their evaluations", run.path / "log.zarr" / "ls_end"
        )
    first, last = int(bounds[0]), int(bounds[-1])
    lengths = np.diff(bounds)
    columns = {
        "iteration": np.repeat(np.arange(start, stop), lengths),
        "j": np.arange(first, last) - np.repeat(bounds[:-1], lengths),
    }
    layout = run._layout("ls_eval")
    for name in names if wanted is None else wanted:
        if name not in columns:
            columns[name] = run._chunks.column(layout, _index(name, names), first, last)
    return Table(columns, dict.fromkeys(columns, ("evaluation",)), {"generation": run.generation})


def _no_evaluations(run, wanted):
    """Of a run that has recorded no line searches, as of one whose method has none: no rows."""
    names = dict.fromkeys(["iteration", "j", *(TRACE_COLUMNS if wanted is None else wanted)])
    columns = {name: np.empty(0, np.int64 if name in ("iteration", "j") else float) for name in names}
    return Table(columns, dict.fromkeys(columns, ("evaluation",)), {"generation": run.generation})


def _has_last_dot(run, column):
    return column == "loss" and "loss_end" in run.columns("scalars") and run.rows("scalars") > 0


def _index(name, names):
    if name not in names:
        raise UnknownName(f"no column '{name}'." + nearest(name, names))
    return names.index(name)
