"""Segments for the iterations in view: asked of the worker once, kept, joined with the record.

A request waits until the view rests, replaces the one before, and can be cancelled; what has been
computed stays, per batch ("batch" or "train"), until the run is resumed.
"""

from collections.abc import Callable

import numpy as np

from gdlab.analysis import handed, segments
from gdlab.records import Table
from gdlab.store.effects import is_of_recorder
from server.core.rest import Rest
from server.ui.query import Query

REST_MS = 120  # a view that has not moved for so long is looked at
KEPT = 4000  # iterations kept per run and batch
SAMPLED = ("offset", "value", "noise", "noisy", "difference")


class Feed:
    """Segments of one run. changed(): more are there; name: of the models of `progress`, to be placed in a
    card. attrs: what the last answer reported.
    """

    def __init__(self, context, run_name: str, changed: Callable[[], None], *, name: str):
        self.context, self.run_name, self.changed = context, run_name, changed
        self._query = Query(
            context, self._arrived, name=name, failed=lambda why: changed(), cancelled=self._given_up
        )
        self.progress = self._query.progress
        self.cancelled = False
        self.attrs: dict = {}
        self._known: dict[str, dict[int, tuple]] = {"batch": {}, "train": {}}
        self._key = None
        self._wanted: dict = {}
        self._asked: dict = {}
        self._rest = Rest(context, REST_MS, self._ask)

    @property
    def moments(self) -> frozenset[int] | None:
        """Of a recorded loop the iterations of which segments can be computed; None: of all."""
        run = self.run
        if not is_of_recorder(run.config):
            return None
        there = handed.of(run)
        if "loss" not in there.functions:
            return frozenset()
        return None if there.exact else frozenset(there.moments)

    @property
    def silent(self) -> bool:
        """Whether nothing can be computed of the run."""
        return self.moments == frozenset()

    def can(self, k: int) -> bool:
        """Whether a segment of iteration k can be computed."""
        moments = self.moments
        return moments is None or k in moments

    @property
    def run(self):
        """The run as it is recorded now."""
        return self.context.run(self.run_name)

    def want(self, start: int, stop: int, on: str, *, at_once: bool = False) -> None:
        """Asks for what is missing of iterations [start, stop); calls `changed` when it has come."""
        moments = self.moments
        if moments == frozenset():
            return
        self._forget_old()
        wanted = range(start, stop) if moments is None else sorted(moments & set(range(start, stop)))
        missing = [k for k in wanted if k not in self._known[on]]
        self._rest.stop()
        if not missing:
            self._query.forget()
            return
        options = {"start": missing[0], "stop": missing[-1] + 1, "on": on}
        if self._query.waiting and self._asked == options:
            return
        self._query.forget()
        self.cancelled = False
        self._wanted = options
        if at_once:
            self._ask()
        else:
            self._rest.begin()

    def leave(self) -> None:
        """Nothing is wanted any more: the view shows too many iterations."""
        self._rest.stop()
        self._query.drop()

    def cancel(self) -> None:
        """The reader pressed "Cancel": nothing more until the view moves."""
        self._rest.stop()
        self._query.cancel()

    @property
    def error(self) -> str | None:
        """Why the last question has no answer; None where it has one or waits for it."""
        return self._query.failure

    @property
    def waiting(self) -> bool:
        """Whether segments are asked for and not there yet."""
        return self._query.waiting or self._rest.waiting

    def segments(self, start: int, stop: int, on: str) -> Table:
        """The known segments of [start, stop) with the record in place: see `analysis.segments.assemble`."""
        self._forget_old()
        known = self._known[on]
        rows = [k for k in range(start, stop) if k in known]
        columns = {"iteration": np.array(rows, int)}
        for index, name in enumerate(SAMPLED):
            values = [known[k][index] for k in rows]
            columns[name] = np.array(values) if values else np.empty((0, 0) if index < 2 else 0)
        run = self.run
        if on == "batch":
            record = run.table("steps", start, stop), run.table("evaluations", start, stop)
            return segments.assemble(Table(columns, {}, self.attrs), *record)
        return segments.sampled_only(Table(columns, {}, self.attrs))

    # -- the worker's answers ---------------------------------------------------------------------

    def _ask(self) -> None:
        options = self._asked = self._wanted
        words = f"Segments {options['start']:,} to {options['stop'] - 1:,}"
        self._query.probe(self.run, "segments", options, words)

    def _given_up(self) -> None:
        self.cancelled = True
        self.changed()

    def _arrived(self, table: Table) -> None:
        if self._key != self.run.key:  # of steps that the run has not taken after all
            self.changed()
            return
        known = self._known[self._asked["on"]]
        if len(known) > KEPT:
            known.clear()
        columns, self.attrs = table.columns, table.attrs
        for row, k in enumerate(columns["iteration"]):
            known[int(k)] = tuple(columns[name][row] for name in SAMPLED)
        self.changed()

    def _forget_old(self) -> None:
        """A resumed run may have taken other steps: its old segments are not its own any more."""
        if self._key != self.run.key:
            self._key = self.run.key
            self._query.forget()
            for known in self._known.values():
                known.clear()
