"""Line searches over runs: loose ends, evaluations, steepness, curvature and jumps against B and K.

Every selected run is one row and one point; the setting on the x axis and the measure on the y axis are
the reader's. Becker 2019, section 3.2 (its outlook); the experiment `galaxy_sweep` gives the runs.
"""

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    DataTable,
    HoverTool,
    NumberFormatter,
    Range1d,
    ScientificFormatter,
    StringFormatter,
    TableColumn,
)

from gdlab.analysis import descents, shape, steps
from gdlab.messages import counted
from gdlab.records import Table
from gdlab.store import StoreError
from server.core.context import Context, View
from server.ui import card, figures
from server.ui.choices import Choice
from server.ui.tables import data_table
from server.views.curve.page import page

MOST = 20_000  # iterations of a run that are counted
SETTINGS = {
    "batches": "B, batches per epoch",
    "descent_length": "K, iterations per batch",
    "ratio": "K / batch size",
}
CAPTION = "Every point is a run; medians and shares over all its iterations."
MEASURES = {
    "evaluations": "evaluations per iteration",
    "loose_share": "share of loose ends",
    "phase_two_share": "share in phase two",
    "steepness": "steepness |φ′(0)|, median",
    "curvature": "curvature φ″(0), median",
    "jump": "largest jump",
    "jump_ratio": "largest jump / median drop",
}
WIDE = ("steepness", "curvature", "jump_ratio")  # over many orders of magnitude


def build(context: Context) -> View:
    """Table and plot of the selected runs that have line searches; nothing where none has."""
    names = [name for name in context.selected if _searches(context, name)]
    if not names:
        return View(card.box(context, classes=["gd-none"], visible=False, name="measures"), lambda: None)
    return _Measures(context, names).view


def _searches(context: Context, name: str) -> bool:
    run = context.run(name)
    return "ls_eval" in run.arrays and run.rows("ls_eval") > 0


class _Measures:
    def __init__(self, context: Context, names: list[str]):
        self.context, self.names = context, names
        self.result = Table({}, {}, {})
        self._known: dict[tuple, dict] = {}
        self.source = ColumnDataSource({"run": [], "x": [], "y": [], "colour": []}, name="measures_points")
        self.rows = ColumnDataSource(
            {name: [] for name in ("run", *SETTINGS, *MEASURES)}, name="measures_rows"
        )
        self.x = Choice(context, "setting", "batches", SETTINGS, help="Setting: the horizontal axis")
        self.y = Choice(context, "measure", "evaluations", MEASURES, help="Measure: the vertical axis")
        self.figure = self._figure()
        body = card.box(context, self.figure, self._table(), classes=["gd-body"])
        page(context).style(body)
        self.root = card.card(
            context,
            "Line searches of the runs",
            CAPTION,
            body,
            name="measures",
            figures=[self.figure],
            csv=lambda: self.result,
            controls=[self.x.select("measures_x", width=190), self.y.select("measures_y", width=190)],
            span=8,
        )
        for choice in (self.x, self.y):
            choice.on_change(lambda value: self._draw())
        context.on("theme", self._draw)
        context.on("colour", lambda run: self._draw())
        self.view = View(self.root, self.update)
        self.update()

    def update(self) -> None:
        """Counts runs that have grown; the others are known."""
        rows = []
        for name in self.names:
            try:
                run = self.context.run(name)
                rows.append((name, descents.setting(run.config, run.identity), self._totals(name, run)))
            except StoreError:
                continue
        self.result = descents.over_runs(rows)
        self._draw()

    def _totals(self, name: str, run) -> dict:
        count = min(run.rows("scalars"), MOST)
        bend = shape.known(run, 0, count)
        key = (name, count, run.key, int(np.isfinite(bend).sum()))
        if key not in self._known:
            record = run.table("steps", 0, count), run.table("evaluations", 0, count)
            self._known[key] = descents.totals(descents.per_iteration(*record, bend))
        return self._known[key]

    def _draw(self) -> None:
        columns = self.result.columns
        there = np.isfinite(columns[self.x.value]) & np.isfinite(columns[self.y.value])
        x, y, names = (columns[name][there] for name in (self.x.value, self.y.value, "run"))
        colours = [self.context.colour(name) for name in names]
        self.source.data = {"run": names, "x": x, "y": y, "colour": colours}
        self.figure.visible = len(names) > 0
        self.rows.data = {name: columns[name] for name in self.rows.data}
        card.retitle(self.root, caption=self._words(columns))
        self._place("x", SETTINGS[self.x.value], x, wide=self.x.value == "ratio", count=True)
        self._place("y", MEASURES[self.y.value], y, wide=self.y.value in WIDE)

    def _words(self, columns) -> str:
        """The caption, with the number of runs that have no place in the plot."""
        words = [CAPTION]
        for name, what in ((self.x.value, SETTINGS), (self.y.value, MEASURES)):
            missing = int(np.count_nonzero(~np.isfinite(columns[name])))
            if missing:
                count = f"{counted(missing, 'run')} {'has' if missing == 1 else 'have'}"
                words.append(f"{count} no value of {what[name].split(',')[0]} and no point.")
        return " ".join(words)

    def _place(self, dimension: str, label: str, values, *, wide: bool, count: bool = False) -> None:
        """Label, scale and limits of an axis; wide: logarithmic where the values ask for it."""
        scale = steps.axis_scale(values) if wide else "linear"
        low, high = steps.view_range(values, scale, margin=0.12)
        limits = getattr(self.figure, f"{dimension}_range")
        if scale == "log":  # a log axis must never see limits that hold 0
            limits.update(start=low, end=high)
        figures.set_scale(self.figure, dimension, "count" if count and not wide else scale)
        limits.update(start=low, end=high)
        getattr(self.figure, f"{dimension}axis").axis_label = label

    # -- parts ------------------------------------------------------------------------------------

    def _figure(self):
        plot = figures.figure(
            "measures_figure",
            height=260,
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1),
            x_label="B",
            y_label="evaluations",
        )
        dots = plot.scatter("x", "y", source=self.source, size=10, fill_color="colour", line_width=1)
        self.context.paint(dots.glyph, line_color="card")
        plot.add_tools(
            HoverTool(renderers=[dots], visible=False, tooltips=[("run", "@run"), ("value", "@y")])
        )
        figures.set_scale(plot, "x", "count")
        return plot

    def _table(self) -> DataTable:
        number = {"precision": 3, "power_limit_low": -2, "power_limit_high": 4, "nan_format": "–"}
        columns = [
            TableColumn(field="run", title="run", formatter=StringFormatter(nan_format="–"), width=150)
        ]
        columns += [
            TableColumn(
                field=name,
                title="K / size" if name == "ratio" else title.split(",")[0],
                formatter=ScientificFormatter(**number)
                if name == "ratio"
                else NumberFormatter(format="0,0", nan_format="–"),
                width=60,
            )
            for name, title in SETTINGS.items()
        ]
        columns += [
            TableColumn(
                field=name,
                title={"evaluations": "evals"}.get(name, name.removesuffix("_share").replace("_", " ")),
                formatter=ScientificFormatter(**number),
                width=80,
            )
            for name in MEASURES
        ]
        return data_table(
            self.rows,
            columns,
            name="measures_table",
            autosize_mode="force_fit",
            row_height=26,
            height=30 + 26 * min(len(self.names), 10),
            sizing_mode="stretch_width",
            css_classes=["gd-small-table"],
            stylesheets=[self.context.sheet, page(self.context).sheet],
        )
