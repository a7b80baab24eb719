"""One figure of many bands over the shared axis of dumps: what a Drawing holds, pixels, and marks.

Small multiples are bands of one figure, since figures are dear. The vertical axis counts pixels downwards,
so the frame is exactly as high as its bands.
"""

from bokeh.events import DoubleTap
from bokeh.models import (
    ColumnDataSource,
    CustomJSHover,
    FixedTicker,
    HoverTool,
    HStrip,
    Image,
    LinearAxis,
    LinearColorMapper,
    MultiLine,
    Patches,
    Quad,
    Range1d,
    Segment,
    VSpan,
)

from server.pages.tracker.layers.drawing import SHAPES, Drawing
from server.pages.tracker.layers.pixels import COLOURS
from server.ui import figures

TOP, BOTTOM = 8, 46  # px around the frame
NAMES = 118  # px for the names of rows
PIXELS = ("image", "value", "number", "x", "y", "dw", "dh", "label")
CLEAR = "rgba(0, 0, 0, 0)"
ITERATION = "return (iterations[Math.round(special_vars.x)] ?? NaN).toLocaleString('en')"


class Facets:
    """figure: the bands; sources: {kind of glyph: its ColumnDataSource}, named NAME_lines and so on.

    tips: what is shown beside layer and iteration, [(words, column of Drawing.value)].
    """

    def __init__(self, context, tracker, name: str, y_range: Range1d):
        self.context, self.tracker, self.name = context, tracker, name
        self.sources = {
            kind: ColumnDataSource({column: [] for column in columns}, name=f"{name}_{kind}")
            for kind, columns in SHAPES.items()
        }
        self.sources["values"].data["value"] = []
        self.pixels = ColumnDataSource({column: [] for column in PIXELS}, name=f"{name}_pixels")
        self.marked = ColumnDataSource({"x": []}, name=f"{name}_marked")
        self.filters = ColumnDataSource({"x0": [], "x1": [], "y": []}, name=f"{name}_filters")
        self.chosen = ColumnDataSource({"top": [], "bottom": []}, name=f"{name}_chosen")
        self.iteration = CustomJSHover(args={"iterations": self._iterations()}, code=ITERATION)
        self.signed = False
        self.figure = self._figure(y_range)
        context.on("theme", self._repaint)

    def draw(self, drawing: Drawing, height: float, pixels: list[dict], *, signed: bool = False) -> None:
        """Replaces all bands; pixels: dicts with the columns PIXELS, pictures with row 0 at the bottom."""
        for kind, source in self.sources.items():
            columns = drawing.columns(kind)
            if kind == "values":
                columns = self._over_all(columns)
            if any(columns.values()) or any(map(len, source.data.values())):
                source.data = columns
        self.signed = signed
        self._repaint()
        self.pixels.data = {name: [part[name] for part in pixels] for name in PIXELS}
        self.iteration.args = {"iterations": self._iterations()}
        self.figure.update(height=int(height) + TOP + BOTTOM)

    def tell(self, tips: list[tuple[str, str]]) -> None:
        """What the tip of a band says: (words, column of the values)."""
        shown = [(words, f"@{column}{{%.5g}}") for words, column in tips]
        self.hover.tooltips = [("layer", "@label"), ("iteration", "$x{custom}"), *shown]
        self.hover.formatters = {"$x": self.iteration} | {f"@{column}": "printf" for _, column in tips}

    def scale(self, ticks: dict[float, str]) -> None:
        """Labels at the right: {place on the figure's axis: words}."""
        self.ends.ticker.ticks, self.ends.major_label_overrides = sorted(ticks), ticks

    def name_rows(self, names: dict[float, str]) -> None:
        """Names at the left, where no structure says them: {place on the figure's axis: words}."""
        axis = self.figure.yaxis[0]
        figures.name_ticks(axis, names)
        axis.visible, axis.axis_line_color, axis.major_tick_line_color = True, None, None
        self.figure.min_border_left = NAMES

    def mark(self, dumps, bands, filters) -> None:
        """Marks columns (dumps), bands [(top, bottom)] and rows of pixels ([y] on the axis)."""
        low, high = -0.5, self.tracker.count - 0.5
        self.marked.data = {"x": list(dumps)}
        tops, bottoms = zip(*bands, strict=True) if bands else ((), ())
        self.chosen.data = {"top": list(tops), "bottom": list(bottoms)}
        count = len(filters)
        self.filters.data = {"x0": [low] * count, "x1": [high] * count, "y": list(filters)}

    # -- private ----------------------------------------------------------------------------------

    def _over_all(self, columns):
        count = len(columns["y"])
        wide = {"x": [-0.5] * count, "dw": [self.tracker.count] * count}
        return columns | wide if "value" in columns else columns | wide | {"value": [None] * count}

    def _iterations(self):
        return [int(k) for k in self.tracker.dumps.iteration]

    def _repaint(self) -> None:
        shades = self.context.palette.signed if self.signed else self.context.palette.magnitudes
        wanted = list(shades)[:COLOURS]
        if self.mapper.palette != wanted:
            self.mapper.palette = wanted

    def _figure(self, y_range):
        plot = figures.figure(
            f"{self.name}_figure",
            height=200,
            x_range=self.tracker.x_range,
            y_range=y_range,
            x_label="iteration",
        )
        plot.update(min_border_left=6, min_border_right=58, min_border_top=TOP, min_border_bottom=BOTTOM)
        figures.set_scale(plot, "x", "count", most=5)
        plot.xaxis.formatter = self.tracker.formatter
        plot.yaxis.visible, plot.ygrid.visible = False, False
        self.ends = LinearAxis(
            ticker=FixedTicker(ticks=[]), axis_line_color=None, major_tick_line_color=None,
            major_label_text_font_size="10px",
        )  # fmt: skip
        plot.add_layout(self.ends, "right")
        self._glyphs(plot)
        plot.on_event(DoubleTap, lambda event: self.tracker.reset())
        return plot

    def _glyphs(self, plot) -> None:
        sources, paint = self.sources, self.context.paint
        behind = HStrip(y0="bottom", y1="top", line_alpha=0, fill_alpha=0.1)
        figures.draw(plot, self.chosen, paint(behind, fill_color="accent"), level="underlay")
        areas = Patches(xs="xs", ys="ys", fill_color="colour", fill_alpha="alpha", line_alpha=0)
        figures.draw(plot, sources["areas"], areas)
        lines = MultiLine(
            xs="xs", ys="ys", line_color="colour", line_width="width", line_dash="dash", line_join="round"
        )
        strokes = Segment(x0="x0", y0="y0", x1="x1", y1="y1", line_color="colour", line_dash="dash")
        boxes = Quad(
            left="left", right="right", top="top", bottom="bottom", fill_color="colour", line_alpha=0
        )
        figures.draw(plot, sources["boxes"], boxes)
        figures.draw(plot, sources["strokes"], strokes)
        figures.draw(plot, sources["lines"], lines)
        none = LinearColorMapper(palette=[CLEAR], low=0, high=1)
        told = Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=none)
        told = figures.draw(plot, sources["values"], told)
        self.mapper = LinearColorMapper(palette=["#000000"] * COLOURS, low=0, high=COLOURS, high_color=CLEAR)
        cells = Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=self.mapper)
        cells = figures.draw(plot, self.pixels, cells)
        rows = Segment(x0="x0", x1="x1", y0="y", y1="y", line_alpha=0.5)
        figures.draw(plot, self.filters, paint(rows, line_color="dot"))
        columns = VSpan(x="x", line_width=1.25, line_dash="dotted")
        figures.draw(plot, self.marked, paint(columns, line_color="dot"))
        self.hover = HoverTool(renderers=[told], visible=False, name=f"{self.name}_hover")
        tips = [
            ("layer", "@label"),
            ("filter", "@number"),
            ("iteration", "$x{custom}"),
            ("value", "@value{%.5g}"),
        ]
        formatters = {"@value": "printf", "$x": self.iteration}
        pixels = HoverTool(renderers=[cells], tooltips=tips, formatters=formatters, visible=False)
        plot.add_tools(self.hover, pixels)
