"""One map: colours, contour lines and the path over them, one unit as long on both axes.

The frame takes the height that the picture asks for, within limits; where it is wider than the picture,
the picture stands in the middle. A zoom stays while the picture is filled in.
"""

import numpy as np
from bokeh.core.properties import value
from bokeh.events import DoubleTap, Tap
from bokeh.models import (
    BoxZoomTool,
    ColorBar,
    ColumnDataSource,
    CustomJS,
    FixedTicker,
    HoverTool,
    Image,
    ImageRGBA,
    LinearColorMapper,
    MultiLine,
    Quad,
    Range1d,
    Scatter,
    Segment,
    Text,
)

from server.pages.surface import picture
from server.ui import figures

BAR = 72  # px, room for the bar whatever its labels, so that the frames of several maps align
LOWEST, HIGHEST = 300, 460  # px, of a frame
IMAGE = ("image", "x", "y", "dw", "dh")
BOX = {name: name for name in IMAGE}
CELL_TIPS = [("loss", "@value{%.6g}@spread"), ("at", "(@at_x{%.4g}, @at_y{%.4g})")]
PATH_TIPS = [("iteration", "@iteration{0,0}"), ("recorded loss", "@loss{%.6g}")]

# A new extent, or `anew`, shows the whole picture; a frame of another size keeps what is in its middle.
FIT = """
const box = ["x0", "x1", "y0", "y1"].map((name) => extent.data[name]?.[0])
const [x0, x1, y0, y1] = box, {x_range, y_range} = plot
if (!(plot.inner_width > 0 && x1 > x0 && y1 > y0)) return
const limits = [lowest, highest]
const inner = Math.round(Math.min(limits[1], Math.max(limits[0], plot.inner_width * (y1 - y0) / (x1 - x0))))
const height = plot.height + inner - plot.inner_height
if (Math.abs(height - plot.height) > 1) plot.height = height
const key = JSON.stringify(box)
const around = (range, middle, half) => {
  const [start, end] = [middle - half, middle + half]
  const off = Math.abs(range.start - start) + Math.abs(range.end - end)
  if (off > 1e-9 * half) range.setv({start, end})
}
let unit = (x_range.end - x_range.start) / plot.inner_width
let [x, y] = [(x_range.start + x_range.end) / 2, (y_range.start + y_range.end) / 2]
if (anew || plot.gd_fitted !== key || plot.gd_range !== x_range.id) {
  unit = Math.max((x1 - x0) / plot.inner_width, (y1 - y0) / inner)
  x = (x0 + x1) / 2
  y = (y0 + y1) / 2
  plot.gd_fitted = key
  plot.gd_range = x_range.id
}
around(x_range, x, unit * plot.inner_width / 2)
around(y_range, y, unit * inner / 2)
"""


