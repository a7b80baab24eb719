"""What the line searches of a run did: evaluations, loose ends, steepness, curvature, jumps.

Counted over the iterations that the curve shows, and per descent where the mini-batch changes.
Becker 2019, section 3.2 (its outlook).
"""

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    DataTable,
    HoverTool,
    Legend,
    LegendItem,
    NumberFormatter,
    Range1d,
    ScientificFormatter,
    TableColumn,
)

from gdlab.analysis import descents, shape, steps
from gdlab.messages import counted
from gdlab.records import Table
from server.core.context import Context, View
from server.core.rest import Rest
from server.ui import card, figures
from server.ui.choices import button
from server.ui.query import Query
from server.ui.tables import data_table
from server.views.curve.data import dot_count
from server.views.curve.page import page

MOST = 20_000  # iterations that are counted at once
SMOOTHED = 200  # iterations whose smoothness is computed, evenly spread over the view
REST_MS = 250  # the curve comes first
SMOOTHNESS = "Compute curvature, and how much the slope varies, along each direction in view"
COUNTS = {
    "descent": "descent",
    "start": "from",
    "iterations": "iterations",
    "loose_ends": "loose ends",
    "phase_two": "phase two",
    "restarts": "restarts",
}
MEASURES = {
    "evaluations": "evals",
    "steepness": "steepness",
    "curvature": "curvature",
    "jump": "jump",
    "drop": "drop",
}
COLUMNS = COUNTS | MEASURES


def build(context: Context) -> View:
    """The card of the (first) run's searches; nothing for runs without a trace."""
    run = context.run(context.selected[0])
    if "ls_eval" not in run.arrays or not run.rows("ls_eval"):
        return View(card.box(context, classes=["gd-none"], visible=False, name="statistics"), lambda: None)
    return _Statistics(context).view


