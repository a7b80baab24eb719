"""The network's structure from top to bottom, with its hierarchy, and the labels of the rows beside it.

From the left: the data flow as lines and side arcs, layers and closed groups as boxes, a level bar per open
or closed group (the outermost farthest right), and leader lines to the rows' labels. DeepTracker 2018,
Figure 4 (a) to (d).
"""

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, MultiLine, Quad, Range1d, Scatter, Text

from gdlab.messages import counted
from server.pages.tracker.layers import layout
from server.pages.tracker.layers.facets import BOTTOM, TOP
from server.ui import figures

ARC, LEFT, WIDTH = 34, 40, 74  # px: room for arcs, where boxes begin, how wide they are
BAR, STEP, LEADERS, LABEL = 6, 9, 40, 124  # px: width of a level bar, from one to the next, and what follows
TEXTS = 11  # px a box needs for its name

COLOURS = {
    "conv": lambda p: p.categories[0],
    "dense": lambda p: p.categories[1],
    "group": lambda p: p.categories[2],
    "idle": lambda p: p.context,
    "bar": lambda p: p.horizon[1],
}


class Structure:
    """figure; draw(...) what the rows show; at(x, y) tells what a reader has clicked."""

    def __init__(self, context, tree, y_range: Range1d, *, name: str = "layers_structure"):
        self.context, self.tree, self.name = context, tree, name
        self.begin = LEFT + WIDTH + 8  # of the level bars
        self.labels = self.begin + STEP * tree.levels + LEADERS
        self.width = self.labels + STEP * tree.levels + LABEL
        shapes = {
            "boxes": (
                "left",
                "right",
                "top",
                "bottom",
                "colour",
                "alpha",
                "node",
                "name",
                "kind",
                "words",
                "outline",
            ),
            "lines": ("xs", "ys", "colour", "alpha"),
            "texts": ("x", "y", "text", "colour", "size", "style", "align"),
            "marks": ("x", "y"),
        }
        self.sources = {
            kind: ColumnDataSource({column: [] for column in columns}, name=f"{name}_{kind}")
            for kind, columns in shapes.items()
        }
        self._places: dict[int, tuple[float, float]] = {}
        self._bands: list = []
        self.figure = self._figure(y_range)

    def draw(self, bands, boxes, links, *, chosen=(), counts=None, total: float) -> None:
        """Replaces everything: bands and boxes (nodes) of the layout, links between boxes, nodes that are
        selected, counts {node: words of the filters selected in it}, and the height of it all."""
        self._bands, self._places = bands, layout.structure(boxes, bands)
        self._rows = {kind: {c: [] for c in source.data} for kind, source in self.sources.items()}
        shown = {band.row.node for band in bands}
        for node in boxes:
            self._box(node, shown, chosen)
        spans = self._bars(boxes, shown, chosen)
        self._links(links, boxes)
        for band in bands:
            node = band.row.node
            self._label(band, spans, node_chosen=node in chosen, count=(counts or {}).get(node))
        for kind, source in self.sources.items():
            source.data = self._rows[kind]
        self.figure.update(height=int(total) + TOP + BOTTOM)

    def mark(self, heights) -> None:
        """Marks rows of pixels beside the charts."""
        self.sources["marks"].data = {"x": [self.width - 5] * len(heights), "y": list(heights)}

    def at(self, x: float, y: float) -> tuple[str, int] | None:
        """("label", node), ("box", node) or ("bar", node) at a point of the figure; None elsewhere."""
        down = -y
        if x >= self.labels - LEADERS / 2:
            for band in self._bands:
                if band.top - layout.GAP / 2 <= down <= band.bottom + layout.GAP / 2:
                    return "label", band.row.node
            return None
        boxes = self.sources["boxes"].data
        for i in range(len(boxes["node"]) - 1, -1, -1):
            wide = boxes["left"][i] - 2 <= x <= boxes["right"][i] + 2
            if wide and boxes["bottom"][i] - 1 <= y <= boxes["top"][i] + 1:
                return ("bar" if boxes["left"][i] >= self.begin else "box"), boxes["node"][i]
        return None

    # -- private ----------------------------------------------------------------------------------

    def _add(self, shape, /, **cells):
        for name, cell in cells.items():
            self._rows[shape][name].append(cell)

    def _quad(self, node, left, right, top, bottom, role, alpha, chosen):
        found = self.tree.nodes[node]
        palette = self.context.palette
        words = f"{counted(found.filters, 'filter')}, {counted(found.size, 'weight')}"
        self._add(
            "boxes", left=left, right=right, top=-top, bottom=-bottom, colour=palette.colour(COLOURS[role]),
            alpha=alpha, node=node, name=found.name, kind=found.kind, words=words,
            outline=palette.dot if node in chosen else "rgba(0, 0, 0, 0)",
        )  # fmt: skip

    def _box(self, node, shown, chosen):
        top, bottom = self._places[node]
        kind = self.tree.nodes[node].kind
        role = kind if node in shown else "idle"
        self._quad(node, LEFT, LEFT + WIDTH, top, bottom, role if role in COLOURS else "conv", 0.85, chosen)
        if bottom - top >= TEXTS and node in shown:
            words = _fit(self.tree.short(node), WIDTH - 8, 5.6)
            self._text(LEFT + WIDTH / 2, (top + bottom) / 2, words, "card", "10px", "center")

    def _bars(self, boxes, shown, chosen) -> dict[int, tuple[float, float]]:
        """Draws a bar per node; {node: its leader line's begin}: its middle, or an open group's top."""
        spans: dict[int, list[float]] = {}
        for node in boxes:
            top, bottom = self._places[node]
            for one in (node, *self.tree.above(node)):
                span = spans.setdefault(one, [top, bottom])
                span[0], span[1] = min(span[0], top), max(span[1], bottom)
        out = {}
        for node, (top, bottom) in spans.items():
            left = self.begin + STEP * (self.tree.levels - 1 - self.tree.depth[node])
            faint = 0.9 if node in shown else 0.3
            self._quad(node, left, left + BAR, top, bottom, "bar", faint, chosen)
            out[node] = (left + BAR, (top + bottom) / 2 if node in self._places else top + 2)
        return out

    def _links(self, links, boxes):
        place = {node: i for i, node in enumerate(boxes)}
        ink = self.context.palette.muted
        for a, b in links:
            (_, above), (below, _) = self._places[a], self._places[b]
            if place[b] == place[a] + 1:
                middle = LEFT + WIDTH / 2
                self._line([middle, middle], [-above, -below], ink, 0.9)
                continue
            one, other = (sum(self._places[node]) / 2 for node in (a, b))
            deep = ARC * (1 - 1 / (1 + 0.35 * abs(place[b] - place[a])))
            turn = np.linspace(0, np.pi, 17)
            xs = LEFT - deep * np.sin(turn) ** 0.7
            ys = -(one + (other - one) * (1 - np.cos(turn)) / 2)
            self._line(xs, ys, ink, 0.9)

    def _label(self, band, spans, node_chosen, count):
        node, depth = band.row.node, band.row.depth
        palette, middle = self.context.palette, band.middle
        right, from_y = spans[node]
        left, end = self.labels + STEP * depth, self.labels + STEP * self.tree.levels
        xs, ys = [right, right + 6, left - 10, left], [-from_y, -from_y, -middle, -middle]
        self._line(xs, ys, palette.context, 1)
        top, bottom = (band.top, band.top + (band.chart or band.pixels))
        alpha, outlined = (0.9, (node,)) if node_chosen else (0.45, ())
        self._quad(node, left, end - 3, top, bottom, "bar", alpha, outlined)
        found = self.tree.nodes[node]
        above = {other.row.node for other in self._bands}
        name = self.tree.short(node) if found.parent < 0 or found.parent in above else found.name
        sign = "▾ " if band.row.open else "▸ "
        tall = (band.chart or band.pixels) >= 30
        words = _fit((sign if found.filters and band.chart else "") + name, LABEL - 8, 6.4)
        self._text(end + 2, middle - (7 if tall else 0), words, "ink", "11px", "left", bold=node_chosen)
        if tall:
            shown = f"{len(band.filters):,} of " if not band.chart else ""
            rest = count or (f"{shown}{counted(found.filters, 'filter')}" if found.filters else "no filters")
            self._text(end + 2, middle + 8, rest, "dot" if count else "muted", "10px", "left")

    def _line(self, xs, ys, colour, alpha):
        self._add("lines", xs=np.asarray(xs, float), ys=np.asarray(ys, float), colour=colour, alpha=alpha)

    def _text(self, x, y, words, role, size, align, bold=False):
        style, colour = "bold" if bold else "normal", self.context.palette.colour(role)
        self._add("texts", x=x, y=-y, text=words, colour=colour, size=size, style=style, align=align)

    def _figure(self, y_range):
        plot = figures.figure(
            f"{self.name}_figure", height=200, x_range=Range1d(0, self.width), y_range=y_range
        )
        plot.update(sizing_mode="fixed", width=self.width, min_border_left=0, min_border_right=0)
        plot.update(min_border_top=TOP, min_border_bottom=BOTTOM)
        plot.axis.visible, plot.grid.visible = False, False
        plot.tools, plot.background_fill_alpha = [], 0
        lines = MultiLine(xs="xs", ys="ys", line_color="colour", line_alpha="alpha", line_width=1)
        figures.draw(plot, self.sources["lines"], lines)
        boxes = Quad(
            left="left", right="right", top="top", bottom="bottom", fill_color="colour", fill_alpha="alpha",
            line_color="outline", line_width=2, border_radius=3,
        )  # fmt: skip
        boxes = figures.draw(plot, self.sources["boxes"], boxes)
        words = Text(
            x="x", y="y", text="text", text_color="colour", text_font_size="size", text_font_style="style",
            text_align="align", text_baseline="middle", text_font={"value": "Inter"},
        )  # fmt: skip
        figures.draw(plot, self.sources["texts"], words)
        mark = Scatter(x="x", y="y", marker="triangle", angle=-np.pi / 2, size=7, line_alpha=0)
        figures.draw(plot, self.sources["marks"], self.context.paint(mark, fill_color="dot"))
        tips = [("", "@name"), ("", "@words")]
        plot.add_tools(HoverTool(renderers=[boxes], tooltips=tips, visible=False))
        return plot


def _fit(words: str, width: float, letter: float) -> str:
    """The end of words that are wider than `width` px; letter: of one letter on average."""
    most = max(3, int(width / letter))
    return words if len(words) <= most else "…" + words[1 - most :]
