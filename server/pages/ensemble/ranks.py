"""Ranks of the runs over time, from when on they stay as they are, and when the others could be stopped."""

import numpy as np
from bokeh.events import Tap
from bokeh.models import HoverTool, Range1d
from bokeh.models.glyphs import MultiLine

from gdlab.analysis import performance
from gdlab.messages import counted
from gdlab.records import Table
from server.pages.ensemble.loss_accuracy import COLUMNS, HEIGHT, MOST_LINES
from server.pages.ensemble.panel import Panel, view_of
from server.ui import card, figures
from server.ui.choices import Choice
from server.ui.small_table import fit_rows, small_table

SETTLED = 0.1  # of the runs: a rank within so many places of its last one has settled
ADVICE = {
    "kept": ("Kept", "share", 80), "iteration": ("from iteration", "count", 110),
    "saved": ("iterations saved", "share", 120),
}  # fmt: skip


class Ranks(Panel):
    """root: the card."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_ranks")
        self.values, self.steps = self.source("values", "rank"), self.source("steps", "step")
        self.out = self.source("lines", *COLUMNS)
        self.advice = self.source("advice", *ADVICE)
        self.words = card.text("", "gd-caption", name=f"{self.name}_words")
        self.said = card.text("", "gd-caption", name=f"{self.name}_said")
        self.best = Choice(
            self.context, None, 10, (1, 90), title="Best %", help="The runs that must not be stopped",
            changed=lambda value: self._advise(),
        )  # fmt: skip
        self.figure = self._figure()
        self.table = small_table(self.context, self.advice, ADVICE, name=f"{self.name}_table")
        context = self.context
        left = card.box(context, self.figure, self.words, classes=["gd-body"])
        right = card.box(
            context,
            self.best.number(f"{self.name}_best", width=80, step=5),
            self.table,
            self.said,
            classes=["gd-body"],
        )
        body = card.row(context, left, right, classes=["gd-pair"], sizing_mode="stretch_width")
        self.root = card.card(
            context, "Ranks and early stopping", "", body,
            read="ranks", name=self.name, figures=[self.figure],
            csv=self._table,
        )  # fmt: skip
        self.draws(
            "my.curves(kit, {values, steps, outs: {rank: lines}, colours: null, "
            f"most: {MOST_LINES}, words}})",
            values=self.values, steps=self.steps, lines=self.out, words=self.words,
        )  # fmt: skip
        tap = self.listen("my.tap_curve(kit, event, [lines], ['default'])", lines=self.out)
        self.figure.js_on_event(Tap, tap)

    def update(self) -> None:
        """Ranks, and the advice."""
        ensemble = self.shared.ensemble
        self.root.visible = len(ensemble.step) > 1 and self.shared.count > 1
        if not self.root.visible:
            return
        self.accuracy = performance.held(ensemble)
        ranks = performance.ranks(self.accuracy)
        known = np.isfinite(self.accuracy)
        shown = np.where(known, ranks, np.nan)
        self.values.data, self.steps.data = {"rank": shown.ravel()}, {"step": ensemble.step}
        end = float(ensemble.step[-1])
        self.figure.x_range.update(start=-0.01 * end, end=1.01 * end)
        self.figure.y_range.update(start=self.shared.count + 0.5, end=0.5)
        used = known[:, -1]
        tolerance = SETTLED * max(int(used.sum()), 1)
        settled = performance.settled(ranks, ensemble.step, tolerance)[used]
        words = f"Rank by {'accuracy' if ensemble.classifies else 'validation loss'}, 1 the best. "
        if len(settled):
            near = f"{tolerance:.3g} {'place' if tolerance == 1 else 'places'}"
            words += (
                f"Half of the runs stay within {near} of their last rank from iteration "
                f"{int(np.median(settled)):,} on, all from {int(settled.max()):,}."
            )
        left = int((~used).sum())
        if left:
            what = "an accuracy" if ensemble.classifies else "a loss"
            words += f" {counted(left, 'run')} without {what} at the end left out."
        card.retitle(self.root, caption=words)
        self._advise()
        self.redraw()

    def _advise(self) -> None:
        if self.best.value is None or not self.root.visible:
            return
        step = self.shared.ensemble.step
        table = performance.advice(self.accuracy, step, best=self.best.value / 100)
        self.advice.data = {name: table.columns[name] for name in ADVICE}
        fit_rows(self.table, len(table.columns["kept"]))
        count, best = table.attrs["runs"], self.best.value
        self.said.text = (
            f"Had only the first share of these {counted(count, 'run')} been trained on from an "
            f"iteration, none of the best {best} % would have been lost. "
            "–: never before the end. This is what happened here; another ensemble may need longer."
        )

    def _figure(self):
        plot = figures.figure(
            f"{self.name}_figure", height=HEIGHT, x_range=Range1d(0, 1), y_range=Range1d(1, 0),
            x_label="iteration", y_label="rank", toolbar=True,
        )  # fmt: skip
        figures.set_scale(plot, "x", "count")
        figures.set_scale(plot, "y", "count")
        glyph = MultiLine(xs="xs", ys="ys", line_color="colour", line_alpha="alpha", line_width="width")
        drawn = figures.draw(plot, self.out, glyph)
        drawn.hover_glyph = MultiLine(xs="xs", ys="ys", line_color="colour", line_width=3.5)
        tips = [("run", "@name")]
        plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips, line_policy="nearest", visible=False))
        return plot

    def _table(self) -> Table:
        """For CSV: a row per run and time."""
        ensemble = self.shared.ensemble
        names, times = ensemble.names, len(ensemble.step)
        columns = {
            "run": np.repeat(np.array(names), times), "iteration": np.tile(ensemble.step, len(names)),
            "rank": np.asarray(self.values.data["rank"]),
        }  # fmt: skip
        return Table(columns, dict.fromkeys(columns, ("row",)), {})


build = view_of(Ranks)
