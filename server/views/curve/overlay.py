"""Several runs on one axis: the traditional comparison of error curves (Becker 2019, Figure 1)."""

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LegendItem, Range1d

from gdlab.analysis import steps
from gdlab.records import Table
from server.core.context import Context, View
from server.ui import card, figures, legend
from server.ui.clock import Clock
from server.views.curve import data, metrics
from server.views.curve.page import page


def build(context: Context) -> View:
    """The overlay's card, drawn and refreshed by the page's viewport; nothing where one run is selected."""
    if len(context.selected) < 2:
        return View(card.box(context, classes=["gd-none"], visible=False, name="overlay"), lambda: None)
    return View(Overlay(context, page(context)).root, lambda: None)


class Overlay:
    """A member of a viewport: the curves of all selected runs. root: its card."""

    def __init__(self, context, page):
        self.context, self.viewport, self.options = context, page.viewport, page.options
        self.y_range = Range1d(0, 1, name="overlay_y")
        self.figure = figures.figure(
            "overlay_figure",
            height=300,
            x_range=self.viewport.x_range,
            y_range=self.y_range,
            x_label="iteration",
            y_label="error",
            toolbar=True,
        )
        self.figure.min_border_bottom = 40
        self.clocks: dict[str, Clock] = {}
        self.sources: dict[str, tuple[ColumnDataSource, ColumnDataSource]] = {}
        self._lines: dict[str, list] = {}
        for index, run_name in enumerate(context.selected):
            self._add(index, run_name)
        self._legend()
        count = len(context.selected)
        caption = f"{count} runs on one axis. Hover a curve for its run, click a name to hide it."
        tools, panels = page.take_options()
        body = card.box(context, *panels, self.figure, classes=["gd-body"])
        page.style(body)
        self.root = card.card(
            context,
            "Error curves",
            caption,
            body,
            name="overlay",
            figures=[self.figure],
            csv=self.table,
            controls=tools,
        )
        self.viewport.join(self, self.figure)
        context.on("colour", lambda run: self._colour())
        context.on("theme", self._colour)

    # -- what the viewport asks of a member -------------------------------------------------------

    def extent(self) -> tuple[float, float]:
        """First and last x over all runs."""
        what, of = self.options.what, self.context.run
        parts = [metrics.extent(of(run_name), clock, what) for run_name, clock in self.clocks.items()]
        return min(p[0] for p in parts), max(p[1] for p in parts)

    def limits(self) -> np.ndarray:
        """Values of all runs that the error axis must show."""
        runs, what = map(self.context.run, self.clocks), self.options.what
        return np.concatenate([metrics.limits(run, what) for run in runs])

    def rescale(self) -> None:
        """Follows a change of the x axis."""
        for run_name in self.clocks:
            run = self.context.run(run_name)
            self.clocks[run_name] = self.viewport.clock(run)
        self.figure.xaxis.axis_label = next(iter(self.clocks.values())).label
        words = " (symlog)" if self.viewport.scale == "symlog" else ""
        self.figure.yaxis.axis_label = self.options.what + words

    def draw(self, low: float, high: float) -> np.ndarray:
        """Draws what lies in [low, high] of x; the values that are shown."""
        shown = []
        for run_name, (raw, smooth) in self.sources.items():
            run = self.context.run(run_name)
            if not data.dot_count(run):
                continue
            clock, what = self.clocks[run_name], self.options.what
            sent = metrics.load(run, clock, low, high, self.options.smoothing, what)
            label = self.context.short_label(run_name)
            for source, columns in ((raw, sent.line), (smooth, sent.smooth)):
                y = self.viewport.apply(columns["y"]) if len(columns["y"]) else []
                source.data = {"x": columns["x"], "y": y, "error": columns["y"], "run": [label] * len(y)}
            faded = self.options.smoothing > 0
            self._lines[run_name][0].glyph.line_alpha = 0.3 if faded else 0.95
            shown.append(sent.values)
        self._fit(np.concatenate(shown or [np.empty(0)]))
        return np.empty(0)

    def _fit(self, values) -> None:
        """All runs have a height of their own: it must not flatten the curve of one."""
        kind = "log" if self.viewport.scale == "log" else "linear"
        low, high = steps.view_range(self.viewport.apply(values), kind)
        self.y_range.update(start=low, end=high)

    # -- private ----------------------------------------------------------------------------------

    def _add(self, index: int, run_name: str) -> None:
        self.clocks[run_name] = self.viewport.clock(self.context.run(run_name))
        empty = {"x": [], "y": [], "error": [], "run": []}
        pair = tuple(
            ColumnDataSource(dict(empty), name=f"overlay_{index}_{kind}") for kind in ("raw", "smooth")
        )
        self.sources[run_name] = pair
        raw, smooth = (self.figure.line("x", "y", source=source, line_width=1.75) for source in pair)
        raw.muted_glyph = smooth.muted_glyph = None
        for renderer in (raw, smooth):
            renderer.hover_glyph = renderer.glyph.clone()
            renderer.hover_glyph.line_width, renderer.hover_glyph.line_alpha = 3.5, 1.0
        self._lines[run_name] = [raw, smooth]
        tips = [("run", "@run"), ("iteration", "$x{0,0}"), ("error", "@error{%.6g}")]
        if self.viewport.axis != "iteration":
            tips = [tips[0], tips[2]]
        hover = HoverTool(
            renderers=[raw], tooltips=tips, formatters={"@error": "printf"}, line_policy="nearest"
        )
        hover.visible = False
        self.figure.add_tools(hover)
        self._colour()

    def _colour(self) -> None:
        for run_name, lines in self._lines.items():
            colour = self.context.colour(run_name)
            for renderer in lines:
                renderer.glyph.line_color = renderer.hover_glyph.line_color = colour

    def _legend(self) -> None:
        items = [
            LegendItem(label={"value": self.context.short_label(run_name)}, renderers=lines)
            for run_name, lines in self._lines.items()
        ]
        legend.above(self.context, self.figure, items, name="overlay_legend")

    def table(self) -> Table:
        """Every run's curve in view, for CSV: run, x, minimum and maximum stay as drawn."""
        parts = [(name, raw.data) for name, (raw, _) in self.sources.items()]
        columns = {
            "run": np.concatenate([np.full(len(part["x"]), label, object) for label, part in parts]),
            "x": np.concatenate([np.asarray(part["x"], float) for _, part in parts]),
            "error": np.concatenate([np.asarray(part["error"], float) for _, part in parts]),
        }
        return Table(columns, dict.fromkeys(columns, ("point",)), {})
