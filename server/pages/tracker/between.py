"""Between two dumps: an interval trained again with a dump of every iteration, or every few.

The experts of DeepTracker asked for it (section 9): what happens right before an anomaly iteration.
"""

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Line, Range1d, Span

from gdlab.analysis.class_curves import error_rates
from gdlab.analysis.dumps import Dumps
from gdlab.analysis.finer_dumps import finer_dumps
from gdlab.messages import counted
from gdlab.records import Table
from server.core.context import Context, View
from server.pages.tracker.names import filter_name
from server.pages.tracker.tracker import tracker
from server.ui import card, figures
from server.ui.choices import button
from server.ui.query import CardQuery

MODES = ("classes", "correlation")
MOST_LINES = 6
MOST_DUMPS = 60
FIELDS = ("iteration", "value")


def build(context: Context) -> View:
    """The card, made when a dump is first selected; nothing where no run has dumps."""
    shared = tracker(context)
    place = card.grid(context, name="between_place")
    place.visible = False
    made: list[Between] = []

    def show() -> None:
        if shared is not None:
            place.visible = wanted(shared)
            if place.visible and not made:
                made.append(Between(context, shared))
                place.children[0].children = [made[0].root]

    context.on("selection", show)
    context.on("mode", show)
    show()
    return View(place, lambda: None)


def wanted(tracker) -> bool:
    """Whether there is one dump to look closer at, in a view that has a place for it."""
    return len(tracker.selection.dumps) == 1 and tracker.mode in MODES


