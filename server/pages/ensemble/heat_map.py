"""The performance heat map: a measure over two hyper-parameters, the selections as dots in its cells."""

import numpy as np
from bokeh.events import Tap
from bokeh.models import (
    CheckboxButtonGroup,
    ColorBar,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    Range1d,
    Select,
)
from bokeh.models.glyphs import Quad, Scatter

from gdlab.messages import counted
from gdlab.records import Table
from server.pages.ensemble import axes
from server.pages.ensemble.heat import heat, levels
from server.pages.ensemble.panel import Panel, view_of
from server.ui import card, figures
from server.ui.choices import look

HEIGHT = 360
MOST_LETTERS = 20  # of a label at an axis
CELL = ("left", "right", "top", "bottom", "value", "count", "x", "y")
CLEAR = "#00000000"


class HeatMap(Panel):
    """root: the card."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_heat")
        self.heat = heat(shared)
        self._quiet = False
        self.cells = self.source("cells", *CELL)
        self.places = self.source("places", "x", "y", "width", "height")
        self.dots = self.source("dots", "x", "y", "colour")
        self.mapper = LinearColorMapper(low=0, high=1, nan_color=CLEAR, palette=self._palette())
        self.figure = self._figure()
        body = card.box(self.context, self.figure, classes=["gd-body"])
        self.root = card.card(
            self.context, "Performance", "", body,
            read="heat", name=self.name, figures=[self.figure], csv=self._table,
            controls=self._controls(),
        )  # fmt: skip
        self.draws("my.dots(kit, {cells: places, out: dots})", places=self.places, dots=self.dots)
        self.figure.js_on_event(Tap, self.listen("my.tap_cell(kit, event, places)", places=self.places))
        for event in ("measures", "axes", "pair"):
            self.context.on(event, self.update)
        self.context.on("theme", self._theme)

    def update(self) -> None:
        """The pair's cells."""
        pair = self.heat.pair
        self._offer(pair)
        grid = self.heat.grid(*pair) if pair else None
        self.figure.visible = grid is not None and bool(grid.runs.any())
        if pair is None or grid is None:
            card.retitle(self.root, caption="A heat map needs two hyper-parameters that differ.")
            return
        if not self.figure.visible:
            words = f"No run with {' and '.join(pair)} has {' and '.join(self.heat.measures)}."
            card.retitle(self.root, caption=words)
            return
        x, y = (levels(self.shared.axis(name)).labels for name in pair)
        self._axes(pair, x, y)
        rows, columns = np.nonzero(grid.runs)  # a cell without runs is no cell, one of the lowest value is
        self.cells.data = {
            "left": columns - 0.48, "right": columns + 0.48, "top": rows + 0.48, "bottom": rows - 0.48,
            "value": grid.mean[rows, columns], "count": grid.runs[rows, columns],
            "x": [x[i] for i in columns], "y": [y[i] for i in rows],
        }  # fmt: skip
        known = grid.mean[np.isfinite(grid.mean)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        figures.fit_bar(self.mapper, self.bar, low, high)
        one = np.ones(self.shared.count)
        self.places.data = {"x": grid.x, "y": grid.y, "width": one, "height": one}
        self._say(grid)
        self.redraw()

    def _say(self, grid) -> None:
        measures = " and ".join(self.heat.measures)
        words = f"{'Mean of ' if len(self.heat.measures) > 1 else ''}{measures} on the axes' ranges"
        most = int(grid.runs.max(initial=0))
        words += f", mean of up to {counted(most, 'run')} a cell. " if most > 1 else ". "
        if not self.bar.visible:
            words += f"It is {self.mapper.low / 2 + self.mapper.high / 2:.3g} in every cell. "
        words += "Click a cell to select its runs."
        placed = np.isfinite(grid.x)
        lacking = int((placed & ~np.isfinite(self.heat.values())).sum())
        outside = int((~placed).sum())
        if lacking:
            words += f" {counted(lacking, 'run')} without the measure, in the mean of no cell."
        if outside:
            words += f" {outside:,} without these hyper-parameters, in no cell."
        card.retitle(self.root, caption=words)

    # -- models -----------------------------------------------------------------------------------

    def _controls(self) -> list:
        def choice(side: str, title: str) -> Select:
            box = Select(options=[], width=128, **look(self.context, f"ensemble_heat_{side}", title))
            box.on_change("value", lambda attr, old, new: self._chosen())
            return box

        self.x, self.y = choice("x", "Across"), choice("y", "Upwards")
        words = "The mean of these measures is drawn"
        self.by = CheckboxButtonGroup(
            labels=list(axes.MEASURES), **look(self.context, "ensemble_heat_by", words)
        )
        self.by.on_change("active", lambda attr, old, new: self._measure(new))
        return [self.x, self.y, self.by]

    def _offer(self, pair) -> None:
        self._quiet = True
        for box, value in zip((self.x, self.y), pair or ("", ""), strict=True):
            box.options, box.value, box.visible = self.heat.names, value, pair is not None
        self.by.active = [i for i, name in enumerate(axes.MEASURES) if name in self.heat.measures]
        self._quiet = False

    def _chosen(self) -> None:
        if not self._quiet:
            self.heat.choose(self.x.value, self.y.value)
            self._offer(self.heat.pair)

    def _measure(self, active) -> None:
        if not self._quiet:
            self.heat.measure([name for i, name in enumerate(axes.MEASURES) if i in active])
            self._offer(self.heat.pair)

    def _axes(self, pair, *labels) -> None:
        ranges = (self.figure.x_range, self.figure.y_range)
        for name, words, axis, range_ in zip(
            pair, labels, (self.figure.xaxis[0], self.figure.yaxis[0]), ranges, strict=True
        ):
            range_.update(start=-0.5, end=len(words) - 0.5)
            axis.ticker = FixedTicker(ticks=list(range(len(words))), minor_ticks=[])
            axis.major_label_overrides = {
                i: figures.shortened(word, MOST_LETTERS) for i, word in enumerate(words)
            }
            axis.axis_label = name
        crowded = sum(len(figures.shortened(word, MOST_LETTERS)) + 1 for word in labels[0]) > 40
        self.figure.xaxis[0].major_label_orientation = 0.7 if crowded else "horizontal"

    def _figure(self):
        plot = figures.figure(
            f"{self.name}_figure", height=HEIGHT, x_range=Range1d(-0.5, 0.5), y_range=Range1d(-0.5, 0.5),
            x_label="x", y_label="y",
        )  # fmt: skip
        plot.tools = []
        plot.grid.visible = False
        plot.min_border_left, plot.min_border_bottom, plot.min_border_right = 70, 52, 4
        plot.axis.axis_line_color = plot.axis.major_tick_line_color = None
        box = Quad(
            left="left", right="right", top="top", bottom="bottom",
            fill_color={"field": "value", "transform": self.mapper},
        )  # fmt: skip
        cells = figures.draw(plot, self.cells, self.context.paint(box, line_color="line"))
        dots = Scatter(x="x", y="y", size=11, fill_color="colour", line_width=1.5)
        figures.draw(plot, self.dots, self.context.paint(dots, line_color="card"))
        bar = self.bar = ColorBar(
            color_mapper=self.mapper, width=8, padding=4, border_line_color=None, background_fill_color=None,
            bar_line_color=None, major_tick_line_color=None, label_standoff=4,
        )  # fmt: skip
        self.context.paint(bar, major_label_text_color="muted")
        plot.add_layout(bar, "right")
        tips = [("across", "@x"), ("upwards", "@y"), ("value", "@value{0.0000}"), ("runs", "@count")]
        plot.add_tools(HoverTool(renderers=[cells], tooltips=tips, visible=False))
        return plot

    def _palette(self) -> list[str]:
        return list(self.context.palette.cells)

    def _theme(self) -> None:
        self.mapper.palette = self._palette()

    def _table(self) -> Table:
        """For CSV: a row per cell."""
        pair = self.heat.pair
        if pair is None:
            return Table({}, {}, {})
        data = self.cells.data
        columns = {pair[0]: np.array(data["x"]), pair[1]: np.array(data["y"])}
        columns |= {"value": np.asarray(data["value"]), "runs": np.asarray(data["count"])}
        return Table(columns, dict.fromkeys(columns, ("cell",)), {"measures": self.heat.measures})


build = view_of(HeatMap)
