"""The error of the whole network over the dumps, with the stages of the learning rate."""

import numpy as np
from bokeh.events import DoubleTap, Tap
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Legend,
    LegendItem,
    Line,
    LinearAxis,
    LogScale,
    NumeralTickFormatter,
    Range1d,
    Segment,
    VSpan,
)

from gdlab.records import Table
from server.pages.tracker.classes.chart import BESIDE, SIDE
from server.ui import figures

COLUMNS = ("x", "iteration", "validation", "training", "rate")
LINES = ("training", "validation")
HEIGHT = 176  # px
MOST_LEVELS = 5  # learning rates that have a tick each; of more, round numbers have


class Errors:
    """figure; sources classes_errors_source (one row per dump), classes_stages_source (one row per stage)."""

    def __init__(self, context, tracker, tapped):
        self.context, self.tracker = context, tracker
        self.errors = ColumnDataSource({name: [] for name in COLUMNS}, name="classes_errors_source")
        self.stages = ColumnDataSource({n: [] for n in ("x0", "x1", "rate")}, name="classes_stages_source")
        self.dumps = ColumnDataSource({"x": []}, name="classes_marked_source")
        self.y_range = Range1d(0, 1, name="classes_errors_y")
        self.rates = Range1d(0.1, 1, name="classes_rate_y")
        self.log = False
        self.figure = self._figure()
        self._draw()
        self.figure.on_event(Tap, lambda event: tapped(event.x, bool((event.modifiers or {}).get("shift"))))
        self.figure.on_event(DoubleTap, lambda event: tracker.reset())
        self.update()

    def update(self) -> None:
        """Draws the dumps there are now."""
        dumps, scalars = self.tracker.dumps, self.tracker.dumps.scalars
        rows = {
            name: 1 - scalars[key]
            for name, key in (("validation", "accuracy"), ("training", "train_accuracy"))
        }
        rate = scalars["learning_rate"]
        self.errors.data = {
            "x": np.arange(self.tracker.count), "iteration": dumps.iteration, "rate": rate, **rows,
        }  # fmt: skip
        self.stages.data = stages(rate)
        self._scale()
        known = rate[np.isfinite(rate) & (rate > 0)]
        self.axis.visible = bool(len(known))
        if len(known):
            low, high = known.min() / 3, known.max() * 3
            self.rates.update(start=low, end=high)
            levels = np.unique(known).tolist()
            ticks = levels if len(levels) <= MOST_LEVELS else figures.log_ticks(low, high)
            self.axis.ticker = FixedTicker(ticks=ticks, minor_ticks=[])

    def toggle_log(self) -> None:
        """Another scale of the errors."""
        self.log = not self.log
        self._scale()

    def select_dumps(self, dumps) -> None:
        """Lines at the selected dumps."""
        self.dumps.data = {"x": list(dumps)}

    def rows(self) -> Table:
        """For CSV: errors and learning rate of every dump."""
        data = {name: np.asarray(self.errors.data[name]) for name in COLUMNS[1:]}
        names = {"validation": "validation_error", "training": "training_error", "rate": "learning_rate"}
        columns = {names.get(name, name): values for name, values in data.items()}
        return Table(columns, dict.fromkeys(columns, ("dump",)), {})

    def _scale(self) -> None:
        values = np.concatenate([self.errors.data[name] for name in ("validation", "training")])
        values = values[np.isfinite(values)]
        top = float(values.max(initial=0.0)) or 1.0
        least = float(values[values > 0].min(initial=top))
        if self.log:
            self.y_range.update(start=least / 1.5, end=top * 1.5)
        figures.set_scale(self.figure, "y", "log" if self.log else "linear")
        if not self.log:
            self.y_range.update(start=0, end=min(1.0, 1.06 * top) if top < 1 else 1.02)
        self.figure.yaxis[0].formatter = NumeralTickFormatter(format="0.[00] %")

    def _figure(self):
        plot = figures.figure(
            "classes_errors_figure", height=HEIGHT, x_range=self.tracker.x_range, y_range=self.y_range,
            y_label="error", x_label="iteration",
        )  # fmt: skip
        plot.update(min_border_left=SIDE, min_border_right=BESIDE)
        plot.xaxis.formatter = self.tracker.formatter
        figures.set_scale(plot, "y", "linear")
        plot.xaxis.ticker.update(min_interval=1, num_minor_ticks=0)
        plot.extra_y_ranges, plot.extra_y_scales = {"rate": self.rates}, {"rate": LogScale()}
        self.axis = LinearAxis(y_range_name="rate", axis_label="learning rate", minor_tick_line_color=None)
        figures.set_ticks(self.axis, "log")
        plot.add_layout(self.axis, "right")
        return plot

    def _draw(self) -> None:
        plot, paint = self.figure, self.context.paint
        steps = Segment(x0="x0", x1="x1", y0="rate", y1="rate", line_width=2)
        figures.draw(plot, self.stages, paint(steps, line_color="descent"), y_range_name="rate")
        lines = []
        for name, place in zip(LINES, (1, 0), strict=True):
            line = paint(
                Line(x="x", y=name, line_width=1.75), line_color=lambda p, at=place: p.categories[at]
            )
            lines.append(figures.draw(plot, self.errors, line, name=f"classes_{name}"))
        items = [LegendItem(label=label, renderers=[line]) for label, line in zip(LINES, lines, strict=True)]
        plot.add_layout(self._legend(items))
        mark = paint(VSpan(x="x", line_width=1.5), line_color="accent")
        figures.draw(plot, self.dumps, mark)
        tips = [
            ("iteration", "@iteration{0,0}"), ("validation error", "@validation{0.00 %}"),
            ("training error", "@training{0.00 %}"), ("learning rate", "@rate{%.3g}"),
        ]  # fmt: skip
        hover = HoverTool(renderers=[lines[1]], tooltips=tips, mode="vline", visible=False)
        hover.formatters = {"@rate": "printf"}
        plot.add_tools(hover)

    def _legend(self, items):
        legend = Legend(items=items, orientation="horizontal", location="top_right", padding=2)
        legend.update(margin=2, spacing=16)
        legend.background_fill_alpha = legend.border_line_alpha = 0
        return legend


def stages(rate) -> dict[str, list]:
    """Segments x0, x1 (positions of dumps) over which the learning rate [D] stays the same."""
    rate = np.asarray(rate, float)
    known = np.flatnonzero(np.isfinite(rate) & (rate > 0))
    if not len(known):
        return {"x0": [], "x1": [], "rate": []}
    new = np.append(True, (np.diff(known) > 1) | (rate[known[1:]] != rate[known[:-1]]))
    first = known[new]
    last = known[np.append(np.flatnonzero(new)[1:] - 1, len(known) - 1)]
    return {"x0": (first - 0.5).tolist(), "x1": (last + 0.5).tolist(), "rate": rate[first].tolist()}
