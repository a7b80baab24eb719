"""Data and codes of a dimension-reducing network: the plane's points, and the histogram of their codes.

Becker 2019, Figure 5. Shown for every run whose network maps its examples to one number.
"""

import numpy as np
from bokeh.models import ColumnDataSource, Legend, LegendItem, Range1d

from gdlab.records import Table
from server.core.context import Context, View
from server.ui import card, figures
from server.ui.query import CardQuery
from server.views.curve.page import page

BINS = 60
MOST_RUNS = 6  # as many as the page Compare shows


def build(context: Context) -> View:
    """One card per selected run that has one-dimensional codes, at most six."""
    cards = [
        _Codes(context, run_name, index)
        for index, run_name in enumerate(context.selected[:MOST_RUNS])
        if _has_codes(context.run(run_name))
    ]
    if not cards:
        return View(card.box(context, classes=["gd-none"], visible=False, name="galaxy"), lambda: None)
    roots = [one.root for one in cards]

    def update() -> None:
        for one in cards:
            one.update()

    root = card.box(context, *roots, classes=["gd-grid", "gd-span-12"], name="galaxy")
    return View(root, update)


def _has_codes(run) -> bool:
    """Whether the run's network reduces its data to one number: a model with a code of size 1."""
    one = (run.config.get("model") or {}).get("code") == 1
    problem = run.config.get("problem") or {}
    return one and problem.get("_target_") != "gdlab.problems.reconstruction"


class _Codes:
    def __init__(self, context: Context, run_name: str, index: int):
        self.context, self.run_name, self.name = context, run_name, f"galaxy_{index}"
        self.query = CardQuery(context, self._arrived, self._say, name=self.name)
        self.classes: list[tuple[ColumnDataSource, ColumnDataSource]] = []
        self.scatter, self.histogram = self._figures()
        self.pair = card.row(
            context, self.scatter, self.histogram, classes=["gd-pair"], sizing_mode="stretch_width"
        )
        self.query.layouts = [self.pair]
        body = card.box(context, self.pair, self.query.progress.root, classes=["gd-body"])
        page(context).style(body, self.pair)
        title = "Data and codes"
        if len(context.selected) > 1:
            title += f": {run_name}"
        self.root = card.card(
            context,
            title,
            "",
            body,
            read="galaxy",
            name=self.name,
            figures=[self.scatter, self.histogram],
            csv=self.query.rows,
            span=12 if len(context.selected) == 1 else 6,
        )
        context.on("iteration", lambda k: self.update())
        self.update()

    def update(self) -> None:
        """The codes follow the chosen iteration; without one they are those of the last."""
        run, k = self.context.run(self.run_name), self.context.iteration
        last = run.rows("scalars")
        at = last if k is None else min(k, last)
        self.query.probe(run, "codes", {"iteration": at}, f"Codes at iteration {at:,}")

    def _say(self, words: str) -> None:
        card.retitle(self.root, caption=words)

    def _arrived(self, table: Table) -> None:
        code, label, x = (table.columns[name] for name in ("code", "label", "x"))
        names = np.unique(label)
        while len(self.classes) < len(names):
            self._add_class(len(self.classes), str(names[len(self.classes)]))
        edges = np.histogram_bin_edges(code[np.isfinite(code)], BINS)
        highest = 1
        for (points, bars), name in zip(self.classes, names, strict=False):
            mine = label == name
            counts = np.histogram(code[mine], edges)[0]
            highest = max(highest, counts.max())
            points.data = {"x": x[mine, 0], "y": x[mine, 1]} if x.shape[1] == 2 else {"x": [], "y": []}
            bars.data = {"left": edges[:-1], "right": edges[1:], "top": counts}
        self._limits(x, edges, highest)
        accuracy = table.attrs.get("accuracy", float("nan"))
        words = f"Codes at iteration {table.attrs['iteration']:,}."
        if np.isfinite(accuracy):
            words += f" Two thresholds tell {100 * accuracy:.1f} % of the examples apart."
        self._say(words)

    def _limits(self, x, edges, highest) -> None:
        self.scatter.visible = x.shape[1] == 2
        if x.shape[1] == 2:
            for range_, values in ((self.scatter.x_range, x[:, 0]), (self.scatter.y_range, x[:, 1])):
                margin = 0.04 * np.ptp(values)
                range_.update(start=float(values.min() - margin), end=float(values.max() + margin))
        self.histogram.x_range.update(start=float(edges[0]), end=float(edges[-1]))
        self.histogram.y_range.update(start=0, end=1.05 * float(highest))

    def _figures(self):
        ranges = [Range1d(0, 1) for _ in range(4)]
        scatter = figures.figure(
            f"{self.name}_scatter",
            height=280,
            x_range=ranges[0],
            y_range=ranges[1],
            x_label="x₁",
            y_label="x₂",
            zoom="both",
        )
        histogram = figures.figure(
            f"{self.name}_histogram",
            height=280,
            x_range=ranges[2],
            y_range=ranges[3],
            x_label="code",
            y_label="examples",
        )
        figures.set_scale(histogram, "y", "count")
        for plot in (scatter, histogram):
            plot.min_border_top = 34  # room for the legend, so that the frames align
        return scatter, histogram

    def _add_class(self, index: int, label: str) -> None:
        points = ColumnDataSource({"x": [], "y": []}, name=f"{self.name}_points_{index}")
        bars = ColumnDataSource({"left": [], "right": [], "top": []}, name=f"{self.name}_bars_{index}")
        self.classes.append((points, bars))
        dots = self.scatter.scatter("x", "y", source=points, size=4, line_color=None, fill_alpha=0.8)
        drawn = self.histogram.quad(
            left="left", right="right", top="top", bottom=0, source=bars, fill_alpha=0.65, line_color=None
        )

        def colour(palette) -> str:
            return palette.categories[index % len(palette.categories)]

        self.context.paint(dots.glyph, fill_color=colour)
        self.context.paint(drawn.glyph, fill_color=colour)
        item = LegendItem(label={"value": f"class {label}"}, renderers=[drawn])
        if self.histogram.legend:
            self.histogram.legend[0].items = [*self.histogram.legend[0].items, item]
        else:
            legend = Legend(items=[item], location="top_right", orientation="horizontal")
            self.context.paint(legend, background_fill_color="card")
            self.histogram.add_layout(legend, "above")
