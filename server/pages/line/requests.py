"""The lines of a page's runs: asked of the worker one after another, drawn as they come.

The whole network of every run comes first, then the layers. Where the parameters of both ends are at
hand every layer is a request of its own, so that it is drawn as soon as it is there; else one request
for all of them spares the replay of each.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from gdlab.analysis import handed
from gdlab.records import Table
from server.core.rest import Rest
from server.pages.line.options import LineOptions
from server.ui.query import Query

WHOLE = "network"
REST_MS = 300  # a choice that has rested for so long is meant


@dataclass
class RunLine:
    """What is known of one run. ends: its two iterations; curves: {"network" or a layer's name:
    (loss [A], accuracy [A], distance)} over alpha [A]; layers: whether all of them have come;
    trouble: why there is no (more) line; attrs: of the probe's last answer."""

    ends: tuple[int, int]
    alpha: np.ndarray = field(default_factory=lambda: np.empty(0))
    curves: dict[str, tuple[np.ndarray, np.ndarray, float]] = field(default_factory=dict)
    layers: bool = False
    trouble: str | None = None
    attrs: dict = field(default_factory=dict)


class Lines:
    """runs: {run name: RunLine}. changed(): something has come, failed, or was cancelled."""

    def __init__(self, context, names, options: LineOptions, changed: Callable[[], None]):
        self.context, self.names, self.options, self.changed = context, tuple(names), options, changed
        self.query = Query(
            context, self._arrived, name="line", failed=self._failed, cancelled=self._cancelled,
            progressed=self._progressed,
        )  # fmt: skip
        self.progress = self.query.progress
        self.runs: dict[str, RunLine] = {}
        self.cancelled = False
        self.keys: dict[str, object] = {}
        self._queue: deque[tuple[str, str]] = deque()
        self._name = ""  # of the run that is asked about
        self._rest = Rest(context, REST_MS, self.ask)
        self._done = self._all = 0

    def ends(self, run) -> tuple[int, int]:
        """The two iterations in a run; of a recorded loop the nearest whose parameters are kept."""
        there = handed.of(run)
        start, stop = self.options.ends(run.rows("scalars"))
        return there.nearest(start), there.nearest(stop)

    @property
    def waiting(self) -> bool:
        """Whether something is asked for and not there yet."""
        return self.query.waiting or self._rest.waiting

    def rest(self) -> None:
        """Asks once the choices have rested."""
        self._drop()
        self._rest.begin()

    def ask(self) -> None:
        """Begins anew with the options in force."""
        self._drop()
        self.cancelled = False
        self.runs, self.keys = {}, {}
        for name in self.names:
            run = self.context.run(name)
            line = self.runs[name] = RunLine(self.ends(run))
            self.keys[name] = run.key
            line.trouble = _too_short(*line.ends, run.rows("scalars"))
        self._queue.extend((name, "whole") for name in self.names if not self.runs[name].trouble)
        for name, _ in list(self._queue):
            self._queue.extend((name, layers) for layers in self._layers(name))
        self._done, self._all = 0, len(self._queue)
        self.changed()
        self._next()

    # -- private ----------------------------------------------------------------------------------

    def _layers(self, name: str) -> list[str]:
        """The requests for the layers of a run."""
        run, ends = self.context.run(name), self.runs[name].ends
        known = run.columns("layer/param_norm") if "layer/param_norm" in run.arrays else ()
        path = run.rows("path") if "path" in run.arrays else 0
        at_hand = all(k < path or k in (0, *run.checkpoints) for k in ends)
        return list(known) if at_hand and len(known) > 1 else ["each"]

    def _next(self) -> None:
        if not self._queue:
            self.progress.done()
            self.changed()
            return
        self._name, layers = self._queue.popleft()
        start, stop = self.runs[self._name].ends
        options = {**self.options.probe, "start": start, "stop": stop, "layers": layers}
        self.query.forget()
        self.query.probe(self.context.run(self._name), "interpolation", options, "the line")

    def _progressed(self, fraction: float, words: str) -> None:
        label = f"{self._name}: {words}" if len(self.names) > 1 else words[:1].upper() + words[1:]
        self.progress.show((self._done + fraction) / max(self._all, 1), label)

    def _arrived(self, table: Table) -> None:
        name = self._name
        line, columns = self.runs[name], table.columns
        line.alpha, line.attrs = columns["alpha"], table.attrs
        for row, curve in enumerate(columns["curve"]):
            found = columns["loss"][row], columns["accuracy"][row], float(columns["distance"][row])
            line.curves[str(curve)] = found
        line.layers = not any(run == name for run, _ in self._queue)
        self._one_done()

    def _cancelled(self) -> None:
        """The reader pressed "Cancel": what has come stays."""
        self._drop()
        self.cancelled = True
        self.changed()

    def _failed(self, message: str) -> None:
        name = self._name
        self.runs[name].trouble = message
        left = [request for request in self._queue if request[0] != name]
        self._done += len(self._queue) - len(left)
        self._queue = deque(left)
        self._one_done()

    def _one_done(self) -> None:
        self._done += 1
        if self._queue:
            self.changed()
        self._next()

    def _drop(self) -> None:
        self._queue.clear()
        self._rest.stop()
        self.query.forget()


def _too_short(start: int, stop: int, last: int) -> str | None:
    """Why there is no line between two iterations of a run recorded up to `last`; None where there is."""
    if last == 0:
        return "no iteration has been recorded yet: a line needs two points"
    if start == stop:
        return f"recorded up to iteration {last:,}: both ends are iteration {start:,}; choose two"
    return None
