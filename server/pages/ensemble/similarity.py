"""The ensemble similarity plot: runs as points, near one another where their filters are correlated alike.

The colour of a point stands for its two hyper-parameters, by a* and b* of CIELAB, as the square beside the
plot shows. Hamid 2019, Figure 2 (a).
"""

import numpy as np
from bokeh.events import SelectionGeometry, Tap
from bokeh.models import BoxSelectTool, FixedTicker, HoverTool, Range1d
from bokeh.models.glyphs import ImageRGBA, Scatter

from gdlab.analysis import colours
from gdlab.messages import counted
from gdlab.records import Table
from server.pages.ensemble.filters import METHODS
from server.pages.ensemble.heat import heat, levels
from server.pages.ensemble.matrices import Plane, said
from server.pages.ensemble.panel import Panel, view_of
from server.ui import card, figures
from server.ui.query import CardQuery

HEIGHT, SQUARE = 360, 150


class Similarity(Panel):
    """root: the card."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_similarity")
        self.heat = heat(shared)
        self.plane: Plane | None = None
        columns = ("x", "y", "run", "name", "colour", "size", "rim", "a", "b")
        self.points = self.source("points", *columns)
        self.square = self.source("square", "image", "x", "y", "w", "h")
        self.figure, self.legend = self._figure(), self._legend()
        self.query = CardQuery(self.context, self._show, self._caption, name=self.name)
        row = card.row(
            self.context, self.figure, self.legend, classes=["gd-plane"], sizing_mode="stretch_width"
        )
        body = card.box(self.context, row, self.query.progress.root, classes=["gd-body"])
        self.root = card.card(
            self.context, "Similarity of runs", "", body,
            read="similarity", name=self.name, figures=[self.figure, self.legend],
            csv=self._table,
        )  # fmt: skip
        self.draws("my.points(kit, {source: points})", points=self.points)
        self.figure.js_on_event(Tap, self.listen("my.tap_point(kit, event, points)", points=self.points))
        self.figure.js_on_event(
            SelectionGeometry, self.listen("my.take_box(kit, event, points)", points=self.points)
        )
        self.context.on("filters", self.update)
        self.context.on("pair", self._colour)

    def update(self) -> None:
        """Asks for the points."""
        matrices, wanted = self.shared.matrices, self.shared.filters
        self.root.visible = bool(self.shared.ensemble.layers)
        if matrices is None:
            return
        layer, time, method = self.shared.layer, self.shared.time, wanted.method
        key = (id(matrices), layer, time, method)
        self.query.compute(key, lambda progress: matrices.plane(layer, time, method, progress))

    def _show(self, plane: Plane) -> None:
        self.plane = plane
        where = plane.points
        if len(where):
            low, high = where.min(axis=0), where.max(axis=0)
            margin = 0.08 * max(float((high - low).max()), 1e-9)
            self.figure.x_range.update(start=float(low[0] - margin), end=float(high[0] + margin))
            self.figure.y_range.update(start=float(low[1] - margin), end=float(high[1] + margin))
        self._colour()
        method = METHODS[self.shared.filters.method]
        words = (
            f"{method} of {counted(len(where), 'run')} at iteration {self.shared.time:,}, "
            f"layer {self.shared.layer}: near where their filters' correlations are alike. "
            "Click or drag to select."
        )
        card.retitle(self.root, caption=words + said(plane.left_out))

    def _colour(self) -> None:
        """The points in the colours of the pair of hyper-parameters, and the square."""
        if self.plane is None:
            return
        shared, runs, pair = self.shared, self.plane.runs, self.heat.pair
        a, b = self.heat.plane(pair)
        self.points.data = {
            "x": self.plane.points[:, 0], "y": self.plane.points[:, 1], "run": runs,
            "name": [shared.ensemble.names[i] for i in runs], "colour": colours.cielab(a[runs], b[runs]),
            "size": np.full(len(runs), 8.0), "rim": ["#00000000"] * len(runs),
            "a": self._words(pair, 0, runs), "b": self._words(pair, 1, runs),
        }  # fmt: skip
        self.legend.visible = pair is not None
        if pair is not None:
            self._square(pair)
        self.redraw()

    def _words(self, pair, side: int, runs) -> list[str]:
        if pair is None:
            return [""] * len(runs)
        axis = self.shared.axis(pair[side])
        return [axis.label(float(value)) if np.isfinite(value) else "none" for value in axis.values[runs]]

    def _square(self, pair) -> None:
        self.square.data = {"image": [colours.legend(48)], "x": [0], "y": [0], "w": [1], "h": [1]}
        for name, axis in zip(pair, (self.legend.xaxis[0], self.legend.yaxis[0]), strict=True):
            labels = levels(self.shared.axis(name)).labels
            axis.ticker = FixedTicker(ticks=[0, 1], minor_ticks=[])
            axis.major_label_overrides = {i: figures.shortened(labels[-i], 12) for i in (0, 1)}
            axis.axis_label = figures.shortened(name, 26)

    # -- models -----------------------------------------------------------------------------------

    def _figure(self):
        plot = figures.figure(
            f"{self.name}_figure", height=HEIGHT, x_range=Range1d(-1, 1), y_range=Range1d(-1, 1), zoom="both"
        )
        plot.axis.visible = plot.grid.visible = False
        plot.min_border_left = plot.min_border_right = plot.min_border_bottom = 4
        plot.match_aspect = True
        box = BoxSelectTool(visible=False)
        plot.add_tools(box)
        plot.toolbar.active_drag = box
        dots = Scatter(x="x", y="y", size="size", fill_color="colour", line_color="rim", line_width=2.5)
        drawn = figures.draw(plot, self.points, dots)
        tips = [("run", "@name"), ("hyper-parameters", "@a, @b")]
        plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips, visible=False))
        return plot

    def _legend(self):
        plot = figures.figure(
            f"{self.name}_legend", height=SQUARE + 50, x_range=Range1d(0, 1), y_range=Range1d(0, 1),
            x_label="x", y_label="y",
        )  # fmt: skip
        plot.update(
            tools=[], width=SQUARE + 60, sizing_mode="fixed", min_border_left=50, min_border_bottom=40
        )
        plot.min_border_right = 16
        plot.grid.visible = False
        figures.draw(plot, self.square, ImageRGBA(image="image", x="x", y="y", dw="w", dh="h"))
        return plot

    def _table(self) -> Table:
        """For CSV: a row per point."""
        data = self.points.data
        columns = {name: np.asarray(data[name]) for name in ("name", "x", "y", "a", "b", "colour")}
        return Table(columns, dict.fromkeys(columns, ("run",)), {})


build = view_of(Similarity)
