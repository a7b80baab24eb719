"""The card of the feature maps: what each layer makes of the chosen image. Kuchta 2023, section 4.1."""

import numpy as np

from gdlab.messages import counted
from gdlab.records import Table
from server.ui import card
from server.ui.mosaic import Block, Mosaic


class FeatureMaps:
    """show(table) draws the answer of the probe "feature_maps"."""

    def __init__(self, context, sheet):
        self.table: Table | None = None
        self.mosaic = Mosaic(context, "maps", unit="filter")
        body = card.box(context, self.mosaic.figure, classes=["gd-body"])
        body.stylesheets = [*body.stylesheets, sheet]
        self.root = card.card(
            context, "Feature maps", "", body, name="maps", figures=[self.mosaic.figure],
            csv=self._rows, span=6,
        )  # fmt: skip

    def show(self, table: Table) -> None:
        """Draws every layer's response to the image."""
        self.table, self.mosaic.figure.visible = table, True
        blocks = [_block(layer, table.columns[layer]) for layer in shown_layers(table.attrs["layers"])]
        self.mosaic.draw(blocks)
        card.retitle(
            self.root,
            caption="What the image becomes, before the activation function: behind a ReLU only red passes. "
            "Each layer divided by its largest value.",
        )

    def fail(self, words: str) -> None:
        """Says why there are none."""
        self.mosaic.figure.visible = False
        card.retitle(self.root, caption=words)

    def _rows(self) -> Table:
        if self.table is None:
            return Table({}, {}, {})
        parts = []
        for layer in shown_layers(self.table.attrs["layers"]):
            flat = np.reshape(self.table.columns[layer], (-1, self.table.columns[layer].shape[-1]))
            place, unit = (axis.ravel() for axis in np.indices(flat.shape))
            parts.append((np.repeat(layer, flat.size), place, unit, flat.ravel()))
        keys = ("layer", "place", "filter", "value")
        columns = {
            key: np.concatenate(part) for key, part in zip(keys, zip(*parts, strict=True), strict=True)
        }
        return Table(columns, dict.fromkeys(columns, ("value",)), {})


def shown_layers(layers) -> list[str]:
    """Without dropout, which passes everything on when nobody trains."""
    return [layer for layer in layers if not layer.rpartition("/")[2].startswith("Dropout")]


def _block(layer: str, values) -> Block:
    values = np.asarray(values)
    if values.ndim == 3:
        count = values.shape[-1]
        words = f"{counted(count, 'map')} of {values.shape[0]} × {values.shape[1]}"
        return Block(layer, words, np.moveaxis(values, -1, 0))
    return Block(layer, counted(values.size, "unit"), values.reshape(-1, 1, 1), strip=True)