class Map:
    """A figure named NAME_figure and its sources NAME_image, _cells, _contours, _path, _dots, _labels.

    mapper: the colours, which maps may share; shared: a Map whose ranges this one can take over;
    tips: of a cell; on_tap(iteration): a point of the path was tapped. whole: what shows the whole picture
    again, in the browser.
    """

    def __init__(self, context, name: str, mapper: LinearColorMapper, on_tap, tips=CELL_TIPS):
        self.context, self.name, self.mapper, self.on_tap = context, name, mapper, on_tap
        sources = {
            "image": IMAGE, "relief": IMAGE,
            "cells": ("left", "right", "bottom", "top"), "contours": ("xs", "ys"),
            "path": ("x0", "y0", "x1", "y1", "iteration"), "dots": ("x", "y", "iteration", "loss"),
            "ends": ("x", "y"), "labels": ("x", "y", "text"), "chosen": ("x", "y"),
            "extent": ("x0", "x1", "y0", "y1"),
        }  # fmt: skip
        self.sources = {
            part: ColumnDataSource({column: [] for column in columns}, name=f"{name}_{part}")
            for part, columns in sources.items()
        }
        self.ranges = Range1d(0, 1, name=f"{name}_x"), Range1d(0, 1, name=f"{name}_y")
        self.times = LinearColorMapper(palette=list(context.palette.lines), low=0, high=1)
        self.figure = figures.figure(
            f"{name}_figure", height=420, x_range=self.ranges[0], y_range=self.ranges[1],
            x_label=" ", y_label=" ", zoom="both", toolbar=True, visible=False,
        )  # fmt: skip
        self.figure.ygrid.grid_line_color = None
        self.figure.min_border_right = BAR
        next(tool for tool in self.figure.tools if isinstance(tool, BoxZoomTool)).match_aspect = True
        self._draw_map(tips)
        self._draw_path()
        self._keep_aspect()
        context.on("theme", self._theme)

    def show(self, x, y, shown, shades_ticks: dict, levels, values: dict, *, relief=False) -> None:
        """Draws a picture [ny, nx] at lines x, y, in the units of the mapper.

        shades_ticks: {position: label} of the bar; levels: of contour lines; values: {column: picture} of
        the cells that are hovered.
        """
        self.sources["image"].data = picture.image(x, y, shown)
        self._show_relief(picture.relief(x, y, shown) if relief else None)
        self.sources["contours"].data = picture.contours(x, y, shown, levels)
        self.sources["cells"].data = picture.cells(x, y, **values)
        figures.name_ticks(self.bar, shades_ticks)
        self.bar.visible = bool(shades_ticks)  # a single value has no scale
        extent = {"x0": [float(x[0])], "x1": [float(x[-1])], "y0": [float(y[0])], "y1": [float(y[-1])]}
        if extent != self.sources["extent"].data:
            self.sources["extent"].data = extent
        self.figure.visible = True

    def show_path(self, path, iteration, loss, labels: tuple[str, str], extent) -> None:
        """Draws the path [n, 2]; iteration, loss [n]; labels: of the axes; extent: of the picture."""
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = labels
        at = picture.thinned(len(path), picture.MOST_SEGMENTS)
        x, y = path[at, 0], path[at, 1]
        self.times.update(low=float(iteration[0]), high=float(max(iteration[-1], iteration[0] + 1)))
        self.sources["path"].data = {
            "x0": x[:-1], "y0": y[:-1], "x1": x[1:], "y1": y[1:], "iteration": iteration[at][:-1],
        }  # fmt: skip
        at = picture.thinned(len(path), picture.MOST_DOTS)
        self.sources["dots"].data = {
            "x": path[at, 0], "y": path[at, 1], "iteration": iteration[at], "loss": loss[at],
        }  # fmt: skip
        ends = [0, len(path) - 1]
        self.sources["ends"].data = {"x": path[ends, 0], "y": path[ends, 1]}
        at = picture.labelled(path, extent)
        words = [f"{k:,}" for k in iteration[at]]
        self.sources["labels"].data = {"x": path[at, 0], "y": path[at, 1], "text": words}
        self.choose(self.context.iteration)

    def choose(self, k: int | None) -> None:
        """A ring around an iteration of the path."""
        dots = self.sources["dots"].data
        at = np.flatnonzero(np.asarray(dots["iteration"]) == k) if k is not None else []
        self.sources["chosen"].data = {name: np.asarray(dots[name])[at] for name in ("x", "y")}

    def set_path_visible(self, visible: bool) -> None:
        """Shows or hides the path with its dots and labels."""
        for renderer in self._path_renderers:
            renderer.visible = visible

    def set_contours_visible(self, visible: bool) -> None:
        """Shows or hides the contour lines."""
        self._contours.visible = visible

    # -- private ----------------------------------------------------------------------------------

    def _draw_map(self, tips) -> None:
        plot, sources = self.figure, self.sources
        figures.draw(plot, sources["image"], Image(**BOX, color_mapper=self.mapper))
        self.bar = ColorBar(
            color_mapper=self.mapper, width=8, padding=6, location=(0, 0), ticker=FixedTicker(minor_ticks=[]),
            name=f"{self.name}_bar",
        )  # fmt: skip
        self.bar.major_label_text_font_size = "11px"
        self.bar.bar_line_color = self.bar.major_tick_line_color = self.bar.background_fill_color = None
        self.context.paint(self.bar, major_label_text_color="muted")
        plot.add_layout(self.bar, "right")
        lines = MultiLine(xs="xs", ys="ys", line_width=0.8, line_alpha=0.45)
        self._contours = figures.draw(plot, sources["contours"], lines)
        self.context.paint(self._contours.glyph, line_color="ink")
        sides = {side: side for side in ("left", "right", "bottom", "top")}
        drawn = figures.draw(plot, sources["cells"], Quad(**sides, fill_color=None, line_color=None))
        fields = [part.partition("{")[0] for _, words in tips for part in words.split("@")[1:]]
        printf = {f"@{field}": "printf" for field in fields}
        plot.add_tools(
            HoverTool(renderers=[drawn], tooltips=tips, formatters=printf, attachment="below", visible=False)
        )

    def _draw_path(self) -> None:
        plot, sources = self.figure, self.sources
        line, at = {name: name for name in ("x0", "y0", "x1", "y1")}, {"x": "x", "y": "y"}
        colour = {"field": "iteration", "transform": self.times}
        words = Text(
            **at, text="text", x_offset=8, y_offset=-8, text_font_size="11px", text_font=value("Inter"),
            background_fill_alpha=0.8, border_radius=3, padding=2,
        )  # fmt: skip
        halo, track, dots, ends, ring, words = (
            figures.draw(plot, sources[part], glyph)
            for part, glyph in (
                ("path", Segment(**line, line_cap="round", line_width=4.5, line_alpha=0.85)),
                ("path", Segment(**line, line_cap="round", line_width=2, line_color=colour)),
                ("dots", Scatter(**at, size=4, fill_color=colour, line_color=None)),
                ("ends", Scatter(**at, size=9, line_width=2)),
                ("chosen", Scatter(**at, size=14, line_width=2, fill_color=None)),
                ("labels", words),
            )
        )
        self._path_renderers = [halo, track, dots, ends, words]
        paint = self.context.paint
        paint(halo.glyph, line_color="card")
        paint(ends.glyph, fill_color="card", line_color="ink")
        paint(ring.glyph, line_color="ink")
        paint(words.glyph, text_color="ink", background_fill_color="card")
        printf = {"@loss": "printf"}
        plot.add_tools(
            HoverTool(
                renderers=[dots], tooltips=PATH_TIPS, formatters=printf, attachment="above", visible=False
            )
        )
        plot.on_event(Tap, self._tapped)

    def _show_relief(self, columns: dict | None) -> None:
        """Shadow and light over the colours, under everything else; None: none. Drawn once asked for."""
        source, renderers = self.sources["relief"], self.figure.renderers
        if columns is not None and all(renderer.data_source is not source for renderer in renderers):
            figures.draw(self.figure, source, ImageRGBA(**BOX))
            *others, added = self.figure.renderers
            self.figure.renderers = [others[0], added, *others[1:]]
        source.data = columns or {name: [] for name in IMAGE}

    def _keep_aspect(self) -> None:
        fit = self._fit()
        for name in ("inner_width", "inner_height", "x_range"):
            self.figure.js_on_change(name, fit)
        self.sources["extent"].js_on_change("data", fit)
        self.whole = self._fit(anew=True)
        self.figure.js_on_event(DoubleTap, self.whole)

    def _fit(self, anew: bool = False) -> CustomJS:
        limits = {"lowest": LOWEST, "highest": HIGHEST}
        return CustomJS(
            args={"plot": self.figure, "extent": self.sources["extent"], "anew": anew, **limits}, code=FIT
        )

    def _tapped(self, event) -> None:
        dots = self.sources["dots"].data
        if event.x is None or not len(dots["x"]):
            return
        gap = (np.asarray(dots["x"]) - event.x) ** 2 + (np.asarray(dots["y"]) - event.y) ** 2
        self.on_tap(int(dots["iteration"][int(np.argmin(gap))]))

    def _theme(self) -> None:
        self.times.palette = list(self.context.palette.lines)
