"""The three figures of the correlation view as one cube: shared edges are drawn once.

What is looked at on one face is followed over its edge onto the next. DeepTracker 2018, section 7.4: how far
the receding axis is skewed, and how thin a row or a column may become, is the reader's choice.
"""

from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, LinearColorMapper, Patches, Range1d, Segment, Text
from bokeh.models.glyphs import Image

from server.pages.tracker.correlation.layout import layout
from server.pages.tracker.correlation.marks import marked
from server.pages.tracker.correlation.raster import shaded
from server.pages.tracker.correlation.solid import Solid, front, right, roomy, top
from server.ui import card, figures
from server.ui.choices import Choice

FRONT = (620, 340)  # px
DEPTH = 330  # px, unless the columns need more
MOST = 1600  # px that the rows or the columns may take
BESIDE, BELOW, AROUND = 150, 60, 12  # px for names
NAME_PX = 12
FACES = ("front", "right", "top")
LIMITS = {"skew": (35, 10, 80), "row": (2, 0, 20), "column": (3, 0, 30)}  # default, lowest, highest
TITLES = {"skew": "Skew, degrees", "row": "Rows at least, px", "column": "Columns at least, px"}
HELP = {
    "skew": "How far the sides are turned", "row": "Height of the thinnest row of filters",
    "column": "Width of the thinnest column of classes",
}  # fmt: skip


