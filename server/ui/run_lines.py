"""A figure with a line per run: the same colours, legend and hover wherever several runs are compared.

One run may have several lines in a figure (such as validation and training), which share its colour and
differ in their dashes.
"""

from collections.abc import Sequence

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    GlyphRenderer,
    HoverTool,
    LegendItem,
    LinearAxis,
    LinearScale,
    LogScale,
    Range1d,
)

from gdlab.analysis import steps
from gdlab.records import Table
from server.ui import figures, legend

COLUMNS = ("x", "y", "value", "k", "run", "what")
SECOND = "second"
RIGHT = 62  # px, border of a figure whose second axis is shown


class RunLines:
    """figure; sources {(key, run): ColumnDataSource with the columns in COLUMNS}.

    key: one of the kinds of line that `add` made; y is the value as drawn, `value` as it is. linear: the
    value axis stays linear whatever the viewport's is.
    """

    def __init__(
        self,
        context,
        viewport,
        name: str,
        *,
        label: str,
        height: int,
        runs: Sequence[str],
        linear: bool = False,
    ):
        self.context, self.viewport, self.name, self.runs = context, viewport, name, tuple(runs)
        self.linear = linear
        self.sources: dict[tuple[str, str], ColumnDataSource] = {}
        self._renderers: dict[tuple[str, str], GlyphRenderer] = {}
        self._on_second: set[str] = set()
        self.y_range, self.second_range = Range1d(0.1, 1), Range1d(0.1, 1)
        self.figure = figures.figure(
            f"{name}_figure",
            height=height,
            x_range=viewport.x_range,
            y_range=self.y_range,
            x_label="iteration",
            y_label=label,
        )
        self.figure.min_border_bottom = 40
        context.on("colour", lambda run: self._colour())
        context.on("theme", self._colour)

    def add(self, key: str, what: str, *, dash: str = "solid", second: bool = False) -> None:
        """A line for each run. what: its name in the tip; second: on the axis that `second_axis` made."""
        place = {"y_range_name": SECOND} if second else {}
        if second:
            self._on_second.add(key)
        for index, run in enumerate(self.runs):
            empty = {name: [] for name in COLUMNS}
            source = ColumnDataSource(empty, name=f"{self.name}_{key}_{index}")
            line = self.figure.line(
                "x", "y", source=source, line_width=1.25 if second else 1.75, line_dash=dash,
                line_alpha=0.95 if dash == "solid" else 0.75, **place,
            )  # fmt: skip
            line.glyph.line_join, line.muted_glyph = "round", None
            line.hover_glyph = line.glyph.clone()
            line.hover_glyph.line_width, line.hover_glyph.line_alpha = 3.5, 1.0
            self.sources[key, run], self._renderers[key, run] = source, line
        tips = [("run", "@run"), ("iteration", "@k{0,0}"), (what, "@value{%.5g}")]
        hover = HoverTool(
            renderers=[self._renderers[key, run] for run in self.runs],
            tooltips=tips,
            formatters={"@value": "printf"},
            line_policy="nearest",
            visible=False,
        )
        self.figure.add_tools(hover)
        self._colour()

    def second_axis(self, label: str) -> None:
        """An axis on the right with limits of its own; before the `add` of its lines."""
        self.figure.extra_y_ranges = {SECOND: self.second_range}
        self.figure.extra_y_scales = {SECOND: LogScale()}
        self._second = LinearAxis(y_range_name=SECOND, axis_label=label)
        figures.set_ticks(self._second, "log")
        self.figure.add_layout(self._second, "right")

    def legend(self) -> None:
        """Names of the runs above the frame; a click hides a run."""
        items = [
            LegendItem(
                label={"value": self.context.short_label(run)},
                renderers=[line for (_, other), line in self._renderers.items() if other == run],
            )
            for run in self.runs
        ]
        legend.above(self.context, self.figure, items, name=f"{self.name}_legend")

    def show(self, key: str, run: str, x, value, k=None) -> None:
        """Draws values [n] of a run at the positions x [n]; k: their iterations, by default x."""
        value = np.asarray(value, float)
        y = value if key in self._on_second else self._apply(value)
        what = [self.context.short_label(run)] * len(value)
        k = np.asarray(x if k is None else k, float)
        data = {
            "x": np.asarray(x, float),
            "y": y,
            "value": value,
            "k": k,
            "run": what,
            "what": [key] * len(value),
        }
        self.sources[key, run].data = data

    def show_second(self, shown: bool) -> None:
        """Whether the second axis is there; its lines are emptied by `show`."""
        self._second.visible = shown
        self.figure.min_border_right = RIGHT if shown else figures.RIGHT

    def fit(self, *extra: float) -> None:
        """Fits the axes to what is drawn; extra: values that the first must hold too."""
        scale = self._scale
        drawn = self._drawn(second=False)
        shown = self._apply(np.concatenate([drawn, extra])) if drawn.size else drawn
        low, high = steps.view_range(shown, "log" if scale == "log" else "linear")
        self.y_range.update(start=low, end=high)
        if scale == "symlog":
            figures.set_scale(
                self.figure, "y", "fixed", steps.symlog_ticks(low, high, self.viewport.threshold)
            )
        else:
            _set_ticks(self.figure.yaxis[0], scale, low, high)
            self.figure.ygrid.ticker = self.figure.yaxis[0].ticker
        if self._on_second:
            self._fit_second(self._drawn(second=True))

    def rescale(self, x_label: str, label: str) -> None:
        """Follows a change of the x axis or of the scale."""
        scale = self._scale
        self.figure.xaxis.axis_label = x_label
        self.figure.yaxis[0].axis_label = f"{label} (symlog)" if scale == "symlog" else label
        figures.set_scale(self.figure, "y", "linear" if scale == "symlog" else scale)
        figures.set_scale(self.figure, "x", self.viewport.x_scale)

    def table(self, keys: Sequence[str]) -> Table:
        """What is drawn, for CSV: run, line, iteration, value."""
        parts = [(run, key, self.sources[key, run].data) for key in keys for run in self.runs]
        columns = {
            "run": np.concatenate([np.full(len(data["x"]), run, object) for run, _, data in parts]),
            "line": np.concatenate([np.full(len(data["x"]), key, object) for _, key, data in parts]),
            "iteration": np.concatenate([np.asarray(data["k"], float) for _, _, data in parts]),
            "value": np.concatenate([np.asarray(data["value"], float) for _, _, data in parts]),
        }
        return Table(columns, dict.fromkeys(columns, ("point",)), {})

    # -- private ----------------------------------------------------------------------------------

    @property
    def _scale(self) -> str:
        return "linear" if self.linear else self.viewport.scale

    def _apply(self, values):
        return values if self.linear else self.viewport.apply(values)

    def _drawn(self, *, second: bool) -> np.ndarray:
        parts = [
            np.asarray(source.data["value"], float)
            for (key, _), source in self.sources.items()
            if (key in self._on_second) == second
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def _fit_second(self, values) -> None:
        log = self.viewport.scale != "linear" and steps.axis_scale(values) == "log"
        wanted = LogScale if log else LinearScale
        if type(self.figure.extra_y_scales[SECOND]) is not wanted:
            self.figure.extra_y_scales = {SECOND: wanted()}
            figures.set_ticks(self._second, "log" if log else "linear")
        low, high = steps.view_range(values, "log" if log else "linear")
        self.second_range.update(start=low, end=high)
        _set_ticks(self._second, "log" if log else "linear", low, high)

    def _colour(self) -> None:
        for (_, run), line in self._renderers.items():
            line.glyph.line_color = line.hover_glyph.line_color = self.context.colour(run)


def _set_ticks(axis, kind: str, low: float, high: float) -> None:
    """On a logarithmic axis ticks that suit its limits, which only the server changes."""
    if kind == "log":
        ticks = figures.log_ticks(low, high)
        if not isinstance(axis.ticker, FixedTicker) or list(axis.ticker.ticks) != ticks:
            axis.ticker = FixedTicker(ticks=ticks, minor_ticks=[])
    elif isinstance(axis.ticker, FixedTicker):
        figures.set_ticks(axis, kind)
