"""The steps of each layer as small multiples: one band per layer, all on one scale, in one figure.

A dozen layers a page. Every band shows the same range of values, so heights can be compared over
layers; on a logarithmic scale unless the page's axes are linear.
"""

import numpy as np
from bokeh.events import DoubleTap
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearAxis,
    Range1d,
)

from gdlab.analysis import steps
from gdlab.messages import counted
from gdlab.records import Table
from server.pages.steps import data
from server.pages.steps.page import StepPage
from server.pages.steps.panel import LINE, having
from server.ui import card, figures
from server.ui.choices import Choice
from server.ui.pager import Pager, page_choice

BANDS = 12  # layers of a page
HEIGHT, TALLEST, MARGIN = 46, 110, 62  # px of a band, of one of few bands, and of what stands around them
FILL = 0.78  # share of a band that its curve may use
KINDS = {"layers": "step size", "layer_ratio": "update ratio"}
EMPTY = ("xs", "ys", "run", "layer", "value", "colour")


class Layers:
    """A member of the page's viewport; root: the card."""

    def __init__(self, context, page: StepPage, *, name: str = "step_layers"):
        self.context, self.page, self.name = context, page, name
        self.runs = having(context, "layers")
        found = [context.run(run).columns(data.SIZES) for run in self.runs]
        self.layers = list(dict.fromkeys(layer for layers in found for layer in layers))
        self.pager = Pager(context, page_choice(context, "layerpage"), BANDS, name=name, what="layers")
        self.pager.page.on_change(lambda value: self._redraw())
        self._kind = Choice(context, "layerkind", "layers", KINDS, help="Of each layer")
        self._kind.on_change(lambda value: self._redraw())
        self.source = ColumnDataSource({column: [] for column in EMPTY}, name=f"{name}_lines")
        self.points = ColumnDataSource(
            {column: [] for column in ("x", "y", "k", "value", "run", "layer")}, name=f"{name}_points"
        )
        self.marks = ColumnDataSource({"y": []}, name=f"{name}_marks")
        self.figure = self._figure()
        page.viewport.members.append(self)
        self.root = card.card(
            context,
            "Layers",
            "",
            card.box(context, self.figure, classes=["gd-body"]),
            read="step_sizes",
            name=name,
            figures=[self.figure],
            csv=self.table,
            controls=[self._kind.select(f"{name}_kind", width=120), *self.pager.buttons],
        )
        context.on("colour", lambda run: self._redraw())
        context.on("theme", self._redraw)

    # -- what the viewport asks of a member -------------------------------------------------------

    def extent(self) -> tuple[float, float]:
        """Nothing beyond what the first card shows."""
        return self._clock.x(0), self._clock.x(1)

    def limits(self) -> np.ndarray:
        """The scale is that of the other cards."""
        return np.empty(0)

    def rescale(self) -> None:
        """Follows a change of the x axis."""
        self.figure.xaxis.axis_label = self._clock.label
        figures.set_scale(self.figure, "x", self.page.viewport.x_scale)

    def draw(self, low: float, high: float) -> np.ndarray:
        """Draws the bands of the layers in view."""
        shown = self.pager.part(self.layers)
        curves = list(self._curves(shown, low, high))
        values = np.concatenate([value for *_, value in curves] or [np.empty(0)])
        bottom, top = self._range(values)
        rows: dict[str, list] = {column: [] for column in EMPTY}
        points: dict[str, list] = {column: [] for column in self.points.data}
        for run, layer, x, k, value in curves:
            base = len(shown) - 1 - shown.index(layer)
            y = base + FILL * self._height(value, bottom, top)
            label, colour = self.context.short_label(run), self.context.colour(run)
            for column, cell in zip(EMPTY, (x, y, label, layer, value, colour), strict=True):
                rows[column].append(cell)
            for column, cells in (("x", x), ("y", y), ("k", k), ("value", value)):
                points[column].append(cells)
            points["run"].append(np.full(len(x), label, object))
            points["layer"].append(np.full(len(x), layer, object))
        self.source.data = rows
        self.points.data = {
            column: np.concatenate(parts or [np.empty(0)]) for column, parts in points.items()
        }
        self._scale(shown, bottom, top)
        card.retitle(self.root, caption=self._caption(shown))
        return np.empty(0)

    # -- private ----------------------------------------------------------------------------------

    @property
    def _clock(self):
        return self.page.clock(self.context.run(self.runs[0]))

    def _curves(self, shown, low: float, high: float):
        """(run, layer, x, iterations, values) of every curve, the first run's last, on top."""
        for run_name in reversed(self.runs):
            run = self.context.run(run_name)
            names = run.columns(data.SIZES)
            x, means, k = self.page.means(run, self._kind.value, low, high)
            for layer in shown:
                if layer in names and len(x):
                    yield run_name, layer, x, k, means[:, names.index(layer)]

    def _range(self, values) -> tuple[float, float]:
        marks = [LINE] if self._kind.value == "layer_ratio" else []
        kind = "log" if self.page.viewport.log else "linear"
        return steps.view_range(np.concatenate([values, marks]), kind, margin=0.02)

    def _height(self, values, bottom: float, top: float) -> np.ndarray:
        """Values as heights in [0, 1]; NaN where a logarithm does not exist."""
        if not self.page.viewport.log:
            return (np.asarray(values) - bottom) / (top - bottom)
        known = np.where(np.asarray(values) > 0, values, np.nan)
        return np.log(known / bottom) / np.log(top / bottom)

    def _scale(self, shown, bottom: float, top: float) -> None:
        """Names of the layers on the left, the ends of their common scale on the right."""
        count = len(shown)
        names = {count - 1 - i + FILL / 2: layer for i, layer in enumerate(shown)}
        axis = self.figure.yaxis[0]
        axis.ticker.ticks, axis.major_label_overrides = sorted(names), names
        ticks = self._ticks(bottom, top)
        at = FILL * self._height(np.array(ticks), bottom, top)
        ends = {
            base + float(y): f"{tick:g}" for base in range(count) for tick, y in zip(ticks, at, strict=True)
        }
        self.ends.ticker.ticks, self.ends.major_label_overrides = sorted(ends), ends
        self.figure.ygrid.ticker = FixedTicker(ticks=list(range(count)))
        self.figure.y_range.update(start=-0.06, end=count)
        self.figure.height = MARGIN + count * int(np.clip(330 / max(count, 1), HEIGHT, TALLEST))
        line = (
            float(self._height(np.array([LINE]), bottom, top)[0])
            if self._kind.value == "layer_ratio"
            else None
        )
        self.marks.data = {"y": [] if line is None else [base + FILL * line for base in range(count)]}

    def _ticks(self, bottom: float, top: float) -> list[float]:
        """Two or three values for the scale of a band."""
        if not self.page.viewport.log:
            return [bottom + share * (top - bottom) for share in (0.0, 1.0)]
        ticks = figures.log_ticks(bottom, top)
        return ticks if len(ticks) <= 2 else [ticks[0], ticks[-1]]

    def _caption(self, shown) -> str:
        count = len(self.layers)
        where = (
            f"Layers {self.pager.first + 1} to {self.pager.first + len(shown)} of {count}"
            if count > BANDS
            else counted(count, "layer")
        )
        words = [f"{KINDS[self._kind.value].capitalize()} of each layer, all on one scale. {where}."]
        words += ["Dashed: 0.001."] if self._kind.value == "layer_ratio" else []
        return " ".join(words)

    def _redraw(self) -> None:
        self.draw(self.page.viewport.x_range.start, self.page.viewport.x_range.end)

    # -- parts ------------------------------------------------------------------------------------

    def _figure(self):
        plot = figures.figure(
            f"{self.name}_figure",
            height=MARGIN + HEIGHT,
            x_range=self.page.viewport.x_range,
            y_range=Range1d(0, 1),
            x_label="iteration",
        )
        plot.min_border_bottom, plot.min_border_left, plot.min_border_right = 40, 84, 50
        plot.yaxis[0].ticker = FixedTicker(ticks=[])
        plot.yaxis[0].axis_line_color = plot.yaxis[0].major_tick_line_color = None
        self.ends = LinearAxis(
            ticker=FixedTicker(ticks=[]), axis_line_color=None, major_label_text_font_size="10px"
        )
        plot.add_layout(self.ends, "right")
        marks = plot.hspan(y="y", source=self.marks, line_dash="dashed", line_width=1, level="underlay")
        self.context.paint(marks.glyph, line_color="muted")
        lines = plot.multi_line("xs", "ys", source=self.source, line_color="colour", line_width=1.5)
        lines.glyph.line_join = "round"
        dots = plot.scatter("x", "y", source=self.points, size=6, fill_alpha=0, line_alpha=0)
        dots.hover_glyph = dots.glyph.clone()
        self.context.paint(dots.hover_glyph, fill_color="ink")
        dots.hover_glyph.fill_alpha = 0.8
        tips = [("run", "@run"), ("layer", "@layer"), ("iteration", "@k{0,0}"), ("value", "@value{%.5g}")]
        plot.add_tools(
            HoverTool(renderers=[dots], tooltips=tips, formatters={"@value": "printf"}, visible=False)
        )
        plot.on_event(DoubleTap, lambda event: self.page.viewport.reset())
        return plot

    def table(self) -> Table:
        """What is drawn, for CSV: run, layer, iteration, value."""
        columns = {name: np.asarray(self.points.data[name]) for name in ("run", "layer", "k", "value")}
        columns = {
            "run": columns["run"],
            "layer": columns["layer"],
            "iteration": columns["k"],
            "value": columns["value"],
        }
        return Table(columns, dict.fromkeys(columns, ("point",)), {})
