"""Segments for the iterations in view: asked of the worker once, kept, joined with the record.

A request waits until the view rests, replaces the one before, and can be cancelled; what has been
computed stays, per batch ("batch" or "train"), until the run is resumed.
"""

from collections.abc import Callable

import numpy as np

from gdlab.analysis import segments
from gdlab.records import Table
from server import card

REST_MS = 120  # a view that has not moved for so long is looked at
KEPT = 4000  # iterations kept per run and batch
SAMPLED = ("offset", "value", "noise", "noisy", "difference")


class Feed:
    """Segments of one run. changed(): more are there; progress: a `card.Progress` or None.

    error: the last failure's message, or None; attrs: what the last answer reported.
    """

    def __init__(self, context, run_name: str, changed: Callable[[], None]):
        self.context, self.run_name, self.changed = context, run_name, changed
        self.progress: card.Progress | None = None
        self.error: str | None = None
        self.cancelled = False
        self.attrs: dict = {}
        self._known: dict[str, dict[int, tuple]] = {"batch": {}, "train": {}}
        self._generation = None
        self._asked: tuple = ()
        self._job = self._timer = None

    @property
    def run(self):
        """The run as it is recorded now."""
        return self.context.run(self.run_name)

    def want(self, start: int, stop: int, on: str, *, at_once: bool = False) -> None:
        """Asks for what is missing of iterations [start, stop); calls `changed` when it has come."""
        self._forget_old()
        missing = [k for k in range(start, stop) if k not in self._known[on]]
        self._stop_timer()
        if not missing:
            self._drop_job()
            return
        asked = (missing[0], missing[-1] + 1, on)
        if self._job is not None and self._asked == asked:
            return
        self._drop_job()
        self.cancelled, self.error = False, None
        if at_once:
            self._ask(asked)
        else:
            self._timer = self.context.doc.add_timeout_callback(lambda: self._rested(asked), REST_MS)

    def leave(self) -> None:
        """Nothing is wanted any more: the view shows too many iterations."""
        self._stop_timer()
        self._drop_job()

    def cancel(self) -> None:
        """The reader pressed "Cancel": nothing more until the view moves."""
        self.leave()
        self.cancelled = True
        self.changed()

    @property
    def waiting(self) -> bool:
        """Whether segments are asked for and not there yet."""
        return self._job is not None or self._timer is not None

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

    def _rested(self, asked) -> None:
        self._timer = None
        self._ask(asked)

    def _ask(self, asked) -> None:
        start, stop, on = asked
        self._asked = asked
        if self.progress:
            self.progress.show(0.0, f"Segments {start:,} to {stop - 1:,}")
        self._job = self.context.worker.submit(
            self.run.path,
            "segments",
            {"start": start, "stop": stop, "on": on},
            on_progress=self._progressed,
            on_done=self._arrived,
            on_error=self._failed,
        )

    def _progressed(self, fraction: float, words: str) -> None:
        if self.progress:
            self.progress.show(fraction, words[:1].upper() + words[1:])

    def _arrived(self, table: Table) -> None:
        on, self._job = self._asked[2], None
        known = self._known[on]
        if len(known) > KEPT:
            known.clear()
        columns, self.attrs = table.columns, table.attrs
        for row, k in enumerate(columns["iteration"]):
            known[int(k)] = tuple(columns[name][row] for name in SAMPLED)
        if self.progress:
            self.progress.done()
        self.changed()

    def _failed(self, message: str) -> None:
        self._job, self.error = None, message
        if self.progress:
            self.progress.failed(message)
        self.changed()

    def _drop_job(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None
            if self.progress:
                self.progress.done()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self.context.doc.remove_timeout_callback(self._timer)
            self._timer = None

    def _forget_old(self) -> None:
        """A resumed run may have taken other steps: its old segments are not its own any more."""
        if self._generation != self.run.generation:
            self._generation = self.run.generation
            for known in self._known.values():
                known.clear()