class Between:
    """root: the card, about the one dump that is selected."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.query = CardQuery(context, self._show, self._say, name="between")
        self.button = button(context, "Look closer", "between_ask", "By training again", self._ask)
        self.x_range = Range1d(0, 1, name="between_x")
        self.errors = self._figure("between_errors", "error rate", "")
        self.turns = self._figure("between_turns", "1 − cosine", "iteration")
        self.lines = {plot.name: self._lines(plot) for plot in (self.errors, self.turns)}
        self.marks = [
            Span(dimension="height", line_width=1, line_dash="dotted", location=-1) for _ in range(2)
        ]
        for plot, mark in zip((self.errors, self.turns), self.marks, strict=True):
            plot.add_layout(context.paint(mark, line_color="muted"))
        self.words = card.text("", "gd-caption", name="between_words")
        self.query.layouts = [self.errors, self.turns]
        self.errors.visible = self.turns.visible = False
        body = card.box(
            context, self.words, self.query.progress.root, self.errors, self.turns, classes=["gd-body"]
        )
        self.root = card.card(
            context, "Between the dumps", "", body, name="between", figures=[self.errors, self.turns],
            csv=self._rows, controls=[self.button],
        )  # fmt: skip
        self._found: Dumps | None = None
        self._shown: dict[str, dict] | None = None
        self._asked_for = self._found_for = None  # intervals
        context.on("selection", self._offer)
        context.on("mode", self._offer)
        self._offer()

    # -- the question -----------------------------------------------------------------------------

    def _interval(self):
        """(start, stop, every): from the dump before the selected one to the one after."""
        at, iteration = self.tracker.selection.dumps[0], self.tracker.dumps.iteration
        last = self.context.run(self.tracker.name).rows("scalars")
        start = int(iteration[max(at - 1, 0)])
        stop = min(int(iteration[min(at + 1, len(iteration) - 1)]) + 1, last)
        return start, stop, max(1, -(-(stop - start) // MOST_DUMPS))

    def _offer(self) -> None:
        if not wanted(self.tracker):
            return
        start, stop, every = self._interval()
        often = "every iteration" if every == 1 else f"every {counted(every, 'iteration')}"
        caption = f"Trains iterations {start:,} to {stop - 1:,} again and dumps {often}."
        card.retitle(self.root, caption=caption)
        self.button.disabled = stop - start < 2
        if self._found is not None and self._found_for == (start, stop, every):
            self._draw(self._found)
        else:
            self.errors.visible = self.turns.visible = False
            self.words.text = ""

    def _ask(self) -> None:
        start, stop, every = self._asked_for = self._interval()
        self.query.probe(
            self.context.run(self.tracker.name), "dumps", {"start": start, "stop": stop, "every": every}
        )

    def _say(self, words: str) -> None:
        self.words.text = words

    # -- the answer -------------------------------------------------------------------------------

    def _show(self, table: Table) -> None:
        self._found_for = self._asked_for
        self._found = finer_dumps(self.context.run(self.tracker.name), table)
        report = table.attrs["replay"]
        self._same = "The replay equals the record, bit for bit."
        if not report["compared"]:
            self._same = "Nothing of the replay could be compared with the record."
        if report["different"]:
            count = f"{report['different']:,} of {counted(report['compared'], 'iteration')}"
            self._same = f"The replay differs from the record in {count}."
        self._offer()  # draws it where the dump that it is about is still the selected one

    def _draw(self, found: Dumps) -> None:
        iteration = found.iteration
        errors = self._class_errors(found)
        turns = self._turns(found)
        self._shown = {"error of": errors, "change of": turns}
        for plot, curves in ((self.errors, errors), (self.turns, turns)):
            plot.visible = bool(curves)
            self._fill(plot, iteration, curves)
        for mark in self.marks:
            mark.location = float(self.tracker.dumps.iteration[self.tracker.selection.dumps[0]])
        self.x_range.update(start=float(iteration[0]), end=float(max(iteration[-1], iteration[0] + 1)))
        self.words.text = f"{counted(found.count, 'dump')}. {self._same} " + self._legend(errors, turns)

    def _class_errors(self, found: Dumps):
        """{class: error rates}: of the selected classes, or of those that change most."""
        rates = error_rates(found.right(), found.starts)
        chosen = self.tracker.selection.classes[:MOST_LINES]
        if not chosen:
            span = np.nan_to_num(rates.max(axis=1) - rates.min(axis=1), nan=-1.0)
            chosen = np.argsort(-span, kind="stable")[:MOST_LINES]
        return {self.tracker.dumps.classes[c]: rates[c] for c in chosen}

    def _turns(self, found: Dumps):
        """{filter: change since the dump before}: of the selected filters, or of those that turn most."""
        if "cosine_distance" not in found.stats():
            return {}
        turned = found.filter("cosine_distance")
        chosen = self.tracker.selection.filters[:MOST_LINES]
        if not chosen:
            most = np.nan_to_num(turned[1:]).max(axis=0, initial=0)
            chosen = np.argsort(-most, kind="stable")[:MOST_LINES]
        return {filter_name(found, int(f)): turned[:, f] for f in chosen}

    def _fill(self, plot, iteration, curves):
        sources = self.lines[plot.name]
        for i, source in enumerate(sources):
            values = list(curves.values())[i] if i < len(curves) else []
            source.data = {"iteration": iteration if len(values) else [], "value": values}
        known = np.concatenate([v[np.isfinite(v)] for v in curves.values()] or [np.zeros(0)])
        high = float(known.max()) if len(known) else 1.0
        plot.y_range.update(start=0.0, end=1.05 * high if high > 0 else 1.0)
        dumped = [int(k) for k in self.tracker.dumps.iteration if iteration[0] <= k <= iteration[-1]]
        plot.xaxis[0].ticker = FixedTicker(ticks=dumped)

    def _legend(self, errors, turns):
        colours = ("blue", "vermilion", "green", "pink", "orange", "light blue")
        parts = [
            f"{title}: "
            + ", ".join(f"{name} ({colour})" for name, colour in zip(curves, colours, strict=False))
            for title, curves in (("Classes", errors), ("Filters", turns))
            if curves
        ]
        return "; ".join(parts) + "."

    def _rows(self) -> Table:
        if self._found is None:
            return Table({}, {}, {})
        columns = {"iteration": self._found.iteration}
        for what, curves in (self._shown or {}).items():
            columns |= {f"{what} {name}": np.asarray(values) for name, values in curves.items()}
        return Table(columns, dict.fromkeys(columns, ("dump",)), {})

    # -- models -----------------------------------------------------------------------------------

    def _figure(self, name, label, x_label):
        plot = figures.figure(
            name, height=170, x_range=self.x_range, y_range=Range1d(0, 1), y_label=label, x_label=x_label
        )
        plot.yaxis.formatter = figures.CustomJSTickFormatter(code=figures.PLAIN)
        return plot

    def _lines(self, plot):
        sources = []
        for i in range(MOST_LINES):
            source = ColumnDataSource({field: [] for field in FIELDS}, name=f"{plot.name}_{i}")
            drawn = figures.draw(plot, source, Line(x="iteration", y="value", line_width=1.75))
            self.context.paint(drawn.glyph, line_color=lambda palette, i=i: palette.categories[i])
            sources.append(source)
        return sources
