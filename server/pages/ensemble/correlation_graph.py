"""The filter correlation graph: how many pairs of filters are highly correlated, over time, a line per run.

The lines have the colours of the similarity plot; those that are not selected fade. Hamid 2019, Figure 2 (d).
"""

import numpy as np
from bokeh.events import Tap
from bokeh.models import HoverTool, Range1d, Span
from bokeh.models.glyphs import MultiLine

from gdlab.analysis import colours
from gdlab.records import Table
from server.pages.ensemble.filters import COUNTS
from server.pages.ensemble.heat import heat
from server.pages.ensemble.loss_accuracy import COLUMNS, HEIGHT, MOST_LINES
from server.pages.ensemble.matrices import Counts, said
from server.pages.ensemble.panel import Panel, view_of
from server.ui import card, figures
from server.ui.query import CardQuery


class CorrelationGraph(Panel):
    """root: the card."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_graph")
        self.heat = heat(shared)
        self.counts: Counts | None = None
        self.values, self.steps = self.source("values", "count"), self.source("steps", "step")
        self.colours, self.out = self.source("colours", "colour"), self.source("lines", *COLUMNS)
        self.words = card.text("", "gd-caption", name=f"{self.name}_words")
        self.figure = self._figure()
        self.query = CardQuery(self.context, self._show, self._caption, name=self.name)
        body = card.box(self.context, self.figure, self.words, self.query.progress.root, classes=["gd-body"])
        self.root = card.card(
            self.context,
            "Correlated filters",
            "",
            body,
            read="graph",
            name=self.name,
            figures=[self.figure],
            csv=self._table,
        )
        args = {"values": self.values, "steps": self.steps, "colours": self.colours, "count": self.out}
        self.draws(
            f"my.curves(kit, {{values, steps, outs: {{count}}, colours, most: {MOST_LINES}, words}})",
            words=self.words, **args,
        )  # fmt: skip
        self.figure.js_on_event(
            Tap, self.listen("my.tap_curve(kit, event, [lines], ['default'])", lines=self.out)
        )
        self.context.on("filters", self.update)
        self.context.on("pair", self._colour)

    def update(self) -> None:
        """Asks for the counts."""
        matrices, wanted = self.shared.matrices, self.shared.filters
        self.root.visible = bool(self.shared.ensemble.layers)
        if matrices is None:
            return
        self.mark.location = self.shared.time
        layer, threshold, counted = self.shared.layer, wanted.threshold, wanted.counted
        key = (id(matrices), layer, threshold, counted)
        self.query.compute(key, lambda progress: matrices.counts(layer, threshold, counted, progress))

    def _show(self, counts: Counts) -> None:
        self.counts = counts
        self.values.data, self.steps.data = {"count": counts.values.ravel()}, {"step": counts.step}
        known = counts.values[np.isfinite(counts.values)]
        high = float(known.max()) if len(known) else 1.0
        self.figure.y_range.update(start=-0.02 * max(high, 1), end=1.04 * max(high, 1))
        end = float(counts.step[-1]) if len(counts.step) else 1.0
        self.figure.x_range.update(start=-0.01 * max(end, 1), end=1.01 * max(end, 1))
        wanted = self.shared.filters
        self.figure.yaxis[0].axis_label = COUNTS[wanted.counted]
        words = (
            f"{COUNTS[wanted.counted].capitalize()} of layer {self.shared.layer} with "
            f"|r| > {wanted.threshold:g}. Colours as in the similarity plot. Click a line to select its run."
        )
        card.retitle(self.root, caption=words + said(counts.left_out))
        self._colour()

    def _colour(self) -> None:
        if self.counts is not None:
            self.colours.data = {"colour": colours.cielab(*self.heat.plane(self.heat.pair))}
            self.redraw()

    def _figure(self):
        plot = figures.figure(
            f"{self.name}_figure", height=HEIGHT, x_range=Range1d(0, 1), y_range=Range1d(0, 1),
            x_label="iteration", y_label="filter pairs", toolbar=True,
        )  # fmt: skip
        figures.set_scale(plot, "x", "count")
        figures.set_scale(plot, "y", "count")
        self.mark = Span(dimension="height", line_width=1)
        plot.add_layout(self.context.paint(self.mark, line_color="axis"))
        glyph = MultiLine(xs="xs", ys="ys", line_color="colour", line_alpha="alpha", line_width="width")
        drawn = figures.draw(plot, self.out, glyph)
        drawn.hover_glyph = MultiLine(xs="xs", ys="ys", line_color="colour", line_width=3.5)
        plot.add_tools(
            HoverTool(renderers=[drawn], tooltips=[("run", "@name")], line_policy="nearest", visible=False)
        )
        return plot

    def _table(self) -> Table:
        """For CSV: a row per run and time."""
        if self.counts is None:
            return Table({}, {}, {})
        names, times = self.shared.ensemble.names, len(self.counts.step)
        columns = {
            "run": np.repeat(np.array(names), times), "iteration": np.tile(self.counts.step, len(names)),
            "count": self.counts.values.ravel(),
        }  # fmt: skip
        return Table(columns, dict.fromkeys(columns, ("row",)), self.shared.filters.values())


build = view_of(CorrelationGraph)
