"""One small plot of a line search: what was known at one step width, and where it went next.

The segment, the interpolating polynomial (magenta), the allowed interval (light blue), vertical lines
with open squares for the current and filled squares for the next step width, the index j in a grey
circle and the phase. Becker 2019, Figures 3 and 4.
"""

from typing import NamedTuple

import numpy as np
from bokeh.models import ColumnDataSource, CrosshairTool, Label, LogScale, Range1d, Span

from server.ui import card, figures

HEIGHT = 118
CURVE_POINTS = 160
SOURCES = {
    "segment": ("x", "y"),
    "polynomial": ("x", "y"),
    "interval": ("x0", "x1"),
    "recorded": ("x", "y"),
    "anchors": ("x", "y"),
    "current": ("x",),
    "next": ("x",),
    "lowest": ("x",),
    "current_ends": ("x", "y"),
    "next_ends": ("x", "y"),
}


class Content(NamedTuple):
    """What a facet shows; positions are step widths and errors. None or empty: not there.

    badge, heading, words: text; segment, recorded, polynomial, anchors: (x, y); interval: (low, high);
    current, following, lowest: a step width.
    """

    badge: str
    heading: str
    words: str
    segment: tuple
    recorded: tuple
    polynomial: tuple | None = None
    anchors: tuple | None = None
    interval: tuple | None = None
    current: float | None = None
    following: float | None = None
    lowest: float | None = None


class Facet:
    """A figure that is made once and filled again for each iteration; root: figure and values."""

    def __init__(self, context, name: str, x_range: Range1d, y_range: Range1d, crosshair: Span):
        self.context, self.y_range = context, y_range
        self.sources = {
            key: ColumnDataSource({column: [] for column in columns}, name=f"{name}_{key}")
            for key, columns in SOURCES.items()
        }
        self.figure = figures.figure(name, height=HEIGHT, x_range=x_range, y_range=y_range)
        self.figure.title.text_font_size, self.figure.title.standoff = "11px", 2
        context.paint(self.figure.title, text_color="muted")
        self.figure.add_tools(CrosshairTool(overlay=crosshair, visible=False))
        self._draw()
        self.badge = Label(
            x=5, y=58, x_units="screen", y_units="screen", text="", padding=(7, 3), border_radius=10,
            text_font="Inter", text_font_size="11px", name=f"{name}_badge",
        )  # fmt: skip
        context.paint(self.badge, background_fill_color="line", text_color="ink")
        self.figure.add_layout(self.badge)
        self.words = card.text("", "gd-values", name=f"{name}_words", sizing_mode="stretch_width")
        self.root = card.box(context, self.figure, self.words, classes=["gd-facet"], name=f"{name}_root")

    def _draw(self) -> None:
        plot, source, paint = self.figure, self.sources, self.context.paint
        band = plot.vstrip(x0="x0", x1="x1", source=source["interval"], level="underlay", fill_alpha=0.75)
        band.glyph.line_color = None
        paint(band.glyph, fill_color="interval")
        for key, role, dash in (("current", "current", "dotted"), ("next", "following", "dotted")):
            line = plot.vspan(x="x", source=source[key], line_width=1, line_dash=dash)
            paint(line.glyph, line_color=role)
        lowest = plot.vspan(x="x", source=source["lowest"], line_width=1.25, line_dash="dashed")
        paint(lowest.glyph, line_color="accent")
        segment = plot.line("x", "y", source=source["segment"], line_width=1.5)
        paint(segment.glyph, line_color="segment")
        fit = plot.line("x", "y", source=source["polynomial"], line_width=1.75)
        paint(fit.glyph, line_color="interpolant")
        seen = plot.scatter("x", "y", source=source["recorded"], size=4, line_color=None)
        paint(seen.glyph, fill_color="dot")
        anchors = plot.scatter("x", "y", source=source["anchors"], size=6, line_width=1.25)
        paint(anchors.glyph, fill_color="card", line_color="interpolant")
        open_ends = plot.scatter("x", "y", source=source["current_ends"], marker="square", size=8)
        paint(open_ends.glyph, fill_color="card", line_color="current")
        filled = plot.scatter("x", "y", source=source["next_ends"], marker="square", size=8)
        paint(filled.glyph, fill_color="following", line_color="following")

    def last(self, last: bool) -> None:
        """Only the last of a stack shows the axis that all of them share."""
        self.figure.xaxis.visible = last
        self.figure.xaxis.axis_label = "step width η" if last else None
        self.figure.min_border_bottom = 38 if last else 6
        self.figure.height = HEIGHT + 32 if last else HEIGHT

    def show(self, content: Content) -> None:
        """Fills the plot; the shared y range must hold its limits already."""
        self.badge.text, self.figure.title.text = content.badge, content.heading
        self.badge.visible = bool(content.badge)
        self.words.text = content.words
        data = {
            "segment": _points(content.segment),
            "recorded": _points(content.recorded),
            "polynomial": _points(content.polynomial),
            "anchors": _points(content.anchors),
            "interval": {"x0": [], "x1": []},
            "current": _line(content.current),
            "next": _line(content.following),
            "lowest": _line(content.lowest),
            "current_ends": self._ends(content.current),
            "next_ends": self._ends(content.following),
        }
        if content.interval:
            data["interval"] = {"x0": [content.interval[0]], "x1": [content.interval[1]]}
        for key, columns in data.items():
            self.sources[key].data = columns

    def _ends(self, at: float | None) -> dict:
        if at is None:
            return {"x": [], "y": []}
        low, high = self.y_range.start, self.y_range.end
        low, high = figures.zoomed(low, high, 0.9, log=isinstance(self.figure.y_scale, LogScale))
        return {"x": [at, at], "y": [low, high]}


def _points(pair) -> dict:
    return {"x": [], "y": []} if pair is None else {"x": np.asarray(pair[0]), "y": np.asarray(pair[1])}


def _line(at: float | None) -> dict:
    return {"x": [] if at is None else [at]}
