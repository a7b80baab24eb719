"""Each layer alone on the line: one small figure per layer, all with the same axes.

The other layers stay at the line's end, so that a curve shows what the training of this one layer is
worth. Kuchta 2023, section 4.2.
"""

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d

from gdlab.records import Table
from server.pages.line.plot import LinePlot, fit, mark_ends, percent
from server.pages.line.requests import WHOLE, RunLine
from server.ui import card, figures, sheets
from server.ui.choices import Choice, button

MOST = 12  # figures shown at once: they are dear, so a deeper network is turned over in pages
MEASURES = {"loss": "error", "accuracy": "accuracy"}
EMPTY: dict = {"a": [], "y": [], "run": []}


class _Facet:
    """One layer's figure: a curve per run, and behind it that of the whole network."""

    def __init__(self, context, index: int, plot: LinePlot, y_range: Range1d):
        self.context, self.names = context, plot.names
        self.figure = figures.figure(
            f"line_layer_{index}", height=170, x_range=plot.x_range, y_range=y_range, title=" ", min_width=200
        )
        self.figure.toolbar.active_scroll = None  # small figures must not catch the wheel of the page
        self.figure.title.text_font_style, self.figure.title.standoff = "bold", 2
        self.figure.min_border_left, self.figure.min_border_right = 46, 8
        mark_ends(context, self.figure)
        self.sources, self.wholes, self.lines = [], [], []
        for run in range(len(self.names)):
            whole = ColumnDataSource(dict(EMPTY), name=f"line_layer_{index}_whole_{run}")
            mine = ColumnDataSource(dict(EMPTY), name=f"line_layer_{index}_curve_{run}")
            behind = self.figure.line("a", "y", source=whole, line_width=1, line_dash=[4, 3])
            context.paint(behind.glyph, line_color="descent")
            line = self.figure.line("a", "y", source=mine, line_width=1.75)
            tips = [("run", "@run"), ("a", "@a{0.0000}"), ("value", "@y{%.6g}")]
            hover = HoverTool(renderers=[line], tooltips=tips[0 if len(self.names) > 1 else 1 :])
            hover.mode, hover.visible, hover.formatters = "vline", False, {"@y": "printf"}
            self.figure.add_tools(hover)
            self.sources.append(mine)
            self.wholes.append(whole)
            self.lines.append(line)

    def colour(self) -> None:
        for name, line in zip(self.names, self.lines, strict=True):
            line.glyph.line_color = self.context.colour(name)


class Layers:
    """The card of the layers."""

    def __init__(self, context, plot: LinePlot, labels: list[str], *, accuracy: bool, sheet):
        self.context, self.plot, self.labels = context, plot, labels
        self.log = False
        self.first = 0
        self.y_range = Range1d(0, 1, name="line_layers_y")
        self.facets: list[_Facet] = []
        self.runs: dict[str, RunLine] = {}
        self.measure = Choice(
            context, "line_measured", "loss", MEASURES if accuracy else ["loss"],
            help="What is shown along the line", changed=lambda value: self.draw(self.runs, self.log),
        )  # fmt: skip
        self.stack = card.box(context, classes=["gd-multiples"], name="line_layers_stack")
        self.more = button(context, "", "line_more", "Other layers", self._turn, visible=False)
        body = card.box(context, self.stack, self.more, classes=["gd-body"])
        sheets.wear(sheet, body, self.stack)
        self.root = card.card(
            context,
            "Each layer alone",
            "",
            body,
            read="line",
            name="line_layers",
            figures=[self.stack],
            csv=self.table,
            controls=[self.measure.select("line_measure", width=110)] if accuracy else [],
        )

    @property
    def names(self) -> list[str]:
        """The layers that have come, in the order of the network."""
        return list(dict.fromkeys(c for line in self.runs.values() for c in line.curves if c != WHOLE))

    def draw(self, runs: dict[str, RunLine], log: bool) -> None:
        """Shows the layers of these runs, as far as they have come; log: on a logarithmic error axis."""
        self.runs, self.log = runs, log
        names = self.names
        if self.first >= len(names):
            self.first = 0
        shown = names[self.first : self.first + MOST]
        self._make(len(shown))
        for facet, layer in zip(self.facets, shown, strict=False):
            self._fill(facet, layer)
        self._fit(shown)
        self.more.visible = len(names) > MOST
        last = min(self.first + MOST, len(names))
        self.more.label = f"Layers {self.first + 1} to {last} of {len(names)}: show the next"
        self.root.visible = bool(names) or any(not line.layers and not line.trouble for line in runs.values())
        card.retitle(self.root, caption=self._words(names))

    def colour(self) -> None:
        """The runs' colours, as they are now."""
        for facet in self.facets:
            facet.colour()

    def table(self) -> Table:
        """For CSV: one row per run, layer and position."""
        rows = [
            (label, layer, a, loss, accuracy)
            for label, line in zip(self.labels, self.runs.values(), strict=False)
            for layer, (losses, accuracies, _) in line.curves.items()
            for a, loss, accuracy in zip(line.alpha, losses, accuracies, strict=True)
        ]
        names = ("run", "layer", "a", "loss", "accuracy")
        columns = {name: np.array([row[at] for row in rows]) for at, name in enumerate(names)}
        return Table(columns, dict.fromkeys(columns, ("point",)), {})

    # -- private ----------------------------------------------------------------------------------

    def _make(self, count: int) -> None:
        while len(self.facets) < count:
            facet = _Facet(self.context, len(self.facets), self.plot, self.y_range)
            facet.colour()
            self.facets.append(facet)
        wanted = [facet.figure for facet in self.facets]
        if self.stack.children != wanted:
            self.stack.children = wanted
        for index, facet in enumerate(self.facets):
            facet.figure.visible = index < count

    def _fill(self, facet: _Facet, layer: str) -> None:
        at = list(MEASURES).index(self.measure.value)
        facet.figure.title.text = layer
        for index, (label, line) in enumerate(zip(self.labels, self.runs.values(), strict=True)):
            for source, curve in ((facet.sources[index], layer), (facet.wholes[index], WHOLE)):
                if curve in line.curves:
                    y = line.curves[curve][at]
                    y = np.where(np.isfinite(y), y, np.nan)
                    source.data = {"a": line.alpha, "y": y, "run": [label] * len(y)}
                else:
                    source.data = dict(EMPTY)

    def _fit(self, shown: list[str]) -> None:
        if self.measure.value == "accuracy":
            self.y_range.update(start=0.0, end=1.02)
            for facet in self.facets:
                figures.set_scale(facet.figure, "y", "linear")
                percent(facet.figure)
            return
        known = [line.curves for line in self.runs.values()]
        values = [curves[name][0] for curves in known for name in (WHOLE, *shown) if name in curves]
        for facet in self.facets:
            facet.figure.yaxis[0].tags = []  # whatever formatter the other measure has left
            fit(facet.figure, self.y_range, np.concatenate(values or [np.empty(0)]), self.log)

    def _words(self, names: list[str]) -> str:
        if not names:
            return "The layers come after the whole network."
        words = "One layer moves along the line, all others stay at its end. Dashed: the whole network."
        come = [line.layers or line.trouble for line in self.runs.values()]
        return words if all(come) else f"{words} More layers are being computed."

    def _turn(self) -> None:
        self.first = self.first + MOST if self.first + MOST < len(self.names) else 0
        self.draw(self.runs, self.log)
