"""Where the rows of the layer view stand: their heights, and the network's structure over the same height.

No Bokeh here. Heights are pixels, counted downwards from 0.
"""

from typing import NamedTuple

import numpy as np

from server.pages.tracker.layers.drawing import Place
from server.pages.tracker.layers.tree import Row

FULL, LEAST, MOST = 460, 34, 84  # px: of all charts, and of one chart at least and at most
GAP = 8  # between rows
SIZES = {"fit": "fit", "one": "1 px per filter", "three": "3 px per filter"}
FIT, CELL = 220, 8  # px: of an unfolded layer at most, and of one of its filters at most
STRIPS, FEWEST = 1000, 14  # px: of all strips together, and of one layer's at least
BOX = 15  # px, height of a box of the structure at most


class Band(NamedTuple):
    """A row on the screen: its chart, and below it its filters; either height may be 0.

    filters: positions in the network of the filters shown as pixels, from top to bottom.
    """

    row: Row
    top: float
    chart: float
    pixels: float
    filters: np.ndarray

    @property
    def bottom(self) -> float:
        """Its lower end."""
        return self.top + self.chart + self.pixels + (GAP / 2 if self.chart and self.pixels else 0)

    @property
    def middle(self) -> float:
        """Where its label stands: at the chart, or at the pixels where there is no chart."""
        return self.top + (self.chart or self.pixels) / 2

    def chart_place(self) -> Place:
        """Where its chart is drawn."""
        return Place(self.top, self.chart)

    def pixel_place(self) -> Place:
        """Where its filters are drawn."""
        return Place(self.bottom - self.pixels, self.pixels)

    def filter_at(self, y: float) -> int | None:
        """The position in the network of the filter at a height, None where there is none."""
        place = self.pixel_place()
        if not len(self.filters) or not 0 <= y - place.top < place.height:
            return None
        return int(self.filters[int((y - place.top) / place.height * len(self.filters))])

    def height_of(self, index) -> np.ndarray:
        """The middles of some of its filters, by position among them."""
        place = self.pixel_place()
        return place.top + (np.asarray(index) + 0.5) * place.height / max(1, len(self.filters))


def charts(rows: list[Row], filters: dict[int, np.ndarray], size: str) -> list[Band]:
    """The bands of charts; filters: {node: its filters} of the layers that are unfolded."""
    height = float(np.clip((FULL - GAP * len(rows)) / max(1, len(rows)), LEAST, MOST))
    bands, top = [], GAP / 2
    for row in rows:
        inside = filters.get(row.node, np.empty(0, np.int64))
        band = Band(row, top, height, unfolded(len(inside), size), inside)
        bands.append(band)
        top = band.bottom + GAP
    return bands


def strips(rows: list[Row], filters: dict[int, np.ndarray]) -> list[Band]:
    """The bands where each filter is a strip of colour and there is no chart."""
    total = sum(len(found) for found in filters.values())
    each = min(CELL, STRIPS / max(1, total))
    bands, top = [], GAP / 2
    for row in rows:
        inside = filters[row.node]
        band = Band(row, top, 0.0, max(FEWEST, round(each * len(inside))), inside)
        bands.append(band)
        top = band.bottom + GAP
    return bands


def unfolded(filters: int, size: str) -> float:
    """Height of a layer's filters by one of SIZES."""
    if size == "fit":
        return float(min(filters * CELL, FIT))
    return float(filters * {"one": 1, "three": 3}[size])


def height(bands: list[Band]) -> float:
    """Of the whole figure."""
    return bands[-1].bottom + GAP / 2 if bands else float(LEAST)


def structure(boxes: list[int], bands: list[Band]) -> dict[int, tuple[float, float]]:
    """{node: (top, bottom)} of the boxes: each beside its row where all have one, else spread out."""
    rows = {band.row.node: band.middle for band in bands}
    if all(node in rows for node in boxes):
        return {node: (rows[node] - BOX / 2, rows[node] + BOX / 2) for node in boxes}
    pitch = height(bands) / max(1, len(boxes))
    size = min(BOX, 0.7 * pitch)
    middles = pitch * (np.arange(len(boxes)) + 0.5)
    return {node: (float(y - size / 2), float(y + size / 2)) for node, y in zip(boxes, middles, strict=True)}
