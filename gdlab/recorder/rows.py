"""From what a loop hands over to the rows of a run folder: one row an iteration, one array a metric.

Loops write as they like: one iteration twice (its error first, its accuracy later), every tenth iteration,
from iteration 1 on. A row is complete when a later iteration is written. Where rows are not the iterations
0, 1, 2, ..., the array "iteration" says which they are.
"""

from typing import NamedTuple

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
ITERATION = ArraySpec("i8", (), None, ("iteration",))
METRIC = ArraySpec("f8", (2,), ("iteration", "value"))
# Without the error at the end of a step, which nobody has evaluated.
COLUMNS = tuple(name for name in STEP_COLUMNS if name != "loss_end")
SCALARS = ArraySpec("f8", (len(COLUMNS),), COLUMNS)
_AT = {name: index for index, name in enumerate(COLUMNS)}
_ZERO = ("restarted", "new_descent", "descent")


class Handed(NamedTuple):
    """What one call of `Recorder.write` handed over: of T iterations, from `step` on.

    values [T, S] and layout: of an Observation, or None; metrics: {name: [T]}; seconds: since the beginning.
    """

    step: int
    seconds: float
    layout: tuple | None
    values: np.ndarray | None
    metrics: dict[str, np.ndarray]
    iterations: int


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
        self._open: dict | None = None  # of iteration self.last: what is known of it
        self._done: list[tuple] = []  # (steps [T], scalars [T, 14], {quantity: [T, L]})
        self._metrics: dict[str, list] = {}

    def can_take(self, handed: Handed) -> bool:
        """Whether it fits behind what is there: it is not of an iteration that is complete already."""
        if handed.step > self.last:
            return True
        brings_row = handed.values is not None or any(name in GIVEN for name in handed.metrics)
        return (
            handed.step == self.last and handed.iterations == 1 and (self._open is not None or not brings_row)
        )

    def add(self, handed: Handed) -> None:
        """Takes in what `can_take` has said yes to."""
        given = {name: handed.metrics[name] for name in GIVEN if name in handed.metrics}
        steps = np.arange(handed.step, handed.step + handed.iterations)
        layers = {}
        if handed.values is not None:
            numbers, layers = _unpacked(handed.layout, handed.values)
            layers = layers if self._same_layers(handed.layout, handed.step) else {}
            rates = {name: numbers[name] for name in ("learning_rate", "clipped") if name in numbers}
            given = {
                **{name: v for name, v in numbers.items() if name in GIVEN and name not in given},
                **given,
            }
            self._measured(steps, rates)
        self._measured(steps, {name: v for name, v in handed.metrics.items() if name not in GIVEN})
        if handed.step > self.last or handed.iterations > 1:
            self.complete()
            self._open = {"steps": steps, "given": {}, "layers": {}, "seconds": handed.seconds}
        if self._open is not None:
            self._open["given"] |= given
            self._open["layers"] |= layers
        self.last = int(steps[-1])
        if handed.iterations > 1:
            self.complete()

    def complete(self) -> None:
        """The latest iteration can no longer be added to."""
        if self._open is not None:
            row, self._open = self._open, None
            scalars = _scalars(len(row["steps"]), row["given"], row["seconds"])
            self._done.append((row["steps"], scalars, row["layers"]))

    def flush(self) -> None:
        """Hands all complete rows and all metrics to the writer, in one piece."""
        rows: dict[str, np.ndarray] = {}
        if self._done:
            steps = np.concatenate([done[0] for done in self._done])
            rows["scalars"] = np.concatenate([done[1] for done in self._done])
            self._number(steps, rows)
            self._of_layers(rows)
            self._count += len(steps)
        for name, pairs in self._metrics.items():
            self._begun(METRICS + name, METRIC)
            rows[METRICS + name] = np.concatenate(pairs)
        self._done, self._metrics = [], {}
        if rows:
            self._writer.append(rows)

    def _number(self, steps, rows):
        """Which iterations the rows are, where that is not their number."""
        expected = np.arange(self._count, self._count + len(steps))
        if "iteration" not in self._writer.cursors():
            if np.array_equal(steps, expected):
                return
            self._begun("iteration", ITERATION, np.arange(self._count))
        rows["iteration"] = steps

    def _of_layers(self, rows):
        """Every array of layers has a row of every iteration: NaN where nothing was seen."""
        known = {name.removeprefix(LAYERS) for name in self._writer.cursors() if name.startswith(LAYERS)}
        for quantity in sorted(known.union(*(done[2] for done in self._done))):
            width = len(self._layers)
            nothing = np.full((self._count, width), np.nan, np.float32)
            spec = ArraySpec("f4", (width,), self._layers, ("iteration", "layer"))
            self._begun(LAYERS + quantity, spec, nothing)
            parts = [
                layers.get(quantity, np.full((len(steps), width), np.nan)) for steps, _, layers in self._done
            ]
            rows[LAYERS + quantity] = np.concatenate(parts).astype(np.float32)

    def _begun(self, name, spec, before=None):
        """The array is there, with the rows of what came before it."""
        if name not in self._writer.cursors():
            self._writer.add_array(name, spec)
            if before is not None and len(before):
                self._writer.append({name: before})

    def _measured(self, steps, metrics):
        for name, values in metrics.items():
            if not valid_name(METRICS + name):
                self._note(
                    f"the metric {name!r:.80} is not recorded: names consist of letters, digits, '_', '.', "
                    "'-', and '/' between parts"
                )
            elif name not in self._metrics and len(self._metrics) >= MAX_METRICS:
                self._note(f"{MAX_METRICS:,} metrics are recorded; {name!r:.80} and more are left out")
            else:
                pair = np.stack([steps.astype(float), values.astype(float)], axis=1)
                self._metrics.setdefault(name, []).append(pair)

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


def before(run, step: int) -> dict[str, int]:
    """{array: rows} of what a Run holds of the iterations before `step`: cursors to go on from there."""
    kept = int(np.searchsorted(iterations(run), step))
    cursors = {}
    for name in run.arrays:
        if name.startswith(METRICS):
            cursors[name] = int(np.count_nonzero(run.array(name)[:, 0] < step))
        else:
            cursors[name] = kept
    return cursors


def _layers_of(run):
    """Names of the layers that a Run has rows of; None: of none."""
    names = [name for name in (run.arrays if run else ()) if name.startswith(LAYERS)]
    return run.columns(names[0]) if names else None


def _unpacked(layout, values):
    """({number: [T]}, {quantity: [T, L]}) of the vectors [T, S] of Observations."""
    numbers = {name: values[:, index] for index, name in enumerate(layout.numbers)}
    rest = values[:, len(numbers) :].reshape(len(values), len(layout.quantities), len(layout.layers))
    return numbers, {name: rest[:, index] for index, name in enumerate(layout.quantities)}


def _scalars(count, given, seconds):
    """Rows [count, columns] of the table of steps."""
    rows = np.full((count, len(COLUMNS)), np.nan)
    rows[:, [_AT[name] for name in _ZERO]] = 0
    rows[:, _AT["seconds"]] = seconds
    for name, values in given.items():
        rows[:, _AT[name]] = values
    if "update_norm" in given:  # the step that was taken is the direction
        rows[:, _AT["step_size"]], rows[:, _AT["step_size_max"]] = 1.0, REACH
    judged = [np.isfinite(rows[:, _AT[name]]) for name in ("loss", "update_norm") if name in given]
    rows[:, _AT["status"]] = np.where(np.all(judged, axis=0), OK, DIVERGED) if judged else OK
    return rows
