"""One surface on the page: what there is of it, what is still to be computed, and the computation.

What is kept beside the run is read here, without the model; the worker is asked only when the reader says
so, and while it computes the kept cells are read again and again, so that the picture fills in.
"""

import logging
import time
from collections.abc import Callable

import numpy as np

from gdlab import store
from gdlab.analysis import surface
from gdlab.analysis.surface_options import path_iterations, settings
from gdlab.messages import counted
from gdlab.records import Table
from gdlab.store.effects import is_of_recorder
from server.ui import card
from server.ui.choices import button
from server.ui.query import Query

log = logging.getLogger(__name__)

READ_EVERY = 0.5  # s between looks at what has been computed, and
REST = 4  # at least so many times as long as looking and drawing took
STEP = 4.0  # a step, with its gradient and the loss at its end, costs at least as much as this many losses


class Slot:
    """The surface of a run: `table` as far as it is known, None before its plane is.

    options(last) -> keyword options of the probe; changed(): the table is another one. bar: what invites to
    compute, or says why there is nothing; progress: while it is computed.
    """

    def __init__(self, context, name: str, run_name: str, options: Callable, changed: Callable[[], None]):
        self.context, self.name, self.run_name = context, name, run_name
        self.options, self.changed = options, changed
        self.table: Table | None = None
        self.whole, self.replay = False, None
        self.query = Query(
            context, self._arrived, name=name, failed=self._failed, cancelled=self._read,
            progressed=self._progressed,
        )  # fmt: skip
        self.progress = self.query.progress
        self.last: int | None = None
        self._read_at = self._took = 0.0
        self.words = card.text("", "gd-message", name=f"{name}_words")
        name_ = f"{name}_compute"
        self.button = button(
            context, "Compute", name_, "What is missing of it", self.compute, classes=["gd-primary"]
        )
        self.bar = card.row(context, self.words, self.button, classes=["gd-bar"], name=f"{name}_invite")

    @property
    def run(self):
        """The reader of the run."""
        return self.context.run(self.run_name)

    @property
    def chosen(self) -> dict:
        """The options of the probe, for the path as it was when the page looked."""
        return self.options(self.last)

    def look(self) -> None:
        """Reads what there is for the options in force; a computation for other ones is given up."""
        self.query.forget()
        self.last = self.context.state.get("upto", 0, low=1, high=10**12) or None
        self._read()

    def grown(self) -> None:
        """The record has grown: without a surface on the page, the newest path is what is offered."""
        if not self.query.waiting and self.table is None:
            self.look()

    def compute(self) -> None:
        """Asks the worker for what is missing."""
        if self.query.waiting:
            return
        if self.run.state == "running":
            points = path_iterations(self.run)
            self.last = int(points[-1]) if len(points) else None
            self.context.state.set("upto", self.last)
        self.bar.visible = False
        self.bar.tags = ["computing"]
        self.query.forget()  # what is missing of the same surface may be asked for again
        self.query.probe(self.run, "surface", self.chosen)

    # -- private ----------------------------------------------------------------------------------

    def _progressed(self, fraction: float, words: str) -> None:
        self.progress.show(fraction, words[:1].upper() + words[1:])
        if fraction > 0 and time.monotonic() - self._read_at > max(READ_EVERY, REST * self._took):
            self._read()

    def _arrived(self, table) -> None:
        self.replay = table.attrs.get("replay")
        self._read()

    def _failed(self, message: str) -> None:
        self.progress.done()  # the bar says why
        self._read(message)

    def _read(self, failure: str = "") -> None:
        """Takes over what is kept, and says what is missing."""
        began, known, before = time.monotonic(), _count(self.table), self.table
        try:
            self.table = surface.read(self.run, self.chosen)
            self.whole = self.table is not None and complete(self.run, self.chosen)
            words, button = self._invitation()
        except (ValueError, store.StoreError, OSError) as error:
            self.table, self.whole, words, button = None, False, str(error), ""
        self.words.text = " ".join(filter(None, [failure, words]))
        self.words.css_classes = ["gd-message", "gd-bad"] if failure else ["gd-message"]
        self.button.label, self.button.visible = button or "Compute", bool(button)
        self.bar.visible = not self.query.waiting and not self.whole
        if not self.query.waiting or before is None or _count(self.table) != known:
            self.changed()
        self._mark()
        self._read_at = time.monotonic()
        self._took = self._read_at - began

    def _mark(self) -> None:
        """After everything that is drawn: what whoever drives the page from outside may wait for."""
        self.bar.tags = ["computing" if self.query.waiting else "whole" if self.whole else "missing"]

    def _invitation(self) -> tuple[str, str]:
        """(what is said, the button's label) where something is missing."""
        if self.run.identity.get("parameters") == 1:
            return "This problem has one parameter; a surface needs two.", ""
        settings(self.run, **self.chosen)
        left = missing(self.run, self.chosen, self.table)
        words = counted(left, "loss", "losses") + self._examples()
        cost = seconds(self.run, self.chosen, left, replay=self.table is None)
        path = self._path_words() if self.table is None else ""
        cost_words = f", up to {duration(cost)} at the pace of the training" if cost else ""
        if self.table is None or not self.table.columns["done"].any():
            return f"Not computed yet: {words}{cost_words}.{path}", "Compute"
        return f"Not complete: {words} missing{cost_words}.", "Continue"

    def _examples(self) -> str:
        count = examples(self.run, self.chosen)
        return f" of {counted(count, 'example')} each" if count else ""

    def _path_words(self) -> str:
        if _recorded(self.run) or is_of_recorder(self.run.config):  # points of such a path were kept
            return ""
        count = self.run.rows("scalars")
        return f" The path was not recorded: first a replay of {counted(count, 'iteration')}, once."


