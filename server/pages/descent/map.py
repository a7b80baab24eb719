"""The error function as a map with contours and the path on it, for problems of two parameters.

The colours follow the logarithm of the error where it is positive, since a descent crosses many orders
of magnitude. Becker 2019, Figure 2 (a).
"""

import numpy as np
from bokeh.events import Tap
from bokeh.models import BasicTicker, ColorBar, ColumnDataSource, HoverTool, LinearColorMapper, Range1d

from gdlab.records import Table
from server.core.context import Context, View
from server.ui import card, figures
from server.ui.query import Query
from server.views.curve.page import page

RESOLUTION = 201
CONTOURS = 14
MOST_POINTS = 4000


def build(context: Context) -> View:
    """The map of the (first) run; nothing where it does not have two parameters."""
    run = context.run(context.selected[0])
    if "path" not in run.arrays or run.array("path", 0, 0).shape[1] != 2:
        return View(card.box(context, classes=["gd-none"], visible=False, name="map"), lambda: None)
    return _Map(context).view


class _Map:
    def __init__(self, context: Context):
        self.context, self.run_name = context, context.selected[0]
        self.query = Query(
            context, self._arrived, name="map", failed=lambda why: self._say("There is no map."),
            cancelled=lambda: self._say("The map was cancelled."),
        )  # fmt: skip
        self.image = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []}, name="map_image")
        self.lines = ColumnDataSource({"xs": [], "ys": []}, name="map_contours")
        self.path = ColumnDataSource({"x": [], "y": [], "iteration": [], "loss": []}, name="map_path")
        self.chosen = ColumnDataSource({"x": [], "y": []}, name="map_chosen")
        self.mapper = LinearColorMapper(palette=list(context.palette.magnitudes), low=0, high=1)
        self.figure = self._figure()
        body = card.box(context, self.figure, self.query.progress.root, classes=["gd-body"])
        page(context).style(body)
        self.root = card.card(
            context,
            "Path on the error function" + (f": {self.run_name}" if len(context.selected) > 1 else ""),
            "",
            body,
            name="map",
            figures=[self.figure],
            csv=self._csv,
            span=6,
        )
        context.on("iteration", lambda k: self._choose())
        context.on("theme", self._theme)
        self.view = View(self.root, self.update)
        self.update()
        self._ask()

    def _figure(self):
        ranges = Range1d(0, 1, name="map_x"), Range1d(0, 1, name="map_y")
        plot = figures.figure(
            "map_figure",
            height=380,
            x_range=ranges[0],
            y_range=ranges[1],
            x_label="θ₁",
            y_label="θ₂",
            zoom="both",
            toolbar=True,
            visible=False,  # until there is a map
        )
        plot.ygrid.grid_line_color = None
        plot.image("image", x="x", y="y", dw="dw", dh="dh", source=self.image, color_mapper=self.mapper)
        bar = self.bar = ColorBar(
            color_mapper=self.mapper, width=8, padding=6, location=(0, 0), name="map_bar"
        )
        bar.ticker, bar.major_label_text_font_size = BasicTicker(desired_num_ticks=6), "11px"
        bar.bar_line_color = bar.major_tick_line_color = bar.background_fill_color = None
        self.context.paint(bar, major_label_text_color="muted")
        plot.add_layout(bar, "right")
        contours = plot.multi_line("xs", "ys", source=self.lines, line_width=0.8, line_alpha=0.35)
        track = plot.line("x", "y", source=self.path, line_width=1.25, line_alpha=0.8)
        dots = plot.scatter("x", "y", source=self.path, size=6, line_width=0.75)
        ring = plot.scatter("x", "y", source=self.chosen, size=14, line_width=2)
        ring.glyph.fill_color = None
        self.context.paint(contours.glyph, line_color="ink")
        self.context.paint(track.glyph, line_color="ink")
        self.context.paint(dots.glyph, fill_color="dot", line_color="ink")
        self.context.paint(ring.glyph, line_color="ink")
        tips = [("iteration", "@iteration"), ("error", "@loss{%.6g}"), ("θ", "(@x{%.6g}, @y{%.6g})")]
        printf = dict.fromkeys(("@loss", "@x", "@y"), "printf")
        plot.add_tools(HoverTool(renderers=[dots], tooltips=tips, formatters=printf, visible=False))
        plot.on_event(Tap, self._tapped)
        return plot

    # -- path -------------------------------------------------------------------------------------

    def update(self) -> None:
        """The path as far as it has been recorded; long paths are thinned to every n-th point."""
        run = self.context.run(self.run_name)
        count = run.rows("path")
        stride = max(1, -(-count // MOST_POINTS))
        steps = np.asarray(run.array("path_step"))[::stride]
        points = np.asarray(run.array("path"), float)[::stride]
        loss = run.table("steps", columns=["loss"]).columns["loss"]
        known = steps < len(loss)
        self.path.data = {
            "x": points[known, 0],
            "y": points[known, 1],
            "iteration": steps[known],
            "loss": loss[steps[known]],
        }
        self._choose()

    def _tapped(self, event) -> None:
        data = self.path.data
        if event.x is None or not len(data["x"]):
            return
        x, y = self.figure.x_range, self.figure.y_range
        distance = ((data["x"] - event.x) / (x.end - x.start)) ** 2
        distance += ((data["y"] - event.y) / (y.end - y.start)) ** 2
        last = self.context.run(self.run_name).rows("scalars") - 1
        self.context.iteration = int(min(data["iteration"][int(np.argmin(distance))], last))

    def _choose(self) -> None:
        k, data = self.context.iteration, self.path.data
        at = np.flatnonzero(np.asarray(data["iteration"]) == k) if k is not None else []
        self.chosen.data = {"x": np.asarray(data["x"])[at], "y": np.asarray(data["y"])[at]}

    # -- map --------------------------------------------------------------------------------------

    def _ask(self) -> None:
        self._say("The map is being computed.")
        self.query.probe(
            self.context.run(self.run_name), "landscape", {"resolution": RESOLUTION}, "Error map"
        )

    def _arrived(self, table: Table) -> None:
        x, y, value = (table.columns[name] for name in ("x", "y", "value"))
        shown, unit = _shade(value)
        finite = shown[np.isfinite(shown)]
        if not finite.size:
            self._say("The error is finite nowhere around the path: there is nothing to map.")
            return
        figures.fit_bar(self.mapper, self.bar, float(finite.min()), float(finite.max()))
        self.figure.visible = True
        half_x, half_y = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
        self.image.data = {
            "image": [shown.astype(np.float32)],
            "x": [x[0] - half_x],
            "y": [y[0] - half_y],
            "dw": [x[-1] - x[0] + 2 * half_x],
            "dh": [y[-1] - y[0] + 2 * half_y],
        }
        self.lines.data = _contours(x, y, shown)
        self.figure.x_range.update(start=x[0], end=x[-1], bounds=(x[0], x[-1]))
        self.figure.y_range.update(start=y[0], end=y[-1], bounds=(y[0], y[-1]))
        if not self.bar.visible:
            unit = f"The error is {float(value[np.isfinite(value)][0]):.6g} everywhere around the path."
        self._say(f"{unit} Tap a dot for its line search.")

    def _say(self, words: str) -> None:
        card.retitle(self.root, caption=words)

    def _theme(self) -> None:
        self.mapper.palette = list(self.context.palette.magnitudes)

    def _csv(self) -> Table:
        """The path; the map is an image of its own."""
        columns = {name: np.asarray(values) for name, values in self.path.data.items()}
        return Table(columns, dict.fromkeys(columns, ("iteration",)), {})


def _shade(value) -> tuple[np.ndarray, str]:
    """What the colours show, and how to say it: the logarithm of the error where it is positive."""
    finite = value[np.isfinite(value)]
    if finite.size and finite.min() > 0:
        return np.log10(value), "Colours and contours: log₁₀ of the error."
    low = float(finite.min()) if finite.size else 0.0
    with np.errstate(over="ignore"):
        return np.log10(1.0 + (value - low)), "Colours and contours: log₁₀(1 + error above the lowest)."


def _contours(x, y, shown) -> dict:
    """Contour lines at evenly spaced levels of what is shown."""
    from contourpy import contour_generator

    finite = shown[np.isfinite(shown)]
    levels = np.linspace(finite.min(), finite.max(), CONTOURS + 2)[1:-1]
    generator = contour_generator(x, y, np.ma.masked_invalid(shown))
    found = [np.asarray(line) for level in levels for line in generator.lines(level)]
    return {"xs": [line[:, 0] for line in found], "ys": [line[:, 1] for line in found]}
