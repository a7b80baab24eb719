"""Two aligned figures: the error and the accuracy along the line, one curve per run.

Both ends of the line are marked; between them lies what the straight path crosses, outside them where
the training would go on to.
"""

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJSTickFormatter,
    HoverTool,
    LegendItem,
    Range1d,
    Span,
)

from gdlab.analysis import steps
from server.ui import figures, legend

WIDE = 30.0  # errors whose largest is so many times the smallest ask for a logarithmic axis
EMPTY: dict = {"a": [], "loss": [], "accuracy": [], "run": []}
TIPS = [("run", "@run"), ("a", "@a{0.0000}"), ("error", "@loss{%.6g}")]


class LinePlot:
    """loss, accuracy: the figures; x_range, loss_range: shared with the layers' figures."""

    def __init__(self, context, names, labels: list[str], *, accuracy: bool):
        self.context, self.names = context, tuple(names)
        self.x_range = Range1d(-0.25, 1.25, name="line_x")
        self.loss_range = Range1d(0.1, 1, name="line_loss_y")
        self.accuracy_range = Range1d(0, 1.02, name="line_accuracy_y")
        self.sources = [
            ColumnDataSource(dict(EMPTY), name=f"line_curve_{index}") for index in range(len(self.names))
        ]
        self.ends = [
            ColumnDataSource(dict(EMPTY), name=f"line_ends_{index}") for index in range(len(self.names))
        ]
        self.loss = self._figure("loss", self.loss_range, "error", 270 if accuracy else 380)
        self.accuracy = self._figure("accuracy", self.accuracy_range, "accuracy", 170)
        self.accuracy.visible = accuracy
        percent(self.accuracy)
        self._lines: list[tuple] = []
        for index, label in enumerate(labels):
            self._add(index, label)
        if len(labels) > 1:
            self._legend(labels)
        figures.crosshair(context, self.loss, self.accuracy, name="line_crosshair")
        self.loss.visible = self.accuracy.visible = False  # until there is a curve
        self.colour()

    @property
    def figures(self) -> list:
        """Top to bottom."""
        return [self.loss, self.accuracy]

    def colour(self) -> None:
        """The runs' colours, as they are now."""
        for name, renderers in zip(self.names, self._lines, strict=True):
            colour = self.context.colour(name)
            for renderer in renderers:
                renderer.glyph.line_color = colour
                if hasattr(renderer.glyph, "fill_color"):
                    renderer.glyph.fill_color = colour

    def draw(self, index: int, label: str, alpha, curve) -> None:
        """One run's curve; curve: (loss [A], accuracy [A], distance), or None where there is none."""
        if curve is None:
            self.sources[index].data, self.ends[index].data = dict(EMPTY), dict(EMPTY)
            return
        loss, accuracy, _ = curve
        shown = np.where(np.isfinite(loss), loss, np.nan)
        columns = {"a": alpha, "loss": shown, "accuracy": accuracy, "run": [label] * len(alpha)}
        at = np.flatnonzero(np.isin(alpha, (0.0, 1.0)))
        self.sources[index].data = columns
        self.ends[index].data = {name: [values[i] for i in at] for name, values in columns.items()}

    def limits(self, span: tuple[float, float]) -> None:
        """The whole range of a."""
        margin = 0.02 * (span[1] - span[0])
        self.x_range.update(start=span[0] - margin, end=span[1] + margin)

    def scale(self, values, log: bool | None) -> bool:
        """Error axes that hold these values; log None: what suits them. Returns whether it is logarithmic."""
        return fit(self.loss, self.loss_range, values, log)

    # -- parts ------------------------------------------------------------------------------------

    def _figure(self, name: str, y_range: Range1d, label: str, height: int):
        plot = figures.figure(
            f"line_{name}",
            height=height,
            x_range=self.x_range,
            y_range=y_range,
            x_label="a",
            y_label=label,
            toolbar=True,
        )
        mark_ends(self.context, plot)
        return plot

    def _add(self, index: int, label: str) -> None:
        drawn: list = []
        for plot, column in ((self.loss, "loss"), (self.accuracy, "accuracy")):
            line = plot.line("a", column, source=self.sources[index], line_width=1.75)
            line.hover_glyph = line.nonselection_glyph = None
            dots = plot.scatter("a", column, source=self.ends[index], size=8)
            self.context.paint(dots.glyph, line_color="card")
            tips = [*TIPS, ("accuracy", "@accuracy{0.00 %}")] if self.accuracy.visible else TIPS
            hover = HoverTool(renderers=[line], tooltips=tips[0 if len(self.names) > 1 else 1 :])
            hover.formatters, hover.mode, hover.visible = {"@loss": "printf"}, "vline", False
            plot.add_tools(hover)
            drawn += [line, dots]
        self._lines.append(tuple(drawn))

    def _legend(self, labels: list[str]) -> None:
        items = [
            LegendItem(label={"value": label}, renderers=list(renderers))
            for label, renderers in zip(labels, self._lines, strict=True)
        ]
        legend.above(self.context, self.loss, items, name="line_legend")


def mark_ends(context, plot) -> None:
    """Vertical lines at both ends of the line."""
    for at in (0.0, 1.0):
        mark = Span(location=at, dimension="height", line_width=1, line_dash="dashed", level="underlay")
        context.paint(mark, line_color="descent")
        plot.add_layout(mark)


def fit(plot, limits: Range1d, values, log: bool | None) -> bool:
    """Scale and limits of a figure's error axis; returns whether it is logarithmic."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    positive = bool(values.size) and bool(values.min() > 0)
    wide = positive and values.max() > WIDE * values.min()
    log = positive and (wide if log is None else log)
    low, high = steps.view_range(values, "log" if log else "linear")
    if log:  # a log axis must never see limits that hold 0
        limits.update(start=low, end=high)
    figures.set_scale(plot, "y", "log" if log else "linear")
    limits.update(start=low, end=high)
    return log


def percent(plot) -> None:
    """Shares as per cent on the y axis."""
    plot.yaxis[0].formatter = CustomJSTickFormatter(code="return (100 * tick).toFixed(0) + ' %'")
