"""The chart of error rates: clusters, classes and images under one another, of which what shows is drawn.

One figure. Its vertical axis is the depth in the list of rows, in pixels, so that wheel and drag scroll; the
window that is sent reaches one frame beyond the visible one on both sides, and is sent anew when the reader
comes near its end. Words stand left of the frame at the level of annotations, which is not clipped.
"""

import numpy as np
from bokeh.events import Tap
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    CustomJSHover,
    FixedTicker,
    HoverTool,
    Image,
    LinearColorMapper,
    PanTool,
    Quad,
    Range1d,
    Scatter,
    Text,
    VSpan,
    WheelPanTool,
)

from server.pages.tracker.classes import cells, scene
from server.pages.tracker.classes.rows import Layout
from server.ui import figures

SIDE = 204  # px, for the words left of the frame, and of the curves above
BESIDE = 74  # px, for the bar of colours
LOWEST, HIGHEST = 132, 620  # px, of the frame
NEAR = 4.0  # px around a triangle that still hit it
IMAGE = {name: name for name in scene.BOX}


class Chart:
    """figure, with sources classes_PART_source: stripes, pixels, triangles, words, marks, dumps.

    tapped(depth, x, several, scale): a click, `scale` px per dump; needed(): the window that was sent is
    used up.
    """

    def __init__(self, context, tracker, tapped, needed):
        self.context, self.tracker, self._needed = context, tracker, needed
        parts = {
            "stripes": scene.STRIPES, "pixels": scene.PIXELS, "triangles": scene.TRIANGLES,
            "words": scene.WORDS, "marks": ("left", "right", "top", "bottom"), "dumps": ("x",),
        }  # fmt: skip
        self.sources = {
            part: ColumnDataSource({name: [] for name in columns}, name=f"classes_{part}_source")
            for part, columns in parts.items()
        }
        self.y_range = Range1d(start=LOWEST, end=0, name="classes_y")
        self.rates = LinearColorMapper(low=0, high=1, nan_color="#00000000", name="classes_rates")
        self.codes = LinearColorMapper(low=-0.5, high=cells.OTHER + 0.5, name="classes_codes")
        self.paint("right", "safe")
        self.wheel = WheelPanTool(dimension="height")
        self.figure = self._figure()
        self._draw()
        self._hover()
        self.window: tuple[float, float] = (0.0, 0.0)
        self.columns = cells.Columns(0, 0, 1)
        self.figure.on_event(Tap, lambda event: tapped(event.y, event.x, _several(event), self._scale(event)))
        self.y_range.on_change("end", lambda a, o, new: self._moved())
        for end in ("start", "end"):
            tracker.x_range.on_change(end, lambda a, o, new: self._moved())

    @property
    def visible(self) -> tuple[float, float]:
        """The depths that are in the frame; by one end of the axis, since the ends arrive one by one."""
        return float(self.y_range.end), float(self.y_range.end + self.figure.height)

    def fit(self, layout: Layout, to: float | None = None) -> None:
        """Gives the frame the height of the list, within limits, and keeps the place, or shows `to`."""
        frame = int(np.clip(layout.total, LOWEST, HIGHEST))
        total = max(layout.total, frame)
        first = self.visible[0] if to is None else to
        first = float(np.clip(first, 0, total - frame))
        self.figure.height = frame
        # The bounds first: within the old ones the browser would cut the new ends short.
        self.y_range.update(bounds=(0, total), start=first + frame, end=first)
        scrolls = self.wheel if total > frame else None  # else the wheel turns the page
        if self.figure.toolbar.active_scroll is not scrolls:
            self.figure.toolbar.active_scroll = scrolls

    def next_window(self) -> tuple[tuple[float, float], cells.Columns]:
        """The depths and columns to be sent for what is visible now."""
        first, last = self.visible
        reach = last - first
        x_range = self.tracker.x_range
        self.window = (first - reach, last + reach)
        self.columns = cells.columns(x_range.start, x_range.end, self.tracker.count)
        return self.window, self.columns

    def select_dumps(self, dumps) -> None:
        """Lines at the selected dumps."""
        self.sources["dumps"].data = {"x": list(dumps)}

    def paint(self, pixels: str, pair: str) -> None:
        """The colours of stripes and images in the theme in force."""
        palette = self.context.palette
        self.rates.palette = list(palette.magnitudes)
        self.codes.palette = list(colours(palette, pixels, pair))

    def shade(self, top: float) -> None:
        """The error rate that has the map's last colour, in (0, 1]."""
        self.rates.high = top
        self.bar.ticker.ticks = [0, top / 2, top]  # in place: the bar keeps the ticker that it began with
        over = "" if top == 1 else "≥ "
        self.bar.major_label_overrides = {0: "0 %", top / 2: f"{50 * top:g} %", top: f"{over}{100 * top:g} %"}

    def name_labels(self, names) -> None:
        """The names of predicted labels, for the tips."""
        self.named.args = {"names": list(names)}

    # -- private ----------------------------------------------------------------------------------

    def _moved(self) -> None:
        first, last = self.visible
        x_range, total = self.tracker.x_range, self.y_range.bounds[1] if self.y_range.bounds else 0
        low, high = max(0.0, first), min(total, last)
        served = self.window[0] <= low and high <= self.window[1]
        if not served or not cells.covers(self.columns, x_range.start, x_range.end, self.tracker.count):
            self._needed()

    def _scale(self, event) -> float:
        """Pixels per dump, from where the click was."""
        start, end = self.tracker.x_range.start, self.tracker.x_range.end
        away = event.x - start
        return (event.sx - SIDE) / away if abs(away) > 0.01 * (end - start) else 1.0

    def _figure(self):
        plot = figures.figure(
            "classes_figure", height=LOWEST, x_range=self.tracker.x_range, y_range=self.y_range
        )
        plot.update(min_border_left=SIDE, min_border_right=BESIDE, min_border_top=0, min_border_bottom=0)
        plot.axis.visible = plot.grid.visible = False
        drag = PanTool(dimensions="height")
        plot.tools = [drag, self.wheel]
        plot.toolbar.update(active_drag=drag, active_scroll=None)
        plot.extra_x_ranges = {"side": Range1d(0, 1, bounds=(0, 1), min_interval=1)}
        self.bar = ColorBar(
            color_mapper=self.rates, ticker=FixedTicker(minor_ticks=[]), width=10, margin=0, padding=8,
            name="classes_bar",
        )  # fmt: skip
        self.context.paint(self.bar, major_label_text_color="muted", background_fill_color="card")
        self.shade(1.0)
        plot.add_layout(self.bar, "right")
        return plot

    def _draw(self) -> None:
        plot, sources, paint = self.figure, self.sources, self.context.paint
        smooth = {"level": "image"}
        rates, codes = (Image(**IMAGE, color_mapper=one) for one in (self.rates, self.codes))
        self.stripes = figures.draw(plot, sources["stripes"], rates, **smooth)
        self.pixels = figures.draw(plot, sources["pixels"], codes, **smooth)
        line = VSpan(x="x", line_width=1.5)
        figures.draw(plot, sources["dumps"], paint(line, line_color="accent"))
        frame = Quad(left="left", right="right", top="top", bottom="bottom", fill_alpha=0, line_width=1.5)
        figures.draw(plot, sources["marks"], paint(frame, line_color="accent"))
        sign = Scatter(x="x", y="y", size="size", marker="marker", line_width=0.8)
        self.signs = figures.draw(
            plot, sources["triangles"], paint(sign, fill_color="ink", line_color="card"), name="classes_signs"
        )
        words = Text(
            x="x", y="y", text="text", x_offset="dx", text_color="colour", text_font_size="size",
            text_font_style="style", text_align="align", text_baseline="middle", text_font={"value": "Inter"},
        )  # fmt: skip
        figures.draw(plot, sources["words"], words, level="annotation", x_range_name="side")

    def _hover(self) -> None:
        formatter = self.tracker.formatter
        self.iteration = CustomJSHover(
            args={"axis": formatter},
            code="return (axis.args.iterations ?? axis.args.get('iterations'))[Math.round(special_vars.x)]"
            "?.toLocaleString('en') ?? ''",
        )
        self.named = CustomJSHover(args={"names": []}, code="return names[value] ?? String(value)")
        at = ("iteration", "$x{custom}")
        for renderer, tips, formatters in (
            (self.stripes, [("", "@name"), at, ("error rate", "@image{0.0 %}")], {}),
            (self.pixels, [("true", "@name"), at, ("taken for", "@label{custom}")], {"@label": self.named}),
            (self.signs, [("", "@what"), ("rule", "@rule"), ("images", "@score{0,0}"), at], {}),
        ):
            tool = HoverTool(renderers=[renderer], tooltips=tips, visible=False)
            tool.formatters = {"$x": self.iteration, **formatters}
            self.figure.add_tools(tool)


def colours(palette, pixels: str, pair: str) -> tuple[str, ...]:
    """Colour of every code of a pixel: right, NAMED wrong labels, other wrong labels."""
    if pixels == "label":
        return (palette.grid, *palette.categories, palette.descent)
    traffic, safe = (palette.good, palette.bad), (palette.interval, palette.categories[1])
    right, wrong = traffic if pair == "traffic" else safe
    return (right, *[wrong] * (cells.NAMED + 1))


def _several(event) -> bool:
    return bool((event.modifiers or {}).get("shift"))
