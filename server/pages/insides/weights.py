"""The card of the filters: what each layer looks for. Kuchta 2023, section 4.1.

Kernels of convolutions, and the weights of dense layers that look at pixels, as pictures.
"""

import numpy as np
from bokeh.models import Select

from gdlab.messages import counted
from gdlab.records import Table
from server.ui import card
from server.ui.mosaic import Block, Mosaic
from server.ui.query import CardQuery

MEAN = "mean"


class Filters:
    """ask(run, iteration) draws the kernels; image: shape [H, W, C] of the data, told once it is known."""

    def __init__(self, context, sheet):
        self.context = context
        self.image: tuple[int, ...] | None = None
        self.mosaic = Mosaic(context, "filters", unit="filter")
        self.query = CardQuery(context, self._show, self._say, name="filters")
        self.input = Select(
            name="filters_input",
            options=[(MEAN, "mean over inputs")],
            value=MEAN,
            width=140,
            stylesheets=[context.sheet],
            html_attributes={"title": "Input channel whose weights are shown"},
        )
        self.input.on_change("value", lambda a, o, n: self._show(self.query.rows()))
        self.query.layouts = [self.mosaic.figure]
        body = card.box(context, self.mosaic.figure, self.query.progress.root, classes=["gd-body"])
        body.stylesheets = [*body.stylesheets, sheet]
        self.root = card.card(
            context, "Filters", "", body, name="filters", figures=[self.mosaic.figure],
            csv=self.table, controls=[self.input], span=6,
        )  # fmt: skip

    def ask(self, run, iteration: int) -> None:
        """Draws the filters of this iteration."""
        self.query.probe(run, "filters", {"iteration": iteration})

    def set_image(self, shape: tuple[int, ...]) -> None:
        """Dense layers behind the pixels can be shown as pictures of this shape."""
        if shape != self.image:
            self.image = shape
            if self.query.answer is not None:
                self._show(self.query.answer)

    def table(self) -> Table:
        """For CSV: one row per weight that is a number of a kernel."""
        rows = []
        for layer, kernel in self.query.rows().columns.items():
            flat = np.reshape(kernel, (-1, kernel.shape[-1]))
            names = np.repeat(layer, flat.size)
            index, unit = (axis.ravel() for axis in np.indices(flat.shape))
            rows.append((names, index, unit, flat.ravel()))
        keys = ("layer", "input", "filter", "weight")
        columns = {
            key: np.concatenate(part) for key, part in zip(keys, zip(*rows, strict=True), strict=False)
        }
        return Table(columns, dict.fromkeys(columns, ("weight",)), {})

    def _show(self, table: Table) -> None:
        self._offer(table)
        blocks, left = [], []
        image = self.image
        for layer, kernel in table.columns.items():
            block = _block(layer, kernel, self.input.value, image)
            if block is None:
                left.append(layer)
            else:
                blocks.append(block)
                image = None  # what stands behind another layer does not look at pixels
        self.mosaic.figure.visible = bool(blocks)
        self.mosaic.draw(blocks)
        words = "Red is positive, blue negative, each layer divided by its largest weight." if blocks else ""
        if left:
            words += f" Not shown, since their inputs have no place in an image: {', '.join(left)}."
        self._say(words.strip() or "No layer has filters.")

    def _offer(self, table: Table) -> None:
        """As many inputs to choose from as the layer with most of them has, up to 32."""
        most = max((kernel.shape[2] for kernel in table.columns.values() if kernel.ndim == 4), default=1)
        options = [(MEAN, "mean over inputs"), *((str(i), f"input {i}") for i in range(min(most, 32)))]
        self.input.visible = most > 1
        if self.input.options != options:
            self.input.options = options

    def _say(self, words: str) -> None:
        card.retitle(self.root, caption=words)


def _block(layer: str, kernel, wanted: str, image) -> Block | None:
    """The pictures of a layer, or None where its inputs have no place."""
    if kernel.ndim == 4:
        rows, columns, inputs, count = kernel.shape
        words = f"{counted(count, 'filter')} of {rows} × {columns}"
        if inputs > 1:
            words += f" over {counted(inputs, 'input')}"
        if wanted == MEAN:
            return Block(layer, words, np.moveaxis(kernel.mean(axis=2), -1, 0))
        at = min(int(wanted), inputs - 1)
        words += f", input {at}" if inputs > 1 else ""
        return Block(layer, words, np.moveaxis(kernel[:, :, at], -1, 0))
    if image is not None and len(image) == 3 and kernel.shape[0] == np.prod(image):
        pictures = kernel.T.reshape(-1, *image).mean(axis=-1)
        return Block(
            layer, f"{counted(kernel.shape[1], 'unit')} over {image[0]} × {image[1]} pixels", pictures
        )
    return None
