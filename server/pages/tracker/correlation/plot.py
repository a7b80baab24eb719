"""Three figures in the shape of an L: filters over time, filters against classes, classes over time.

The grid shares its rows with the layers' strips at its left and its columns with the classes' stripes below.
DeepTracker 2018, Figure 5.
"""

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, LinearColorMapper, Quad, Range1d, Segment
from bokeh.models.glyphs import Image

from server.pages.tracker.correlation.layout import layout, strips
from server.pages.tracker.correlation.marks import marked
from server.pages.tracker.correlation.raster import columns_of, covered, nearest_lines, raster, shaded
from server.ui import figures

STRIPS, GRID, STRIPES = "correlation_strips", "correlation_grid", "correlation_stripes"
HEIGHT, BELOW = 380, 190
LABELS, CLASS_LABELS = 150, 70  # px beside and below, for names
PIXELS, MOST_COLUMNS = 700, 1000  # of an image's width; of dumps beside each other, at most
ROWS = 3 * HEIGHT // 2  # of an image's height: more than those of most screens, but no more than that
MOST_VALUES = 50_000  # that colours are chosen by
DENSE = 4000  # rectangles that are drawn one by one; more are an image
LINE_PX = 12  # a name needs so much
CLEAR = "#00000000"


class Plot:
    """strips, grid, stripes: the figures. draw(): everything anew; mark(): the selection alone.

    layout: where the lines of tracker.grid() stand; abstract: whether cells are counts.
    """

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.abstract = False
        self.rows, self.columns = Range1d(1, 0, name="correlation_y"), Range1d(0, 1, name="correlation_x")
        self.dumps = Range1d(0, 1, name="correlation_dumps")
        self.mapper = LinearColorMapper(palette=self._palette(), low=0, high=255)
        self._figures()
        self._glyphs()
        self.layout: Any = None  # Layout, once drawn
        self._painted: list = []  # the limits of the axes that the images are of
        context.on("theme", self._theme)

    def draw(self) -> None:
        """The grid as the settings want it."""
        grid = self.tracker.grid()
        self.layout = layout(grid, self.abstract)
        rows, columns = self.layout
        with figures.at_once(self.strips, self.grid, self.stripes):
            self.rows.update(start=rows.end, end=0)
            self.columns.update(start=0, end=columns.end)
            self.dumps.update(start=self.tracker.count - 0.5, end=-0.5)
            self._draw_cells(grid)
            self._draw_lines(grid)
            self.paint_images()
            self._name_blocks(grid)
            self.mark()

    def follow(self) -> None:
        """The images for the part that is shown now, where it is another than was painted."""
        if self.layout is not None and self._shown() != self._painted:
            self.paint_images()

    def paint_images(self) -> None:
        """Strips, stripes and, where there are many rectangles, these, for the part that is shown."""
        if self.layout is None:
            return
        self._painted = self._shown()
        self._paint_rectangles()
        grid, (rows, columns) = self.tracker.grid(), self.layout
        low, high = sorted((self.rows.start, self.rows.end))
        lines = nearest_lines(rows, low, high, ROWS)
        start, end = self.tracker.x_range.start, self.tracker.x_range.end
        edges, left, right = columns_of(start, end, self.tracker.count, MOST_COLUMNS)
        drawn, place = np.unique(lines, return_inverse=True)  # only rows that a pixel falls on
        values = _log(self.strip_values(grid, drawn[drawn >= 0]))
        lines = np.where(lines < 0, -1, place - (drawn[:1] < 0).sum())
        picture = shaded(raster(values, lines, edges), *_limits(values))
        # Bokeh draws the first row at the bottom, which on a falling axis is the largest y.
        self.strip_image.data = _image(picture, left, low, right - left, high - low)

        low, high = sorted((self.columns.start, self.columns.end))
        lines = nearest_lines(columns, low, high, PIXELS)
        edges, top, bottom = columns_of(-0.5, self.tracker.count - 0.5, self.tracker.count, 2 * BELOW)
        which = grid.classes if self.abstract else grid.columns.columns["class"]
        drawn = lines >= 0
        rates = self.tracker.evidence.rates()[which[lines[drawn]]]
        lines = np.where(drawn, np.cumsum(drawn) - 1, -1)
        picture = shaded(raster(rates, lines, edges), 0.0, 1.0).T
        self.stripe_image.data = _image(np.ascontiguousarray(picture), low, top, high - low, bottom - top)

    def _shown(self):
        """The limits of the axes, of the dumps both: strips and stripes."""
        ranges = (self.rows, self.columns, self.dumps, self.tracker.x_range)
        return [end for axis in ranges for end in (axis.start, axis.end)]

    def strip_values(self, grid, rows):
        """Change of some rows over the dumps, [rows, D]."""
        change = self.tracker.evidence.change(self.tracker.settings.measure)
        if not self.abstract:
            return strips(grid, change, rows)
        place, sizes = grid.parts.columns["place"], grid.parts.columns["size"]
        out = np.empty((len(rows), self.tracker.count))
        for i, row in enumerate(rows):
            parts = np.flatnonzero(place == row)
            found = strips(grid, change, parts)
            out[i] = sizes[parts] @ np.where(np.isfinite(found), found, 0) / sizes[parts].sum()
        return out

    def mark(self) -> None:
        """The selection: bands over rows and columns, lines at dumps."""
        if self.layout is None:
            return
        (rows, columns), chosen = self.layout, marked(self.tracker, self.abstract)
        self.row_bands.data = {"low": rows.low[chosen.rows], "high": rows.high[chosen.rows]}
        self.column_bands.data = {"low": columns.low[chosen.columns], "high": columns.high[chosen.columns]}
        self.dump_marks.data = {"dump": list(chosen.dumps)}

    # -- what is drawn ----------------------------------------------------------------------------

    def _draw_cells(self, grid):
        rows, columns = self.layout
        if self.abstract:
            place, at = np.nonzero(grid.counts)
            counts = grid.counts[place, at]
            most = float(np.log(max(counts.max(initial=1), 2)))
            shade = shaded(np.log(counts), -0.35 * most, most)  # a single filter is not the card's colour
        else:
            place, at = grid.rectangles.columns["part"], grid.rectangles.columns["column"]
            counts = grid.parts.columns["size"][place]
            shade = np.full(len(place), 255, np.uint8)
        self.dense = len(place) > DENSE
        if self.dense:
            place, at, counts, shade = (part[:0] for part in (place, at, counts, shade))
        self.rectangles.visible, self.counts.visible = not self.abstract, self.abstract
        self.cells.data = {
            "left": columns.low[at], "right": columns.high[at], "top": rows.low[place],
            "bottom": rows.high[place], "count": counts, "shade": shade,
        }  # fmt: skip

    def _paint_rectangles(self):
        """Many rectangles as one image: the browser draws it as fast as one."""
        self.dense_image.visible = self.dense
        if not self.dense:
            return
        (rows, columns), met = self.layout, self.tracker.grid().rectangles.columns
        (left, right), (top, bottom) = (sorted((axis.start, axis.end)) for axis in (self.columns, self.rows))
        place, at = met["part"], met["column"]
        window = (left, right, top, bottom)
        count = covered(
            columns.low[at], columns.high[at], rows.low[place], rows.high[place], window, (PIXELS, ROWS)
        )
        usual = np.percentile(count[count > 0], 95) if count.any() else 1.0
        picture = shaded(np.where(count > 0, count, np.nan), 0.0, float(usual))
        self.dense_source.data = _image(picture, left, top, right - left, bottom - top)

    def _draw_lines(self, grid):
        rows, columns = self.layout
        if self.abstract:
            strength = np.ones(len(grid.layers))
        else:
            appearances = grid.parts.columns["appearances"]
            strength = 0.15 + 0.85 * appearances / max(appearances.max(initial=1), 1)
        # More lines than pixels are a grey field that takes long to draw.
        drawn = slice(None if len(rows.low) <= ROWS else 0)
        end = np.full(len(rows.low), columns.end)
        self.row_lines.data = {"y": rows.middle[drawn], "end": end[drawn], "alpha": strength[drawn]}
        drawn = slice(None if len(columns.low) <= MOST_COLUMNS else 0)
        end = np.full(len(columns.low), rows.end)
        self.column_lines.data = {"x": columns.middle[drawn], "end": end[drawn]}
        self.separators.data = {
            "left": np.zeros(len(rows.block_low)), "right": np.full(len(rows.block_low), columns.end),
            "top": rows.block_low, "bottom": rows.block_high,
        }  # fmt: skip

    def _name_blocks(self, grid):
        dumps, (rows, columns) = self.tracker.dumps, self.layout
        names = [dumps.nodes[i].name for i in self.tracker.evidence.layers[grid.layers]]
        _ticks(self.strips.yaxis[0], rows, names, HEIGHT)
        _ticks(self.stripes.xaxis[0], columns, [dumps.classes[i] for i in grid.classes], 620)

    # -- models -----------------------------------------------------------------------------------

    def _figures(self):
        tracker = self.tracker
        self.strips = figures.figure(
            STRIPS, height=HEIGHT, x_range=tracker.x_range, y_range=self.rows, zoom="both", toolbar=True
        )
        self.grid = figures.figure(
            GRID, height=HEIGHT, x_range=self.columns, y_range=self.rows, zoom="both", toolbar=True
        )
        self.stripes = figures.figure(
            STRIPES, height=BELOW + CLASS_LABELS, x_range=self.columns, y_range=self.dumps, zoom="both"
        )
        self.strips.min_border_left = LABELS
        self.strips.min_border_right = 2 * figures.RIGHT  # the last iteration's number ends beyond the axis
        self.grid.yaxis.visible = self.grid.xaxis.visible = False
        self.grid.min_border_left = self.stripes.min_border_left = figures.LEFT
        self.stripes.min_border_bottom = CLASS_LABELS
        for plot in (self.strips, self.grid, self.stripes):
            plot.grid.visible = False
        self.strips.xaxis.formatter = tracker.formatter
        self.strips.xaxis.ticker.desired_num_ticks = 3  # numbers of iterations are wide, a narrow page is not
        self.stripes.yaxis.formatter = tracker.formatter
        self.stripes.xaxis.major_label_orientation = np.pi / 3

    def _glyphs(self):
        context = self.context
        empty = ("left", "right", "top", "bottom")
        self.separators = ColumnDataSource({name: [] for name in empty})
        blocks = Quad(left="left", right="right", top="top", bottom="bottom", line_color=None)
        context.paint(figures.draw(self.grid, self.separators, blocks).glyph, fill_color="grid")
        self.column_lines = ColumnDataSource({"x": [], "end": []})
        lines = Segment(x0="x", x1="x", y0=0, y1="end", line_width=0.5)
        context.paint(figures.draw(self.grid, self.column_lines, lines).glyph, line_color="axis")
        self.row_lines = ColumnDataSource({"y": [], "end": [], "alpha": []})
        lines = Segment(x0=0, x1="end", y0="y", y1="y", line_alpha="alpha", line_width=1)
        context.paint(figures.draw(self.grid, self.row_lines, lines).glyph, line_color="muted")
        self.cells = ColumnDataSource(
            {name: [] for name in (*empty, "count", "shade")}, name="correlation_cells"
        )
        box = {"left": "left", "right": "right", "top": "top", "bottom": "bottom", "line_color": None}
        cells = Quad(fill_color={"field": "shade", "transform": self.mapper}, **box)
        self.counts = figures.draw(self.grid, self.cells, cells, name="correlation_counts")
        self.rectangles = figures.draw(self.grid, self.cells, Quad(**box), name="correlation_rectangles")
        context.paint(self.rectangles.glyph, fill_color="accent")
        self.dense = False
        self.dense_source = ColumnDataSource(_image(np.zeros((1, 1), np.uint8), 0, 0, 1, 1))
        self.dense_mapper = LinearColorMapper(palette=self._densities(), low=0, high=255)
        dense = Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=self.dense_mapper)
        self.dense_image = figures.draw(self.grid, self.dense_source, dense, name="correlation_dense")
        self.strip_image = ColumnDataSource(_image(np.zeros((1, 1), np.uint8), 0, 0, 1, 1))
        self.stripe_image = ColumnDataSource(_image(np.zeros((1, 1), np.uint8), 0, 0, 1, 1))
        for plot, source in ((self.strips, self.strip_image), (self.stripes, self.stripe_image)):
            image = Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=self.mapper)
            figures.draw(plot, source, image)
        self._marks()

    def _marks(self):
        self.row_bands = ColumnDataSource({"low": [], "high": []}, name="correlation_rows")
        self.column_bands = ColumnDataSource({"low": [], "high": []}, name="correlation_columns")
        self.dump_marks = ColumnDataSource({"dump": []}, name="correlation_marked")
        wide = 1e9
        across = Quad(left=-wide, right=wide, top="low", bottom="high", fill_alpha=0.12)
        along = Quad(left="low", right="high", top=-wide, bottom=wide, fill_alpha=0.12)
        for plot, source, glyph in (
            (self.strips, self.row_bands, across), (self.grid, self.row_bands, across),
            (self.grid, self.column_bands, along), (self.stripes, self.column_bands, along),
        ):  # fmt: skip
            drawn = figures.draw(plot, source, glyph.clone())
            self.context.paint(drawn.glyph, fill_color="accent", line_color="accent")
        upright = Segment(x0="dump", x1="dump", y0=-wide, y1=wide, line_width=1.5)
        flat = Segment(x0=-wide, x1=wide, y0="dump", y1="dump", line_width=1.5)
        for plot, glyph in ((self.strips, upright), (self.stripes, flat)):
            drawn = figures.draw(plot, self.dump_marks, glyph)
            self.context.paint(drawn.glyph, line_color="accent")

    def _palette(self):
        return [CLEAR, *self.context.palette.magnitudes[1:]]

    def _densities(self):
        """The accent, more opaque where more rectangles meet; 256 colours, the first clear."""
        return [CLEAR, *(f"{self.context.palette.accent}{50 + 205 * i // 254:02x}" for i in range(255))]

    def _theme(self):
        self.mapper.palette = self._palette()
        self.dense_mapper.palette = self._densities()


def _image(picture, x, y, width, height):
    return {"image": [picture], "x": [x], "y": [y], "dw": [width], "dh": [height]}


def _log(values):
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log10(np.asarray(values, np.float32))
    return np.where(np.isfinite(found), found, np.float32(np.nan))


def _limits(values):
    """From the second to the highest hundredth: single quiet dumps do not use up the colours. Of many values
    evenly spread ones say the same."""
    values = values.ravel()[:: max(1, values.size // MOST_VALUES)]
    known = values[np.isfinite(values)]
    return (float(np.percentile(known, 2)), float(np.percentile(known, 99.5))) if len(known) else (0.0, 1.0)


def _ticks(axis, lines, names, pixels):
    """Names at the middle of the blocks, as many as can be read."""
    scale, last, chosen = pixels / max(lines.end, 1e-9), -np.inf, {}
    for middle, name in zip(lines.block_middle, names, strict=True):
        if middle * scale - last >= LINE_PX:
            chosen[float(middle)] = name
            last = middle * scale
    figures.name_ticks(axis, chosen)
