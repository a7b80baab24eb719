"""From what a loop hands over to the rows of a run folder: one row an iteration, one array a metric.

Loops write as they like: one iteration twice (its error first, its accuracy later), every tenth iteration,
from iteration 1 on. A row is complete when a later iteration is written. Where rows are not the iterations
0, 1, 2, ..., the array "iteration" says which they are. Taking something in costs next to nothing, since the
training waits for the interpreter meanwhile; arrays are made of many rows at once, in `flush`.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gdlab.records import DIVERGED, OK, STEP_COLUMNS
from gdlab.store import ArraySpec
from gdlab.store.spec import valid_name
from gdlab.store.tables import iterations

LAYERS = "layer/"  # before the names of the arrays of layers
METRICS = "metric/"  # before those of metrics, which have the columns "iteration" and "value"
MAX_METRICS = 1000
REACH = 2.0  # step_size_max of a step that is known, in steps: how far it is looked at
GIVEN = ("loss", "grad_norm", "update_norm", "slope", "epoch")  # columns that a loop may give by name
BESIDE = ("learning_rate", "clipped")  # numbers of an Observation that are metrics
ITERATION = ArraySpec("i8", (), None, ("iteration",))
METRIC = ArraySpec("f8", (2,), ("iteration", "value"))
# Without the error at the end of a step, which nobody has evaluated.
COLUMNS = tuple(name for name in STEP_COLUMNS if name != "loss_end")
SCALARS = ArraySpec("f8", (len(COLUMNS),), COLUMNS)
_AT = {name: index for index, name in enumerate(COLUMNS)}
_ZERO = [_AT[name] for name in ("restarted", "new_descent", "descent")]


class Handed(NamedTuple):
    """What one call of `Recorder.write` handed over: of T iterations, from `step` on.

    values [T, S] and layout: of an Observation, or None; metrics: {name: a number, or numbers [T]}; seconds:
    since the beginning; moved: whether the parameters were handed over.
    """

    step: int
    seconds: float
    layout: Any
    values: np.ndarray | None
    metrics: dict[str, Any]
    iterations: int
    moved: bool = False


@dataclass
class _Row:
    """What is known of `count` iterations from `step` on."""

    step: int
    count: int
    seconds: float
    given: dict[str, Any] = field(default_factory=dict)
    layout: Any = None
    values: np.ndarray | None = None
    moved: bool = False


class Rows:
    """The rows that wait for `flush`, of which the latest may still be added to.

    notes: sentences about what could not be recorded as it was given, each once.
    """

    def __init__(self, writer, run):
        """writer: a RunWriter; run: the Run as it is committed, None for a new one."""
        self.notes: list[str] = []
        self._writer = writer
        self._count = writer.cursors()["scalars"]
        recorded = iterations(run, self._count) if run else np.arange(0)
        self.last = int(recorded[-1]) if len(recorded) else -1
        self._layers = _layers_of(run)
        self._open: _Row | None = None  # of iteration self.last
        self._done: list[_Row] = []
        self._metrics: dict[str, list] = {}
        cursors = (name for name in writer.cursors() if name.startswith(METRICS))
        self._names = {name.removeprefix(METRICS): True for name in cursors}  # {metric: whether it is kept}

    def can_take(self, handed: Handed) -> bool:
        """Whether it fits behind what is there: it is not of an iteration that is complete already."""
        if handed.step > self.last:
            return True
        if handed.step < self.last or handed.iterations > 1:
            return False
        brings_row = handed.values is not None or any(name in GIVEN for name in handed.metrics)
        return self._open is not None or not brings_row

    def add(self, handed: Handed) -> None:
        """Takes in what `can_take` has said yes to."""
        step, count = handed.step, handed.iterations
        if step > self.last or count > 1:
            self.complete()
            self._open = _Row(step, count, handed.seconds)
        row = self._open
        if row is not None:
            row.moved |= handed.moved
        for name, value in handed.metrics.items():
            if name in GIVEN and row is not None:
                row.given[name] = value
            elif name not in GIVEN:
                self._measured(name, step, count, value)
        if handed.values is not None and row is not None:
            row.layout, row.values = handed.layout, handed.values
        self.last = step + count - 1
        if count > 1:
            self.complete()

    def complete(self) -> None:
        """The latest iteration can no longer be added to."""
        if self._open is not None:
            self._done.append(self._open)
            self._open = None

    def flush(self) -> None:
        """Hands all complete rows and all metrics to the writer, in one piece."""
        done, self._done = self._done, []
        rows = self._rows(done) if done else {}
        metrics, self._metrics = self._metrics, {}
        for name, pairs in metrics.items():
            # Whoever reads sees no metric of an iteration that he does not see.
            row = self._open
            early = row is not None and pairs[-1][0] >= row.step
            ready = pairs if row is None else [pair for pair in pairs if pair[0] < row.step]
            if early:
                self._metrics[name] = pairs[len(ready) :]
            if ready:
                self._begun(METRICS + name, METRIC)
                rows[METRICS + name] = np.array(ready, float)
        if rows:
            self._writer.append(rows)

    def _rows(self, done):
        """{array: rows} of complete iterations."""
        counts = [row.count for row in done]
        stops = np.cumsum(counts)
        places = [slice(stop - count, stop) for count, stop in zip(counts, stops, strict=True)]
        steps = np.concatenate([np.arange(row.step, row.step + row.count) for row in done])
        scalars = np.full((len(steps), len(COLUMNS)), np.nan)
        scalars[:, _ZERO] = 0
        scalars[:, _AT["seconds"]] = np.repeat([row.seconds for row in done], counts)
        known = {name: np.zeros(len(steps), bool) for name in GIVEN}
        seen = self._observed(done, places, steps, scalars, known)
        for row, place in zip(done, places, strict=True):
            for name, value in row.given.items():
                scalars[place, _AT[name]] = value
                known[name][place] = True
        _judge(scalars, known)
        moved = np.repeat([row.moved for row in done], counts)
        scalars[moved, _AT["step_size"]], scalars[moved, _AT["step_size_max"]] = 1.0, REACH
        rows = {"scalars": scalars}
        self._number(steps, rows)
        self._of_layers(len(steps), seen, rows)
        self._count += len(steps)
        return rows

    def _observed(self, done, places, steps, scalars, known):
        """Puts what Observations say into the scalars; {quantity: (mask [n], values [m, L])} of layers."""
        found: dict[str, list] = {}
        for layout in {row.layout: None for row in done if row.values is not None}:
            with_it = [(row, at) for row, at in zip(done, places, strict=True) if row.layout == layout]
            values = np.concatenate([row.values for row, _ in with_it])
            mask = np.zeros(len(steps), bool)
            for _, at in with_it:
                mask[at] = True
            for name, column in zip(layout.numbers, values.T, strict=False):
                if name not in BESIDE:
                    scalars[mask, _AT[name]], known[name][mask] = column, True
                elif not self._names.get(name):  # else the loop gives it by hand
                    self._metrics.setdefault(name, []).extend(zip(steps[mask], column, strict=True))
            if self._same_layers(layout, with_it[0][0].step):
                width, first = len(layout.layers), len(layout.numbers)
                for index, name in enumerate(layout.quantities):
                    part = values[:, first + index * width : first + (index + 1) * width]
                    found.setdefault(name, []).append((mask, part))
        return found

    def _number(self, steps, rows):
        """Which iterations the rows are, where that is not their number."""
        expected = np.arange(self._count, self._count + len(steps))
        if "iteration" not in self._writer.cursors():
            if np.array_equal(steps, expected):
                return
            self._begun("iteration", ITERATION, np.arange(self._count))
        rows["iteration"] = steps

    def _of_layers(self, count, seen, rows):
        """Every array of layers has a row of every iteration: NaN where nothing was seen."""
        known = {name.removeprefix(LAYERS) for name in self._writer.cursors() if name.startswith(LAYERS)}
        for quantity in sorted(known | seen.keys()):
            width = len(self._layers)
            spec = ArraySpec("f4", (width,), self._layers, ("iteration", "layer"))
            self._begun(LAYERS + quantity, spec, np.full((self._count, width), np.nan, np.float32))
            values = np.full((count, width), np.nan, np.float32)
            for mask, part in seen.get(quantity, ()):
                values[mask] = part
            rows[LAYERS + quantity] = values

    def _begun(self, name, spec, before=None):
        """The array is there, with the rows of what came before it."""
        if name not in self._writer.cursors():
            self._writer.add_array(name, spec)
            if before is not None and len(before):
                self._writer.append({name: before})

    def _measured(self, name, step, count, value):
        if name not in self._names:
            self._names[name] = self._is_metric(name)
        if not self._names[name]:
            return
        pairs = self._metrics.setdefault(name, [])
        if count == 1:
            if pairs and pairs[-1][0] == step:  # what is said last counts
                pairs.pop()
            pairs.append((step, float(value)))
        else:
            pairs += zip(range(step, step + count), np.broadcast_to(value, (count,)).tolist(), strict=True)

    def _is_metric(self, name):
        if not valid_name(METRICS + name):
            self._note(
                f"the metric {name!r:.80} is not recorded: names consist of letters, digits, '_', '.', "
                "'-', and '/' between parts"
            )
            return False
        within = next((other for other, there in self._names.items() if there and _within(name, other)), None)
        if within is not None or "zarr.json" in name.split("/"):
            why = (
                "that is a file's name"
                if within is None
                else f"there is {within!r:.80}, and none lies in another"
            )
            self._note(f"the metric {name!r:.80} is not recorded: {why}")
            return False
        if sum(self._names.values()) >= MAX_METRICS:
            self._note(f"{MAX_METRICS:,} metrics are recorded, as many as there may be; others are left out")
            return False
        return True

    def _same_layers(self, layout, step):
        if not layout.layers:
            return False
        if self._layers is None:
            self._layers = layout.layers
        if self._layers == layout.layers:
            return True
        self._note(
            f"from iteration {step} on the layers are others ({', '.join(layout.layers)!s:.80} instead of "
            f"{', '.join(self._layers)!s:.80}): they are left out; record them as a run of its own"
        )
        return False

    def _note(self, text):
        if text not in self.notes:
            self.notes.append(text)


def _within(name, other):
    """Whether one of two names lies within the other, as "val/loss" in "val"."""
    return name.startswith(f"{other}/") or other.startswith(f"{name}/")


def _layers_of(run):
    """Names of the layers that a Run has rows of; None: of none."""
    names = [name for name in (run.arrays if run else ()) if name.startswith(LAYERS)]
    return run.columns(names[0]) if names else None


def _judge(scalars, known):
    """Steps and status of rows, from what is known of them."""
    moved = known["update_norm"]  # the step that was taken is the direction
    scalars[moved, _AT["step_size"]], scalars[moved, _AT["step_size_max"]] = 1.0, REACH
    loss, update = (scalars[:, _AT[name]] for name in ("loss", "update_norm"))
    # An optimizer that looks at itself may not have been told the error; where that is none, the update is.
    untold = np.isnan(loss) & moved & np.isfinite(update)
    bad = (known["loss"] & ~np.isfinite(loss) & ~untold) | (moved & ~np.isfinite(update))
    scalars[:, _AT["status"]] = np.where(bad, DIVERGED, OK)
