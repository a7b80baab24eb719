"""From what was read of a run to the arrays of its folder, as a `gdlab.Recorder` would have left them.

The rows are the iterations at which the error was written, and where there is none all at which anything was.
Every other metric keeps iterations of its own. Steps that came again or went back cut what stood there, as a
loop that begins again at its checkpoint does.
"""

from typing import NamedTuple

import numpy as np

from gdlab.interchange.choosing import Chosen
from gdlab.interchange.names import metric_names
from gdlab.interchange.source import Found, Series
from gdlab.messages import counted
from gdlab.records import DIVERGED, OK, STEP_COLUMNS
from gdlab.store import ArraySpec

# Without the error at the end of a step, which nobody has evaluated.
COLUMNS = tuple(name for name in STEP_COLUMNS if name != "loss_end")
SCALARS = ArraySpec("f8", (len(COLUMNS),), COLUMNS)
ITERATION = ArraySpec("i8", (), None, ("iteration",))
METRIC = ArraySpec("f8", (2,), ("iteration", "value"))
MEASURES = ("iteration", "loss", "accuracy", "train_loss", "train_accuracy")
VALIDATION = ArraySpec("f8", (len(MEASURES),), MEASURES)
GIVEN = ("grad_norm", "update_norm", "slope", "epoch")  # columns that are filled by metrics of these names
EARLIEST = 631_152_000  # seconds since 1970 (1990): a time before it counts from a beginning of its own
LATEST = 1 << 32  # seconds since 1970: a time behind it is none
REACH = 2.0  # step_size_max of a step that is known, in steps
_AT = {name: index for index, name in enumerate(COLUMNS)}


class Arrays(NamedTuple):
    """specs: {array: ArraySpec}; rows: {array: rows}; seconds: of the training; started: seconds since 1970
    or None; notes: in words."""

    specs: dict[str, ArraySpec]
    rows: dict[str, np.ndarray]
    seconds: float
    started: float | None
    notes: list[str]


def arrays(found: Found, choice: Chosen) -> Arrays:
    """The arrays of a run folder from what was read of a run."""
    notes = [*found.notes, *found.damage, *([choice.note] if choice.note else [])]
    series, cut = {}, 0  # {name: Series} with steps that rise, numbers that were given up
    for name, one in found.series.items():
        series[name] = settled(one)
        cut += len(one.step) - len(series[name].step)
    if cut:
        notes.append(f"{counted(cut, 'number')} given up whose steps were written again, or gone back behind")
    begun = found.started if found.started and 0 < found.started < LATEST else _first_time(series)
    if begun is not None and begun < EARLIEST:
        begun = None
    steps, scalars = _scalars(series, choice, begun)
    rows: dict[str, np.ndarray] = {"scalars": scalars}
    specs = {"scalars": SCALARS}
    if not np.array_equal(steps, np.arange(len(steps))):
        rows["iteration"], specs["iteration"] = steps, ITERATION
    names = metric_names(name for name in series if name != choice.loss)
    renamed = [f"{name!r:.60} is {kept!r}" for name, kept in names.items() if name != kept]
    if renamed:
        more = f" and {len(renamed) - 3:,} more" if len(renamed) > 3 else ""
        notes.append("metrics under other names: " + ", ".join(renamed[:3]) + more)
    for name, kept in names.items():
        one = series[name]
        rows[f"metric/{kept}"] = np.stack([one.step.astype(float), one.value], axis=1)
        specs[f"metric/{kept}"] = METRIC
    validation, said = _validation(series, choice)
    if len(validation):
        rows["validation"], specs["validation"] = validation, VALIDATION
    return Arrays(specs, rows, float(np.max(scalars[:, _AT["seconds"]], initial=0)), begun, notes + said)


def settled(one: Series) -> Series:
    """A metric with steps that rise: what was written last of a step counts, and a step that goes back gives
    up what had been written from it on."""
    if len(one.step) < 2 or np.all(np.diff(one.step) > 0):
        return one
    lowest_behind = np.minimum.accumulate(one.step[::-1])[::-1]
    kept = np.append(one.step[:-1] < lowest_behind[1:], True)
    return Series(*(part[kept] for part in one))


def _first_time(series):
    times = [one.time[(one.time > 0) & (one.time < LATEST)] for one in series.values()]
    times = [float(part.min()) for part in times if len(part)]
    return min(times, default=None)


def _scalars(series, choice, begun):
    """(iterations int64 [n], rows [n, S])."""
    if choice.loss is not None:
        steps = series[choice.loss].step
        times = series[choice.loss].time
    else:
        steps = np.unique(np.concatenate([one.step for one in series.values()] or [np.empty(0, np.int64)]))
        times = np.full(len(steps), np.nan)
        for one in series.values():
            at = np.searchsorted(steps, one.step)
            times[at] = np.fmax(times[at], one.time)
    rows = np.full((len(steps), len(COLUMNS)), np.nan)
    rows[:, [_AT[name] for name in ("restarted", "new_descent", "descent")]] = 0
    rows[:, _AT["seconds"]] = _seconds(times, begun)
    for name in GIVEN:
        one = series.get(name)
        if one is not None and len(one.step) and np.isin(one.step, steps).all():
            rows[np.searchsorted(steps, one.step), _AT[name]] = one.value
    moved = np.isfinite(rows[:, _AT["update_norm"]])
    rows[moved, _AT["step_size"]], rows[moved, _AT["step_size_max"]] = 1.0, REACH
    status = np.full(len(steps), OK, float)
    if choice.loss is not None:
        rows[:, _AT["loss"]] = series[choice.loss].value
        status[~np.isfinite(series[choice.loss].value)] = DIVERGED
    rows[:, _AT["status"]] = status
    return steps, rows


def _seconds(times, begun):
    """Seconds since the beginning, never falling; of a row without a time as of the one before it."""
    since = np.where((times > 0) & (times < LATEST), times - (begun or 0.0), 0.0)
    known = np.maximum(since, 0.0)
    return np.maximum.accumulate(known) if len(known) else known


def _validation(series, choice):
    """(rows [m, 5] of what was measured on examples held out, notes)."""
    held = [name for name in (choice.held_loss, choice.accuracy) if name is not None]
    train = choice.train_accuracy if choice.accuracy is None and choice.train_accuracy else None
    names = held or ([train] if train else [])
    if not names:
        return np.empty((0, len(MEASURES))), []
    steps = np.unique(np.concatenate([series[name].step for name in names]))
    rows, notes = np.full((len(steps), len(MEASURES)), np.nan), []
    rows[:, 0] = steps
    columns = (choice.held_loss, choice.accuracy, choice.loss, choice.train_accuracy)
    for column, name in enumerate(columns, 1):
        if name is None:
            continue
        one, value = series[name], series[name].value
        if column in (2, 4) and np.nanmax(value, initial=0) > 1.0 + 1e-9:
            if not np.nanmax(value) <= 100 or np.nanmin(value) < 0:
                notes.append(f"{name} is no accuracy: it has values beyond 100 %")
                continue
            value = value / 100
            notes.append(f"{name} is in percent: accuracy is a hundredth of it")
        there = np.isin(one.step, steps)
        rows[np.searchsorted(steps, one.step[there]), column] = value[there]
    return rows, notes