class Cube:
    """root: controls and figure. draw(): everything anew; mark(): the selection alone.

    on_tap: called with (face, place on the first axis, place on the second), axes as `Solid.place` has them,
    in the units of the L's figures: dumps, and the extents of `layout`.
    """

    def __init__(self, context, tracker, plot, on_tap):
        self.context, self.tracker, self.plot, self.on_tap = context, tracker, plot, on_tap
        self._wanted = {
            name: Choice(
                context, f"cube_{name}", usual, (low, high), title=TITLES[name], help=HELP[name],
                changed=lambda value: self._other(),
            )
            for name, (usual, low, high) in LIMITS.items()
        }  # fmt: skip
        self.x, self.y = Range1d(0, 1, name="cube_x"), Range1d(0, 1, name="cube_y")
        self.figure = figures.figure(
            "correlation_cube", height=600, x_range=self.x, y_range=self.y, zoom="both", toolbar=True
        )
        self.figure.xaxis.visible = self.figure.yaxis.visible = False
        self.figure.grid.visible = False
        self.figure.on_event(Tap, self._tapped)
        self._glyphs()
        self.solid: Any = None  # Solid, once drawn
        self.lines: Any = None  # Layout in pixels
        numbers = (
            choice.number(f"cube_{name}", width=130, step=5 if name == "skew" else 1)
            for name, choice in self._wanted.items()
        )
        controls = card.row(context, *numbers, classes=["gd-options-row"])
        self.root = card.box(context, controls, self.figure, classes=["gd-body"])
        context.on("theme", self._theme)

    def draw(self) -> None:
        """The grid as the settings want it."""
        tracker, plot = self.tracker, self.plot
        grid = tracker.grid()
        both = layout(grid, plot.abstract)
        rows = roomy(both.rows, FRONT[1], self._thin("row", both.rows))
        columns = roomy(both.columns, DEPTH, self._thin("column", both.columns))
        self.lines = type(both)(rows, columns)
        self.solid = solid = Solid(FRONT[0], rows.end, columns.end, self._wanted["skew"].value)
        changes = np.log10(np.maximum(plot.strip_values(grid, np.arange(len(rows.low))), 1e-30))
        known = changes[changes > -30]
        low, high = np.percentile(known, (2, 99.5)) if len(known) else (0.0, 1.0)
        which = grid.classes if plot.abstract else grid.columns.columns["class"]
        self._paint("front", shaded(front(solid, rows, changes), low, high), 0, 0)
        self._paint("right", self._cells(grid), solid.width, 0)
        rates = top(solid, columns, tracker.evidence.rates()[which])
        self._paint("top", shaded(rates, 0.0, 1.0), 0, solid.height)
        self._outline()
        self._names(grid)
        self.mark()

    def mark(self) -> None:
        """The selection, followed over the edges."""
        if self.solid is None:
            return
        chosen = marked(self.tracker, self.plot.abstract)
        (rows, columns), point = self.lines, self.solid.point
        patches, lines = [], []
        for i in chosen.rows:
            low, high = rows.low[i] / rows.end, rows.high[i] / rows.end
            patches.append([point(0, low), point(1, low), point(1, high), point(0, high)])
            patches.append([point(1, low), point(1, low, 1), point(1, high, 1), point(1, high)])
        for i in chosen.columns:
            low, high = columns.low[i] / columns.end, columns.high[i] / columns.end
            patches.append([point(0, 0, low), point(1, 0, low), point(1, 0, high), point(0, 0, high)])
            patches.append([point(1, 0, low), point(1, 1, low), point(1, 1, high), point(1, 0, high)])
        for dump in chosen.dumps:
            at = (dump + 0.5) / self.tracker.count
            lines += [(point(at, 1), point(at, 0)), (point(at, 0), point(at, 0, 1))]
        self.marks.data = {
            axis: [[corner[i] for corner in patch] for patch in patches]
            for i, axis in enumerate(("xs", "ys"))
        }
        names = (("x0", 0, 0), ("y0", 0, 1), ("x1", 1, 0), ("y1", 1, 1))
        self.dump_marks.data = {name: [line[end][axis] for line in lines] for name, end, axis in names}

    # -- parts ------------------------------------------------------------------------------------

    def _thin(self, name, lines):
        """The least thickness asked for, less where so many lines would not fit."""
        return min(self._wanted[name].value, MOST / max(len(lines.low), 1))

    def _cells(self, grid):
        """Colour numbers of the right face."""
        rows, columns = self.lines
        cells = np.full((len(rows.low), len(columns.low)), np.nan)
        if self.plot.abstract:
            counts = np.where(grid.counts > 0, grid.counts, np.nan)
            most = float(np.log(max(grid.counts.max(initial=1), 2)))
            return shaded(np.log(right(self.solid, rows, columns, counts)), -0.35 * most, most)
        cells[grid.rectangles.columns["part"], grid.rectangles.columns["column"]] = 1.0
        return shaded(right(self.solid, rows, columns, cells), 0.0, 1.0)

    def _paint(self, face, picture, x, y):
        height, width = picture.shape
        data = {"image": [picture], "x": [x], "y": [y], "dw": [width], "dh": [height]}
        self.pictures[face].data = data
        if face == "right":
            self.cells_glyph.color_mapper = self.counts_mapper if self.plot.abstract else self.sets_mapper

    def _outline(self):
        solid = self.solid
        dx, dy = solid.edge
        corners = solid.corners()
        self.faces.data = {"xs": [corners[f][0] for f in FACES], "ys": [corners[f][1] for f in FACES]}
        self.x.update(start=-BESIDE, end=solid.width + dx + AROUND + BELOW)
        self.y.update(start=-BELOW, end=solid.height + dy + AROUND)
        self.figure.height = round(min(solid.height + dy + BELOW + AROUND, MOST))

    def _names(self, grid):
        """Layers beside the front, classes under the right face, iterations under the front."""
        dumps, solid, (rows, columns) = self.tracker.dumps, self.solid, self.lines
        (dx, dy), texts = solid.edge, []
        layers = [dumps.nodes[i].name for i in self.tracker.evidence.layers[grid.layers]]
        for middle, name in _apart(rows.block_middle, layers, 1.0):
            texts.append((-6, solid.height - middle, name, "right", "middle", 0.0))
        classes = [dumps.classes[i] for i in grid.classes]
        for middle, name in _apart(columns.block_middle, classes, min(dx, dy) / columns.end + 0.3):
            share = middle / columns.end
            texts.append((solid.width + dx * share + 4, dy * share - 4, name, "left", "top", -0.35))
        count = self.tracker.count
        for dump in np.unique(np.linspace(0, count - 1, min(count, 6)).round().astype(int)):
            x = (dump + 0.5) / count * solid.width
            texts.append((x, -4, f"{dumps.iteration[dump]:,}", "center", "top", 0.0))
        names = ("x", "y", "text", "align", "baseline", "angle")
        self.names.data = {name: [text[i] for text in texts] for i, name in enumerate(names)}

    def _tapped(self, event):
        if self.solid is None:
            return
        face, first, second = self.solid.place(event.x, event.y)
        if face is None:
            return
        before = layout(self.tracker.grid(), self.plot.abstract)
        scale = {
            "along": lambda share: share * self.tracker.count - 0.5,
            "down": lambda share: _back(share, self.lines.rows, before.rows),
            "back": lambda share: _back(share, self.lines.columns, before.columns),
        }
        axes = {"front": ("along", "down"), "right": ("back", "down"), "top": ("along", "back")}[face]
        self.on_tap(face, *(scale[axis](share) for axis, share in zip(axes, (first, second), strict=True)))

    # -- models -----------------------------------------------------------------------------------

    def _glyphs(self):
        context, plot = self.context, self.plot
        self.faces = ColumnDataSource({"xs": [], "ys": []}, name="cube_faces")
        faces = Patches(xs="xs", ys="ys", line_width=1, fill_alpha=0.35)
        context.paint(
            figures.draw(self.figure, self.faces, faces).glyph, fill_color="grid", line_color="axis"
        )
        self.counts_mapper = LinearColorMapper(palette=plot.mapper.palette, low=0, high=255)
        self.sets_mapper = LinearColorMapper(palette=plot.dense_mapper.palette, low=0, high=255)
        self.pictures = {}
        for face in FACES:
            empty = {"image": [np.zeros((1, 1), np.uint8)], "x": [0], "y": [0], "dw": [1], "dh": [1]}
            source = self.pictures[face] = ColumnDataSource(empty, name=f"cube_{face}")
            glyph = Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=self.counts_mapper)
            drawn = figures.draw(self.figure, source, glyph)
            if face == "right":
                self.cells_glyph = drawn.glyph
        self.marks = ColumnDataSource({"xs": [], "ys": []}, name="cube_marks")
        bands = Patches(xs="xs", ys="ys", fill_alpha=0.12, line_width=1)
        drawn = figures.draw(self.figure, self.marks, bands)
        context.paint(drawn.glyph, fill_color="accent", line_color="accent")
        self.dump_marks = ColumnDataSource({name: [] for name in ("x0", "y0", "x1", "y1")}, name="cube_dumps")
        lines = Segment(x0="x0", y0="y0", x1="x1", y1="y1", line_width=1.5)
        context.paint(figures.draw(self.figure, self.dump_marks, lines).glyph, line_color="accent")
        columns = ("x", "y", "text", "align", "baseline", "angle")
        self.names = ColumnDataSource({name: [] for name in columns}, name="cube_names")
        words = Text(
            x="x", y="y", text="text", angle="angle", text_align={"field": "align"},
            text_baseline={"field": "baseline"}, text_font_size="11px",
        )  # fmt: skip
        context.paint(figures.draw(self.figure, self.names, words).glyph, text_color="muted")

    def _other(self) -> None:
        if len(self.tracker.grid().layers):
            self.draw()

    def _theme(self):
        self.counts_mapper.palette = self.plot.mapper.palette
        self.sets_mapper.palette = self.plot.dense_mapper.palette


def _apart(middles, names, scale):
    """(middle, name) of those names that do not overlap where a unit takes `scale` pixels."""
    last, kept = -np.inf, []
    for middle, name in zip(middles, names, strict=True):
        if middle * scale - last >= NAME_PX:
            kept.append((float(middle), name))
            last = middle * scale
    return kept


def _back(share, lines, before):
    """A place among widened lines as the place in the same line of the layout that they came from."""
    at = lines.at(share * lines.end)
    return -1.0 if at is None else float(before.middle[at])