def complete(run, options: dict) -> bool:
    """Whether nothing is missing of a surface whose plane is known: cells, checks and refinement."""
    chosen = settings(run, **options)
    return missing(run, options, surface.read(run, options)) == 0 and (
        not chosen["refine"] or bool(surface.lines_cache(run, chosen).done(0, 1)[0])
    )


def missing(run, options: dict, table) -> int:
    """How many losses are still to be computed; refinement is counted once its lines are known."""
    chosen = settings(run, **options)
    extra = surface.LINE + surface.KNOWN
    if table is None:
        return (chosen["resolution"] + 2) ** 2 + 2 * extra
    count = table.columns["value"].size + extra
    refined = bool(chosen["refine"]) and bool(surface.lines_cache(run, chosen).done(0, 1)[0])
    cells = surface.cells_cache(run, chosen, refined=refined).done(0, count)
    truth = surface.truth_cache(run, chosen).done(0, extra)
    return int((~np.asarray(cells)).sum() + (~np.asarray(truth)).sum())


def examples(run, options: dict) -> int:
    """Examples that a loss is taken on; 0 where the problem has none, or their number is not recorded."""
    there = run.identity.get("examples")
    if not there:
        return 0
    return int(options["samples"] if options["on"] == "test" else min(there, options["samples"]))


def seconds(run, options: dict, losses: int, replay: bool) -> float:
    """What a computation takes at the pace of the training, whose batches are small: rather less in fact.

    0 where that is not known.
    """
    steps = run.table("steps", columns=["seconds", "evaluations"]).columns
    pace = np.diff(steps["seconds"][:-1])
    pace = pace[np.isfinite(pace) & (pace > 0)]
    if not pace.size:
        return 0.0
    step = float(np.median(pace))
    evaluations = steps["evaluations"][np.isfinite(steps["evaluations"])]
    each = max(float(evaluations.mean()), 1.0) if evaluations.size else 1.0
    batch = run.identity.get("batch_size") or run.identity.get("examples")
    share = examples(run, options) / batch if batch else 1.0
    again = run.rows("scalars") * step if replay and not _recorded(run) else 0.0
    return losses * share * step / each / STEP + again


def duration(length: float) -> str:
    """Seconds in words, to one digit."""
    for unit, size in (("hour", 3600.0), ("minute", 60.0), ("second", 1.0)):
        if length >= size or unit == "second":
            count = max(length / size, 1.0)
            digit = 10 ** int(np.floor(np.log10(count)))
            rounded = round(count / digit) * digit
            return f"{rounded:,} {unit}{'s' if rounded > 1 else ''}"
    raise AssertionError


def _recorded(run) -> bool:
    return "path" in run.arrays and run.rows("path") > 0


def _count(table) -> int:
    return -1 if table is None else int(table.columns["done"].sum()) + table.columns["value"].size
