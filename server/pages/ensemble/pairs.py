"""A heat map for every pair of hyper-parameters, where there are more than two: facets of one figure.

The facets stand in a triangle: columns and rows are hyper-parameters. A click selects a cell's runs, a double
click shows the pair large.
"""

import numpy as np
from bokeh.events import DoubleTap, Tap
from bokeh.models import FixedTicker, LinearAxis, LinearColorMapper, Range1d
from bokeh.models.glyphs import Image, Quad, Scatter

from gdlab.messages import counted
from gdlab.records import Table
from server.pages.ensemble.heat import heat, levels
from server.pages.ensemble.panel import Panel, view_of
from server.ui import card, figures

MOST = 12  # hyper-parameters
GAP = 0.1  # between facets, each of which is 1 wide and high
LETTERS, NAME_LETTERS = 14, 24  # of a label, of a name
CLEAR = "#00000000"


class Pairs(Panel):
    """root: the card, hidden below three hyper-parameters."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_pairs")
        self.heat = heat(shared)
        self.frames = self.source("frames", "left", "right", "bottom", "top")
        self.images = self.source("images", "image", "x", "y", "w", "h")
        self.places = self.source("places", "x", "y", "width", "height")
        self.dots = self.source("dots", "x", "y", "colour")
        self.mapper = LinearColorMapper(low=0, high=1, nan_color=CLEAR, palette=self._palette())
        self.figure = self._figure()
        body = card.box(self.context, self.figure, classes=["gd-body"])
        self.root = card.card(
            self.context,
            "Performance by pairs",
            "",
            body,
            read="pairs",
            name=self.name,
            figures=[self.figure],
            csv=self._table,
        )
        self.draws("my.dots(kit, {cells: places, out: dots})", places=self.places, dots=self.dots)
        self.figure.js_on_event(Tap, self.listen("my.tap_cell(kit, event, places)", places=self.places))
        self.figure.on_event(DoubleTap, lambda event: self._enlarge(event.x, event.y))
        for event in ("measures", "axes", "pair"):
            self.context.on(event, self.update)
        self.context.on("theme", self._theme)

    def update(self) -> None:
        """All facets."""
        names = self.heat.names[:MOST]
        self.root.visible = len(names) > 2
        if len(names) <= 2:
            return
        count = len(names) - 1
        self._axes(names)
        images, places = [], []
        for x, y in self.heat.pairs(MOST):
            grid = self.heat.grid(x, y)
            left, bottom = self._corner(names, x, y)
            high, wide = grid.mean.shape
            images.append((grid.mean, left, bottom))
            width, height = np.full((2, self.shared.count), 1.0) / [[wide], [high]]
            places.append((left + (grid.x + 0.5) * width, bottom + (grid.y + 0.5) * height, width, height))
        known = np.concatenate([image[np.isfinite(image)] for image, _, _ in images])
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        figures.fit_bar(self.mapper, None, low, high)
        lefts, bottoms = (np.array([image[side] for image in images]) for side in (1, 2))
        self.frames.data = {"left": lefts, "right": lefts + 1, "bottom": bottoms, "top": bottoms + 1}
        self.images.data = {
            "image": [image for image, _, _ in images], "x": lefts, "y": bottoms,
            "w": np.ones(len(images)), "h": np.ones(len(images)),
        }  # fmt: skip
        columns = (np.concatenate(part) for part in zip(*places, strict=True))
        self.places.data = dict(zip(("x", "y", "width", "height"), columns, strict=True))
        self.figure.height = int(min(760, max(300, 92 * count + 60)))
        words = "Click a cell to select its runs; double-click a facet to see it large."
        more = len(self.heat.names) - len(names)
        if more > 0:
            words += f" {counted(more, 'more hyper-parameter')} {'is' if more == 1 else 'are'} in no facet."
        card.retitle(self.root, caption=words)
        self.redraw()

    def _corner(self, names, x: str, y: str) -> tuple[float, float]:
        """Left and bottom of the facet: x counts from the left, y from the top."""
        across, down = names.index(x), names.index(y) - 1
        return across * (1 + GAP), (len(names) - 2 - down) * (1 + GAP)

    def _enlarge(self, x: float, y: float) -> None:
        names = self.heat.names[:MOST]
        for pair in self.heat.pairs(MOST):
            left, bottom = self._corner(names, *pair)
            if left <= x <= left + 1 and bottom <= y <= bottom + 1:
                self.heat.choose(*pair)

    def _axes(self, names) -> None:
        end = (len(names) - 1) * (1 + GAP)
        self.figure.x_range.update(start=-GAP, end=end)
        self.figure.y_range.update(start=-GAP, end=end)
        middles = [0.5 + i * (1 + GAP) for i in range(len(names) - 1)]
        across = dict(zip(middles, names[:-1], strict=True))
        down = dict(zip(reversed(middles), names[1:], strict=True))
        sides = ((self.figure.xaxis, across), (self.figure.yaxis, down))
        for (ticks, title), words in sides:
            figures.name_ticks(
                title, {at: figures.shortened(word, NAME_LETTERS) for at, word in words.items()}
            )
            ends = [self._ends(name, at) for at, name in words.items()]
            figures.name_ticks(ticks, {at: word for pair in ends for at, word in pair.items()})
        longest = max(map(len, self.figure.xaxis[0].major_label_overrides.values()))
        self.figure.xaxis[0].major_label_orientation = 0.7 if longest > 4 else "horizontal"

    def _ends(self, name: str, middle: float) -> dict[float, str]:
        """{place: label} of the first and the last cell of a facet whose middle is there."""
        labels = levels(self.shared.axis(name)).labels
        half = 0.5 - 0.5 / len(labels)
        ends = {middle - half: labels[0], middle + half: labels[-1]}
        return {at: figures.shortened(word, LETTERS) for at, word in ends.items()}

    def _figure(self):
        plot = figures.figure(f"{self.name}_figure", height=400, x_range=Range1d(0, 1), y_range=Range1d(0, 1))
        plot.tools = []
        plot.grid.visible = False
        plot.min_border_bottom = 26
        for side in ("below", "left"):  # next to the facets their first and last cells, then the names
            title = LinearAxis(
                ticker=FixedTicker(ticks=[], minor_ticks=[]), major_label_text_font_style="bold"
            )
            plot.add_layout(title, side)
        for axis in plot.axis:
            axis.ticker = FixedTicker(ticks=[], minor_ticks=[])
        plot.axis.axis_line_color = plot.axis.major_tick_line_color = None
        frames = Quad(left="left", right="right", bottom="bottom", top="top")
        self.context.paint(frames, fill_color="page", line_color="line")  # a facet without cells is one, too
        figures.draw(plot, self.frames, frames)
        image = Image(image="image", x="x", y="y", dw="w", dh="h", color_mapper=self.mapper)
        figures.draw(plot, self.images, image)
        dots = Scatter(x="x", y="y", size=5, fill_color="colour", line_width=0.5)
        figures.draw(plot, self.dots, self.context.paint(dots, line_color="card"))
        return plot

    def _palette(self) -> list[str]:
        return list(self.context.palette.cells)

    def _theme(self) -> None:
        self.mapper.palette = self._palette()

    def _table(self) -> Table:
        """For CSV: a row per cell of each pair."""
        parts: dict[str, list] = {name: [] for name in ("x", "y", "x_value", "y_value", "value", "runs")}
        for x, y in self.heat.pairs(MOST):
            grid = self.heat.grid(x, y)
            across, upwards = (levels(self.shared.axis(name)).labels for name in (x, y))
            for (row, column), value in np.ndenumerate(grid.mean):
                cell = (x, y, across[column], upwards[row], value, grid.runs[row, column])
                for name, entry in zip(parts, cell, strict=True):
                    parts[name].append(entry)
        columns = {name: np.array(values) for name, values in parts.items()}
        return Table(columns, dict.fromkeys(columns, ("cell",)), {"measures": self.heat.measures})


build = view_of(Pairs)
