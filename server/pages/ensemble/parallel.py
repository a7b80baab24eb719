"""The parallel coordinates: a line per run through its hyper-parameters and measures, brushed on the axes.

Dragging on an axis brushes, dragging a title moves its axis, a click on a line takes its run into the
selection. Hamid 2019, Figure 1 (a).
"""

from typing import Any

import numpy as np
from bokeh.events import DoubleTap, Pan, PanEnd, PanStart, Tap
from bokeh.models import HoverTool, Range1d
from bokeh.models.glyphs import MultiLine, Quad, Segment, Text

from gdlab.records import Table
from server.pages.ensemble import axes, selection
from server.pages.ensemble.axis_options import AxisOptions
from server.pages.ensemble.panel import Panel, view_of
from server.ui import card, figures
from server.ui.choices import Choice, button, opener

HEIGHT, PER_AXIS = 380, 112  # px
LOW, HIGH, TITLE, CAPTION = -0.14, 1.2, 1.1, 1.045  # of the vertical axis
MISSING = -0.1  # where lines pass an axis on which they have no value
LETTERS = 17  # of a title that do not touch the next one
WORDS: Any = {"text_font": {"value": "Inter"}, "text_font_size": "11px"}


class Parallel(Panel):
    """root: the card."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_parallel")
        self._sources()
        self.figure = self._figure()
        self._draw_lines()
        self._draw_words()
        self._gestures()
        self.options = AxisOptions(shared)
        holder = card.box(self.context, self.figure, classes=["gd-body", "gd-scroll"])
        self.root = card.card(
            self.context, "Hyper-parameters and measures", "",
            card.box(self.context, self.options.root, holder, classes=["gd-body"]),
            read="parallel", name=self.name, figures=[self.figure], csv=self._table,
            controls=self._controls(),
        )  # fmt: skip
        self.context.on("measures", self.update)
        self.context.on("axes", self.update)

    def update(self) -> None:
        """Axes, ticks and titles; the lines are the browser's."""
        shown = [axis for axis in self.shared.axes if axis.shown]
        places = list(range(len(shown)))
        self.figure.x_range.update(start=-0.55, end=max(len(shown), 1) - 0.45)
        self.figure.min_width = PER_AXIS * len(shown)
        self.lines.data = {"x": places}
        self.titles.data = {
            "x": places, "home": places, "text": [_short(axis.name) for axis in shown],
            "caption": [axis.caption + (" (log)" if axis.log else "") for axis in shown],
        }  # fmt: skip
        x, y, text = [], [], []
        for place, axis in enumerate(shown):
            at, labels = axes.ticks(axis)
            if not np.isfinite(axis.values).all():
                at, labels = [MISSING, *at], ["none", *labels]
            x += [place] * len(at)
            y += at
            text += labels
        self.ticks.data = {"x": x, "y": y, "text": text}
        self.options.update()
        self._say()
        self.redraw()

    def _say(self) -> None:
        constant = [axis.name for axis in self.shared.axes if axis.constant and not axis.shown]
        words = "Drag on an axis to brush, a title to move its axis; click a line to select its run."
        if constant:
            words += f" Hidden, since all runs agree: {', '.join(constant)}."
        card.retitle(self.root, caption=words)

    def _table(self) -> Table:
        """For CSV: a row per run with its hyper-parameters, measures, selections and note."""
        shared, ensemble = self.shared, self.shared.ensemble
        names = [choice.name for choice in shared.selections.choices]
        inside = [
            ", ".join(name for name, has in zip(names, row, strict=True) if has) for row in shared.chosen.T
        ]
        columns = {"run": np.array(ensemble.names)}
        columns |= {name: np.asarray(values) for name, values in ensemble.parameters.items()}
        columns |= {axis.name: axis.values for axis in shared.axes if axis.measure}
        columns |= {"selections": np.array(inside or [""] * shared.count), "note": np.array(shared.notes)}
        return Table(columns, dict.fromkeys(columns, ("run",)), {})

    def _brush_best(self) -> None:
        """The best k % of the runs that have the measure: from the k-th largest value upwards."""
        axis = self.shared.axis(self.by.value)
        known = np.sort(axis.values[np.isfinite(axis.values)])[::-1]
        if not len(known) or self.best.value is None:
            return
        place = max(1, int(np.ceil(len(known) * self.best.value / 100)))
        low = min(float(known[place - 1]), axis.high)
        selections = self.shared.selections
        choices = list(selections.choices) or [selection.Choice("Selection 1", 0, {})]
        active = choices[selections.active]
        choices[selections.active] = active._replace(brushes={**active.brushes, axis.name: (low, None)})
        self.shared.select(selections._replace(choices=tuple(choices)))

    # -- models -----------------------------------------------------------------------------------

    def _controls(self) -> list:
        context = self.context
        self.best = Choice(context, None, 10, (1, 100), help="Per cent of the runs")
        self.by = Choice(context, None, "P1", list(axes.MEASURES), help="Measure")
        words = "Brushes the best so many per cent of the runs by a measure"
        more = "Ranges, scales, places, and which axes are drawn"
        return [
            self.best.number("ensemble_best", width=64, step=5),
            self.by.select("ensemble_best_by", width=64),
            button(context, "Brush best %", "ensemble_best_brush", words, self._brush_best),
            opener(context, "Axes", "ensemble_axes_toggle", more, self.options.root),
        ]

    def _sources(self) -> None:
        self.all = self.source("all", "xs", "ys", "name")
        self.chosen = self.source("chosen", "xs", "ys", "colour", "alpha", "name")
        self.brushes = self.source("brushes", "left", "right", "top", "bottom", "colour", "alpha")
        self.lines = self.source("axes", "x")
        self.titles = self.source("titles", "x", "home", "text", "caption")
        self.ticks = self.source("ticks", "x", "y", "text")

    def _figure(self):
        plot = figures.figure(
            f"{self.name}_figure", height=HEIGHT, x_range=Range1d(-0.5, 1), y_range=Range1d(LOW, HIGH)
        )
        plot.tools = []
        plot.axis.visible = plot.grid.visible = False
        plot.min_border_left = plot.min_border_right = plot.min_border_bottom = 4
        return plot

    def _draw_lines(self) -> None:
        context, plot = self.context, self.figure
        behind = MultiLine(xs="xs", ys="ys", line_width=0.8, line_alpha=0.55)
        every = figures.draw(plot, self.all, context.paint(behind, line_color="context"))
        every.hover_glyph = context.paint(MultiLine(xs="xs", ys="ys", line_width=2.5), line_color="ink")
        front = MultiLine(xs="xs", ys="ys", line_color="colour", line_width=1.5, line_alpha="alpha")
        chosen = figures.draw(plot, self.chosen, front)
        chosen.hover_glyph = MultiLine(xs="xs", ys="ys", line_color="colour", line_width=3.5)
        lines = Segment(x0="x", x1="x", y0=0, y1=1, line_width=1.25)
        figures.draw(plot, self.lines, context.paint(lines, line_color="muted"))
        box = Quad(
            left="left", right="right", top="top", bottom="bottom", fill_color="colour", fill_alpha="alpha",
            line_color="colour", line_width=1.5,
        )  # fmt: skip
        figures.draw(plot, self.brushes, box)
        hover = HoverTool(
            renderers=[every, chosen], tooltips=[("run", "@name")], line_policy="nearest", visible=False
        )
        plot.add_tools(hover)

    def _draw_words(self) -> None:
        context, plot = self.context, self.figure
        ticks = Text(x="x", y="y", text="text", x_offset=6, text_baseline="middle",
                     background_fill_alpha=0.7, **WORDS)  # fmt: skip
        figures.draw(plot, self.ticks, context.paint(ticks, text_color="muted", background_fill_color="card"))
        title = Text(x="x", y=TITLE, text="text", text_align="center", text_font={"value": "Inter"},
                     text_font_size="12px", text_font_style="bold")  # fmt: skip
        figures.draw(plot, self.titles, context.paint(title, text_color="ink"))
        caption = Text(x="x", y=CAPTION, text="caption", text_align="center", **WORDS)
        figures.draw(plot, self.titles, context.paint(caption, text_color="muted"))

    def _gestures(self) -> None:
        outs = {"all": self.all, "chosen": self.chosen, "brushes": self.brushes}
        self.draws("my.parallel(kit, {all, chosen, brushes})", **outs)
        hold = self.listen("my.hold(kit, event, titles)", titles=self.titles)
        for event in (PanStart, Pan, PanEnd):
            self.figure.js_on_event(event, hold)
        self.figure.js_on_event(Tap, self.listen("my.tap_line(kit, event)"))
        self.figure.js_on_event(DoubleTap, self.listen("my.unbrush(kit, event)"))


build = view_of(Parallel)


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else "…" + text[-LETTERS + 1 :]
