"""Many small pictures in one figure: a block per layer, a cell per filter, all in one diverging map.

One figure holds them all, since figures are dear and `image` is cheap. The values of a layer are
divided by their largest magnitude, so that 0 keeps the middle of the map and layers can be compared by
their pattern; the tip tells the value itself.
"""

from typing import NamedTuple

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d

from server.ui import figures

MOST = 64  # cells shown of a layer
FEWEST_COLUMNS, WIDE_COLUMNS, MOST_COLUMNS = 6, 10, 16
FOLDED = 8  # columns where a layer has more than WIDE_COLUMNS cells, unless there are too many for it
MANY = 120  # cells in all beyond which they are small
GAP = 0.12  # between cells, in cells
HEADING = 26.0  # px
EXPECTED = 640.0  # px, width of the figure that the headings are sized for
EMPTY: dict = {name: [] for name in ("image", "value", "x", "y", "dw", "dh", "layer", "cell")}


class Block(NamedTuple):
    """A layer: heading, and pictures [cells, H, W]; strip: units without a place, shown as one row."""

    layer: str
    words: str
    pictures: np.ndarray
    strip: bool = False


class Mosaic:
    """figure; source: one row per cell, NAME_cells; words: the headings, NAME_headings."""

    def __init__(self, context, name: str, *, unit: str):
        self.context = context
        self.source = ColumnDataSource(dict(EMPTY), name=f"{name}_cells")
        self.words = ColumnDataSource({"x": [], "y": [], "text": []}, name=f"{name}_headings")
        self.x_range, self.y_range = Range1d(0, 1), Range1d(-1, 0)
        self.mapper = LinearColorMapper(palette=list(context.palette.signed), low=-1, high=1)
        self.figure = picture(f"{name}_figure", self.x_range, self.y_range, 3.0)
        cells = self.figure.image(
            "image", x="x", y="y", dw="dw", dh="dh", source=self.source, color_mapper=self.mapper
        )
        heads = self.figure.text(
            "x", "y", "text", source=self.words, text_baseline="bottom",
            text_font={"value": "Inter"}, text_font_size="11px",
        )  # fmt: skip
        context.paint(heads.glyph, text_color="muted")
        tips = [("layer", "@layer"), (unit, "@cell"), ("value", "@value{%.4g}")]
        hover = HoverTool(renderers=[cells], tooltips=tips, visible=False)
        hover.formatters = {"@value": "printf"}
        self.figure.add_tools(hover)

    def draw(self, blocks: list[Block]) -> None:
        """Lays the blocks under one another."""
        columns = _columns([min(len(block.pictures), MOST) for block in blocks if not block.strip])
        heading = HEADING * columns / EXPECTED
        cells: dict[str, list] = {name: [] for name in EMPTY}
        words: dict[str, list] = {"x": [], "y": [], "text": []}
        top = 0.0
        for block in blocks:
            top += heading
            for name, value in (("x", 0.0), ("y", -top + heading * 0.2), ("text", _heading(block))):
                words[name].append(value)
            top += _place(block, cells, top, columns) + heading * 0.15
        self.source.data, self.words.data = cells, words
        self.x_range.update(start=0, end=columns - GAP)
        self.y_range.update(start=-max(top, heading), end=0)
        self.figure.aspect_ratio = (columns - GAP) / max(top, heading)


def picture(name: str, x_range: Range1d, y_range: Range1d, aspect: float):
    """A figure that is nothing but its frame, `aspect` times as wide as high; neither drag nor wheel."""
    plot = figures.figure(name, height=100, x_range=x_range, y_range=y_range)
    plot.update(height=None, sizing_mode="scale_width", aspect_ratio=aspect)
    plot.update(min_border_left=0, min_border_right=0, min_border_top=0, min_border_bottom=0)
    plot.background_fill_alpha = 0
    plot.toolbar.active_drag = plot.toolbar.active_scroll = None
    plot.tools = []
    plot.axis.visible, plot.grid.visible = False, False
    return plot


def _columns(counts: list[int]) -> int:
    """Cells in a row: large pictures where they are few."""
    if sum(counts) > MANY:
        return MOST_COLUMNS
    widest = max(counts, default=FEWEST_COLUMNS)
    return max(widest, FEWEST_COLUMNS) if widest <= WIDE_COLUMNS else FOLDED


def _heading(block: Block) -> str:
    count = len(block.pictures)
    shown = f" · the first {MOST} of {count:,}" if count > MOST else ""
    return f"{block.layer} · {block.words}{shown}"


def _place(block: Block, cells: dict, top: float, columns: int) -> float:
    """Adds a block's cells below `top`; its height."""
    pictures = np.asarray(block.pictures[:MOST], np.float32)
    finite = pictures[np.isfinite(pictures)]
    largest = float(np.abs(finite).max()) if finite.size and np.abs(finite).max() > 0 else 1.0
    if block.strip:
        per_row, width, height = MOST, columns / MOST, min(columns / MOST, 0.5)
        gap = 0.1 * width
    else:
        per_row, width = columns, 1.0
        height, gap = pictures.shape[1] / pictures.shape[2], GAP
    for index, values in enumerate(pictures):
        row, at = divmod(index, per_row)
        cells["image"].append(values[::-1] / largest)
        cells["value"].append(values[::-1])
        cells["x"].append(at * width)
        cells["y"].append(-top - (row + 1) * height + gap)
        cells["dw"].append(width - gap)
        cells["dh"].append(height - gap)
        cells["layer"].append(block.layer)
        cells["cell"].append(index)
    return -(-len(pictures) // per_row) * height