class _Statistics:
    def __init__(self, context: Context):
        self.context, self.run_name = context, context.selected[0]
        self.viewport = page(context).viewport
        self._rest = Rest(context, REST_MS, self._count, steady=True)
        self._window: tuple = ()
        self.iterations = self.descents = Table({}, {}, {})
        self.bars = ColumnDataSource({"evaluations": [], "iterations": []}, name="statistics_bars")
        self.points = ColumnDataSource({"x": [], "steepness": [], "curvature": []}, name="statistics_points")
        self.rough = ColumnDataSource({"x": [], "smoothness": []}, name="statistics_smoothness")
        self.rows = ColumnDataSource({name: [] for name in COLUMNS}, name="statistics_rows")
        self.histogram, self.shape = self._histogram(), self._shape()
        for plot in (self.histogram, self.shape):
            plot.min_border_top = 28  # room for the legend, so that the frames align
        pair = card.row(context, self.histogram, self.shape, classes=["gd-pair"], sizing_mode="stretch_width")
        self.table = self._table()
        self.query = Query(context, self._smoothness_came, name="statistics")
        self._words = ""
        body = card.box(context, pair, self.table, self.query.progress.root, classes=["gd-body"])
        page(context).style(body, pair)
        flat = "path" in self.run.arrays and self.run.array("path", 0, 0).shape[1] == 2
        self.root = card.card(
            context,
            "Line searches" + (f": {self.run_name}" if len(context.selected) > 1 else ""),
            "",
            body,
            name="statistics",
            figures=[self.histogram, self.shape],
            csv=self._csv,
            controls=[button(context, "Smoothness", "statistics_smooth", SMOOTHNESS, self._ask)],
            span=6 if flat else 12,
        )
        context.on("range", self.update)
        self.view = View(self.root, self.update)
        self._count()

    @property
    def run(self):
        return self.context.run(self.run_name)

    def update(self) -> None:
        """Counts again once the view rests."""
        self._rest.begin()

    def _count(self) -> None:
        start, stop = self._in_view()
        if stop - start > MOST:
            card.retitle(self.root, caption=f"Zoom in to {MOST:,} iterations to count their searches.")
            return
        if (start, stop, self.run.key) == self._window:
            return
        self._window = (start, stop, self.run.key)
        self._forget_smoothness()
        self._measure(start, stop)

    def _measure(self, start: int, stop: int) -> None:
        record = self.run.table("steps", start, stop), self.run.table("evaluations", start, stop)
        self.iterations = descents.per_iteration(*record, shape.known(self.run, start, stop))
        self.descents = descents.per_descent(self.iterations)
        self._draw(descents.evaluation_histogram(self.iterations), descents.totals(self.iterations))

    # -- smoothness, which needs the model --------------------------------------------------------

    def _ask(self) -> None:
        start, stop = self._in_view()
        if stop > start:
            every = max(1, -(-(stop - start) // SMOOTHED))
            self.query.probe(self.run, "smoothness", {"start": start, "stop": stop, "every": every})

    def _smoothness_came(self, table: Table) -> None:
        if self._window:
            self._measure(*self._window[:2])  # the curvature came with it
        found = table.columns["smoothness"]
        self.rough.data = {"x": table.columns["iteration"], "smoothness": found}
        known = np.concatenate([self.points.data["steepness"], self.points.data["curvature"], found])
        low, high = steps.view_range(known, "log")
        self.shape.y_range.update(start=low, end=high)
        middle = f"{np.nanmedian(found):.3g}" if np.isfinite(found).any() else "unknown"
        words = (
            f"Median smoothness {middle} (total variation of φ′ over two steps by |φ′(0)|; a parabola has 2)."
        )
        card.retitle(self.root, caption=f"{self._words} {words}")

    def _forget_smoothness(self) -> None:
        self.query.forget()
        if len(self.rough.data["x"]):
            self.rough.data = {"x": [], "smoothness": []}

    def _in_view(self) -> tuple[int, int]:
        count = dot_count(self.run)
        if self.viewport.axis != "iteration" or self.viewport.window.x is None:
            return 0, max(count - 1, 0)
        low, high = (value - self.viewport.log_x for value in self.viewport.window.x)
        return max(0, int(np.ceil(low))), int(np.clip(np.floor(high) + 1, 0, max(count - 1, 0)))

    def _draw(self, histogram: Table, totals: dict) -> None:
        self.bars.data = dict(histogram.columns)
        counts, most = histogram.columns["iterations"], len(histogram.columns["iterations"])
        self.histogram.x_range.update(start=0.4, end=max(most, 1) + 0.6)
        self.histogram.y_range.update(start=0, end=1.08 * max(counts, default=1))
        columns = self.iterations.columns
        curvature = np.where(columns["curvature"] > 0, columns["curvature"], np.nan)
        self.points.data = {
            "x": columns["iteration"],
            "steepness": columns["steepness"],
            "curvature": curvature,
        }
        low, high = steps.view_range(np.concatenate([columns["steepness"], curvature]), "log")
        self.shape.y_range.update(start=low, end=high)
        if len(columns["iteration"]):
            first, last = columns["iteration"][[0, -1]]
            self.shape.x_range.update(start=float(first) - 0.5, end=float(last) + 0.5)
        self.rows.data = {name: self.descents.columns[name] for name in COLUMNS}
        self.table.visible = len(self.descents.columns["descent"]) > 1
        self.table.height = 30 + 26 * min(len(self.descents.columns["descent"]), 8)
        self._words = _words(totals)
        card.retitle(self.root, caption=self._words)

    # -- parts ------------------------------------------------------------------------------------

    def _histogram(self):
        plot = figures.figure(
            "statistics_histogram",
            height=230,
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1),
            x_label="evaluations",
            y_label="iterations",
        )
        figures.set_scale(plot, "x", "count")
        figures.set_scale(plot, "y", "count")
        bars = plot.vbar(x="evaluations", top="iterations", width=0.8, source=self.bars, line_color=None)
        self.context.paint(bars.glyph, fill_color="accent")
        tips = [("evaluations", "@evaluations"), ("iterations", "@iterations")]
        plot.add_tools(HoverTool(renderers=[bars], tooltips=tips, visible=False))
        return plot

    def _shape(self):
        plot = figures.figure(
            "statistics_shape",
            height=230,
            x_range=Range1d(0, 1),
            y_range=Range1d(0.1, 1),
            x_label="iteration",
            y_label="at step width 0",
        )
        figures.set_scale(plot, "y", "log")
        figures.set_scale(plot, "x", "count")
        items: list[LegendItem] = []
        for index, (column, label) in enumerate((("steepness", "|φ′(0)|"), ("curvature", "φ″(0) > 0"))):
            dots = plot.scatter("x", column, source=self.points, size=4, line_color=None)
            items.append(LegendItem(label={"value": label}, renderers=[dots]))
            self.context.paint(dots.glyph, fill_color=lambda palette, i=index: palette.categories[i])
        rough = plot.scatter("x", "smoothness", source=self.rough, size=4, line_color=None)
        items.append(LegendItem(label={"value": "smoothness"}, renderers=[rough]))
        self.context.paint(rough.glyph, fill_color=lambda palette: palette.categories[2])
        tips = [("iteration", "@x"), ("steepness", "@steepness{%.4g}"), ("curvature", "@curvature{%.4g}")]
        hover = HoverTool(renderers=[plot.renderers[0]], tooltips=tips, visible=False, mode="vline")
        hover.formatters = {"@steepness": "printf", "@curvature": "printf"}
        plot.add_tools(hover)
        legend = Legend(items=items, orientation="horizontal", location="right", padding=2, spacing=14)
        self.context.paint(legend, background_fill_color="card")
        plot.add_layout(legend, "above")
        return plot

    def _table(self) -> DataTable:
        scientific = {"precision": 2, "power_limit_low": -2, "power_limit_high": 3, "nan_format": "–"}
        formats = dict.fromkeys(COUNTS, NumberFormatter(format="0,0"))
        formats |= {name: ScientificFormatter(**scientific) for name in MEASURES}
        columns = [
            TableColumn(field=name, title=title, formatter=formats[name], width=80)
            for name, title in COLUMNS.items()
        ]
        return data_table(
            self.rows,
            columns,
            name="statistics_table",
            autosize_mode="force_fit",
            selectable=False,
            row_height=26,
            height=120,
            visible=False,
            sizing_mode="stretch_width",
            css_classes=["gd-small-table"],
            stylesheets=[self.context.sheet, page(self.context).sheet],
        )

    def _csv(self) -> Table:
        """Per iteration: what the plots and the table are made of."""
        return self.iterations


def _words(totals: dict) -> str:
    """The totals in a sentence or two."""
    count = totals["iterations"]
    if not count:
        return "No iteration in view."
    words = [
        f"{counted(count, 'iteration')}, {totals['evaluations']:.3g} evaluations each on average",
        f"{totals['loose_ends']:,} loose ends ({100 * totals['loose_ends'] / count:.0f} %)",
        f"{counted(totals['phase_two'], 'search', 'searches')} entered phase two",
        counted(totals["restarts"], "restart"),
    ]
    if totals["failed"]:
        words.append(f"{totals['failed']:,} failed")
    text = "; ".join(words) + "."
    if np.isfinite(totals["jump_ratio"]) and totals["jump"] != 0:
        text += f" Largest jump {totals['jump']:.3g}, {totals['jump_ratio']:.3g} times the median drop."
    return text
