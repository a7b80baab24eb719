"""What the health panel's figures have in common: named bands of lines and distributions, clicks, marks."""

from typing import NamedTuple

import numpy as np
from bokeh.events import Tap
from bokeh.models import Range1d

from server.pages.tracker.layers import charts
from server.pages.tracker.layers.drawing import Drawing, Place, extent, points
from server.pages.tracker.layers.facets import Facets
from server.pages.tracker.layers.panel import extended

GAP = 10  # px between bands
LETTERS = 20  # of a name at most
INSET = 6  # px: labels of a scale stand within their band


class Row(NamedTuple):
    """A band: its name, lines {words: values [D]} or a distribution (min, q1, median, q3, max), and the node
    of the network that it belongs to, None for none."""

    name: str
    lines: dict[str, np.ndarray]
    five: tuple = ()
    node: int | None = None

    def values(self) -> list[np.ndarray]:
        """All that is drawn of it."""
        return [*self.lines.values(), *self.five]


class Bands:
    """figure; draw(rows, ...) replaces them; a click selects the dump and the band's layer."""

    def __init__(self, context, tracker, name: str):
        self.context, self.tracker = context, tracker
        self.y_range = Range1d(-1, 0, name=f"{name}_y")
        self.facets = Facets(context, tracker, name, self.y_range)
        self.figure = self.facets.figure
        self.figure.on_event(Tap, self._tapped)
        self.rows: list[Row] = []
        self.places: list[Place] = []

    def draw(self, rows: list[Row], height: float, *, own: bool, log: bool, marks=()) -> None:
        """Draws the rows, each `height` px high; own: a scale per row; marks: dashed lines."""
        self.rows = rows
        self.places = [Place(GAP / 2 + i * (height + GAP), height) for i in range(len(rows))]
        drawing, ticks = Drawing(), {}
        everything = [values for row in rows for values in row.values()]
        common = extent(np.concatenate(everything) if everything else [], log, marks)
        for row, place in zip(rows, self.places, strict=True):
            scale = extent(np.concatenate(row.values()), log, marks) if own else common
            self._row(drawing, row, place, scale)
            self._frame(drawing, place, scale, marks)
            bottom = -place.top - place.height
            ticks[bottom + INSET], ticks[-place.top - INSET] = f"{scale.low:.3g}", f"{scale.high:.3g}"
        total = len(rows) * (height + GAP)
        self.facets.draw(drawing, total, [])
        self.facets.scale(ticks)
        names = {-p.top - height / 2: _end(row.name) for row, p in zip(rows, self.places, strict=True)}
        self.facets.name_rows(names)
        self.y_range.update(start=-total, end=0)
        self.mark()

    def tell(self, tips) -> None:
        """As Facets.tell."""
        self.facets.tell(tips)

    def mark(self) -> None:
        """Marks the selected dumps and layers."""
        chosen = self.tracker.selection
        rows = [place for row, place in zip(self.rows, self.places, strict=True) if row.node in chosen.layers]
        self.facets.mark(chosen.dumps, [(-p.top, -p.top - p.height) for p in rows], [])

    # -- private ----------------------------------------------------------------------------------

    def _row(self, drawing: Drawing, row: Row, place: Place, scale) -> None:
        colours, most = self.context.palette.categories, points(len(self.rows))
        if row.five:
            charts.distribution(drawing, place, row.five, scale, colours[0], most)
            drawing.value(
                place, row.name, **dict(zip(("min", "q1", "median", "q3", "max"), row.five, strict=True))
            )
            return
        for i, values in enumerate(row.lines.values()):
            charts.line(drawing, place, values, scale, colours[i], most, ("solid", "dashed")[i % 2])
        drawing.value(place, row.name, **{f"value{i}": v for i, v in enumerate(row.lines.values())})

    def _frame(self, drawing: Drawing, place: Place, scale, marks) -> None:
        palette, low, high = self.context.palette, -0.5, self.tracker.count - 0.5
        bottom = -place.top - place.height
        drawing.stroke(low, bottom, high, bottom, palette.line)
        zero = [0.0] if scale.low < 0 < scale.high and not scale.log else []
        for value in [*marks, *zero]:
            y = float(place.y(scale.share([value]))[0])
            drawing.stroke(
                low, y, high, y, palette.muted if value else palette.axis, "dashed" if value else "solid"
            )

    def _tapped(self, event: Tap) -> None:
        dump = int(np.floor(event.x + 0.5))
        if not 0 <= dump < self.tracker.count:
            return
        self.tracker.toggle("dumps", dump, extended(event))
        nodes = [
            row.node
            for row, place in zip(self.rows, self.places, strict=True)
            if place.top <= -event.y <= place.top + place.height and row.node is not None
        ]
        if nodes and dump in self.tracker.selection.dumps:
            self.tracker.select(layers=nodes)


def _end(name: str) -> str:
    """A name's end, where it is too long to stand before a band."""
    return name if len(name) <= LETTERS else "…" + name[1 - LETTERS :]
