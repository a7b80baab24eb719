"""The card of the confusion matrix: which class was taken for which, with recall and precision.

Rows are true classes, columns predicted ones; the column on the right is the recall, the row below
the precision. Kuchta 2023, chapter 4.
"""

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, LinearColorMapper, Range1d

from gdlab.messages import counted
from gdlab.records import Table
from server.ui import card, figures, sheets
from server.ui.choices import Choice
from server.ui.query import CardQuery

SHOWN = {"share": "shares of a row", "count": "counts"}
MOST_TEXTS = 20  # classes up to which numbers stand in the cells, and every class has its label
MOST_EXAMPLES = 10_000
ASIDE = 0.35  # between the matrix and what is summed up beside it, in cells
HEIGHT = 470
CELL = ("x", "y", "true", "predicted", "count", "share", "colour", "text", "ink")


class Matrix:
    """ask(run, iteration, part) shows the matrix; counted(part, n) is told how many examples there are."""

    def __init__(self, context, counted, sheet):
        self.context, self.counted = context, counted
        self.query = CardQuery(context, self._show, self._say, name="confusion")
        self.cells = ColumnDataSource({name: [] for name in CELL}, name="confusion_cells")
        self.mapper = LinearColorMapper(
            palette=list(context.palette.magnitudes), low=0, high=1, nan_color="#00000000"
        )
        self.kind = Choice(
            context, "cells", "share", SHOWN, help="Numbers in the cells", changed=lambda value: self._again()
        )
        self.figure = self._figure()
        self.query.layouts = [self.figure]
        body = card.box(context, self.figure, self.query.progress.root, classes=["gd-body"])
        sheets.wear(sheet, body)
        self.root = card.card(
            context, "Confusion matrix", "", body, name="confusion", figures=[self.figure],
            csv=self._rows, controls=[self.kind.select("confusion_kind", width=130)], span=7,
        )  # fmt: skip
        context.on("theme", self._theme)

    def ask(self, run, iteration: int, part: str) -> None:
        """Shows the matrix of this iteration on this part of the data."""
        self.query.probe(run, "confusion", {"iteration": iteration, "on": part, "samples": MOST_EXAMPLES})

    def _again(self) -> None:
        if self.query.answer is not None:
            self._show(self.query.answer)

    def _show(self, table: Table) -> None:
        names = [str(name) for name in table.columns["classes"]]
        self._axes(names)
        self._theme()
        attrs = table.attrs
        self._say(
            f"Accuracy {100 * attrs['accuracy']:.2f} %, mean cross-entropy {attrs['loss']:.4g} on "
            f"{counted(attrs['examples'], 'example')}. Right: recall; below: precision. "
            "Colours follow the square "
            "root of the share, so that rare mistakes show."
        )
        self.counted(attrs["on"], attrs["examples"])

    def _axes(self, names: list[str]) -> None:
        count = len(names)
        self.figure.x_range.update(start=-0.5, end=count + 0.5 + ASIDE)
        self.figure.y_range.update(start=count + 0.5 + ASIDE, end=-0.5)
        stride = max(1, -(-count // MOST_TEXTS))
        for axis, aside in ((self.figure.xaxis[0], "recall"), (self.figure.yaxis[0], "precision")):
            place = {at: names[at] for at in range(0, count, stride)} | {count + ASIDE: aside}
            axis.ticker = FixedTicker(ticks=list(place), minor_ticks=[])
            axis.major_label_overrides = place
            axis.major_label_orientation = "horizontal"
        if max(map(len, names)) > 6:
            self.figure.xaxis[0].major_label_orientation = 0.6

    def _theme(self) -> None:
        self.mapper.palette = list(self.context.palette.magnitudes)
        if self.query.answer is not None:
            self.cells.data = _cells(self.query.answer, self.kind.value, self.context.palette)

    def _figure(self):
        plot = figures.figure(
            "confusion_figure", height=HEIGHT, x_range=Range1d(-0.5, 10.5), y_range=Range1d(10.5, -0.5),
            x_label="predicted class", y_label="true class",
        )  # fmt: skip
        plot.toolbar.active_scroll = plot.toolbar.active_drag = None
        plot.grid.visible = False
        plot.axis.axis_line_color = plot.axis.major_tick_line_color = None
        cells = plot.rect(
            "x", "y", width=0.96, height=0.96, source=self.cells, line_color=None,
            fill_color={"field": "colour", "transform": self.mapper},
        )  # fmt: skip
        plot.text(
            "x", "y", "text", source=self.cells, text_align="center", text_baseline="middle",
            text_color="ink", text_font={"value": "Inter"}, text_font_size="11px",
        )  # fmt: skip
        tips = [
            ("true", "@true"), ("predicted", "@predicted"), ("examples", "@count{0,0}"),
            ("share", "@share{0.00 %}"),
        ]  # fmt: skip
        plot.add_tools(HoverTool(renderers=[cells], tooltips=tips, visible=False))
        return plot

    def _say(self, words: str) -> None:
        card.retitle(self.root, caption=words)

    def _rows(self) -> Table:
        """For CSV: one row per true class, with a column per predicted one, recall and precision."""
        table = self.query.rows()
        names = ("classes", "confusion", "recall", "precision")
        columns = {name: table.columns[name] for name in names if name in table.columns}
        return Table(columns, {name: table.dims[name] for name in columns}, {})


def _cells(table: Table, kind: str, palette) -> dict[str, list]:
    """One row per cell of the matrix, then recall and precision of every class."""
    counts = np.asarray(table.columns["confusion"])
    names = [str(name) for name in table.columns["classes"]]
    many = len(names) > MOST_TEXTS
    cells: dict[str, list] = {name: [] for name in CELL}

    def add(x, y, true, predicted, count, share, text) -> None:
        colour = float(np.sqrt(share)) if share > 0 else np.nan
        ink = palette.card if colour > 0.6 else palette.ink
        row = (x, y, true, predicted, int(count), float(share), colour, "" if many else text, ink)
        for name, value in zip(CELL, row, strict=True):
            cells[name].append(value)

    sums = counts.sum(axis=1)
    for true, name in enumerate(names):
        for predicted, other in enumerate(names):
            count = counts[true, predicted]
            share = count / sums[true] if sums[true] else np.nan
            text = f"{count:,}" if kind == "count" else _percent(share)
            add(predicted, true, name, other, count, share, text if count else "")
    end = len(names) + ASIDE
    for at, name in enumerate(names):
        recall, precision = (float(table.columns[key][at]) for key in ("recall", "precision"))
        add(end, at, name, "any (recall)", sums[at], recall, _percent(recall))
        add(at, end, "any (precision)", name, counts[:, at].sum(), precision, _percent(precision))
    return cells


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if np.isfinite(share) else "–"
