"""The card of one image: itself, the pixels its answer hangs on, and the share of each class.

Saliency: the gradient of the predicted class's logit with respect to the image. Simonyan, Vedaldi,
Zisserman 2014; Kuchta 2023, section 4.1.
"""

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    Range1d,
)

from gdlab.records import Table
from server.pages.insides.choice import InsidesChoice
from server.ui import card, figures, sheets
from server.ui.choices import Choice, button
from server.ui.mosaic import picture
from server.ui.query import CardQuery

MOST_CLASSES = 20  # bars shown: the most probable


class Picture:
    """ask() shows the chosen image at the chosen iteration; shown(table) is told every answer."""

    def __init__(self, context, choice: InsidesChoice, shown, failed, sheet):
        self.context, self.choice, self._shown, self._failed = context, choice, shown, failed
        self.query = CardQuery(context, self._show, self._fail, name="picture")
        self.random = np.random.default_rng()
        self.image, self.saliency, self.bars = self._sources()
        self.counts: dict[tuple[str, str], int] = {}
        self.heat = LinearColorMapper(palette=list(context.palette.magnitudes), low=0, high=1)
        self.plots = [self._still("image", self.image), self._still("saliency", self.saliency)]
        self.scores = self._scores()
        pair = card.row(context, *self.plots, classes=["gd-pair"], sizing_mode="stretch_width")
        body = card.box(context, pair, self.scores, self.query.progress.root, classes=["gd-body"])
        self._image = Choice(
            context, "image", 0, (0, 10**9), help="Position of the image in the data, from 0",
            changed=lambda value: self.ask(),
        )  # fmt: skip
        self.shuffle = button(
            context, "Shuffle", "picture_shuffle", "Any other image", self._shuffle, disabled=True
        )
        self.query.layouts = [pair, self.scores]
        sheets.wear(sheet, body, pair)
        self.root = card.card(
            context, "Image and saliency", "", body, name="picture", figures=[*self.plots, self.scores],
            csv=self._rows, controls=[self._image.number("picture_number", width=90), self.shuffle], span=5,
        )  # fmt: skip
        context.on("theme", self._theme)

    def ask(self) -> None:
        """Shows the chosen image at the chosen iteration."""
        options = {"iteration": self.choice.iteration, "on": self.choice.part, "image": self._image.value}
        self.query.probe(self.choice.run, "feature_maps", options)
        self.shuffle.disabled = self._count < 2

    def know(self, part: str, count: int) -> None:
        """So many images of a part of the run's data are there to be chosen from."""
        self.counts[self.choice.run_name, part] = count
        self.shuffle.disabled = self._count < 2

    # -- what was chosen --------------------------------------------------------------------------

    def _shuffle(self) -> None:
        other = int(self.random.integers(self._count - 1))
        self._image.set(other + (other >= self._image.value))

    @property
    def _count(self) -> int:
        """How many images are known to be there; 0 as long as nobody has counted."""
        if self.choice.part == "train":
            return int(self.choice.run.identity.get("examples") or 0)
        return self.counts.get((self.choice.run_name, self.choice.part), 0)

    # -- the answer -------------------------------------------------------------------------------

    def _show(self, table: Table) -> None:
        columns, attrs = table.columns, table.attrs
        self._draw(self.plots[0], self.image, np.asarray(columns["image"], float))
        self._draw(self.plots[1], self.saliency, np.asarray(columns["saliency"], float))
        probability = _softmax(np.asarray(columns["logits"], float))
        self._draw_scores(probability, attrs)
        names = [str(name) for name in attrs["classes"]]
        true, predicted = names[attrs["label"]], names[attrs["predicted"]]
        verdict = "right" if attrs["label"] == attrs["predicted"] else "wrong"
        saliency = f"Right: how strongly the logit of {names[attrs['target']]} depends on each pixel."
        if np.isnan(columns["saliency"]).all():
            saliency = "The run carries no derivative of its answers, hence no saliency."
        card.retitle(
            self.root,
            caption=f"Image {attrs['image']:,}: true class {true}, predicted {predicted} with "
            f"{100 * probability[attrs['predicted']]:.1f} %: {verdict}. {saliency}",
        )
        self._shown(table)

    def _draw(self, plot, source: ColumnDataSource, values) -> None:
        """An image [H, W, C] in its own colours, or a map [H, W] in those of magnitudes; [n]: one row."""
        values = values if values.ndim > 1 else values.reshape(1, -1)
        high, wide = values.shape[:2]
        finite = values[np.isfinite(values)]
        low, top = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        top = top if top > low else low + 1.0
        if source is self.image:
            pixels = _rgba((values - low) / (top - low))
            value = values if values.ndim == 2 else values.mean(axis=-1)
        else:
            self.heat.update(low=low, high=top)
            pixels = value = values.astype(np.float32)
        flipped = [array[::-1].astype(array.dtype) for array in (pixels, value)]
        source.data = {"image": flipped[:1], "value": flipped[1:], "dw": [wide], "dh": [high]}
        plot.x_range.update(start=0, end=wide)
        plot.y_range.update(start=0, end=high)
        plot.aspect_ratio = wide / high

    def _draw_scores(self, probability, attrs) -> None:
        order = np.argsort(-probability, kind="stable")[:MOST_CLASSES]
        order = np.sort(order)
        names = [str(attrs["classes"][at]) for at in order]
        kind = [
            "good" if at == attrs["label"] else "bad" if at == attrs["predicted"] else "context"
            for at in order
        ]
        place = np.arange(len(order))
        colours = [self.context.palette.colour(role) for role in kind]
        self.bars.data = {
            "x": place, "probability": probability[order], "name": names, "kind": kind, "colour": colours
        }  # fmt: skip
        axis = self.scores.xaxis[0]
        axis.ticker = FixedTicker(ticks=place.tolist(), minor_ticks=[])
        axis.major_label_overrides = dict(zip(place.tolist(), names, strict=True))
        turned = max(map(len, names)) > 4
        axis.major_label_orientation = 0.6 if turned else "horizontal"
        self.scores.height = 180 if turned else 150
        self.scores.x_range.update(start=-0.6, end=len(order) - 0.4)
        self._theme()

    def _fail(self, words: str) -> None:
        card.retitle(self.root, caption=words)
        self._failed(words)

    def _theme(self) -> None:
        self.heat.palette = list(self.context.palette.magnitudes)
        colours = [self.context.palette.colour(kind) for kind in self.bars.data["kind"]]
        self.bars.data = {**self.bars.data, "colour": colours}

    def _rows(self) -> Table:
        columns = {name: np.asarray(self.bars.data[name]) for name in ("name", "probability")}
        return Table(columns, dict.fromkeys(columns, ("class",)), {})

    # -- parts ------------------------------------------------------------------------------------

    def _sources(self):
        empty = {"image": [], "value": [], "dw": [], "dh": []}
        bars = {"x": [], "probability": [], "name": [], "kind": [], "colour": []}
        names = ("picture_image", "picture_saliency")
        return (
            *(ColumnDataSource(dict(empty), name=n) for n in names),
            ColumnDataSource(bars, name="picture_bars"),
        )

    def _still(self, name: str, source: ColumnDataSource):
        plot = picture(f"picture_{name}_figure", Range1d(0, 1), Range1d(0, 1), 1.0)
        plot.max_width = 340
        place = {"x": 0, "y": 0, "dw": "dw", "dh": "dh", "source": source}
        if source is self.image:
            drawn = plot.image_rgba("image", **place)
        else:
            drawn = plot.image("image", color_mapper=self.heat, **place)
        tips = [("value", "@value{0.0000}")]
        plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips, visible=False))
        return plot

    def _scores(self):
        plot = figures.figure(
            "picture_scores", height=150, x_range=Range1d(-0.5, 9.5), y_range=Range1d(0, 1.02),
            x_label="class", y_label="probability",
        )  # fmt: skip
        plot.toolbar.active_scroll = plot.toolbar.active_drag = None
        bars = plot.vbar(
            x="x", top="probability", width=0.7, source=self.bars, fill_color="colour", line_color=None
        )
        tips = [("class", "@name"), ("probability", "@probability{0.0000}")]
        plot.add_tools(HoverTool(renderers=[bars], tooltips=tips, visible=False))
        return plot


def _rgba(values):
    """uint32 [H, W] of values in [0, 1], [H, W, 3] or grey."""
    values = values if values.ndim == 3 else values[..., None]
    colours = values if values.shape[-1] == 3 else values.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    bytes_ = np.full((*values.shape[:2], 4), 255, np.uint8)
    bytes_[..., :3] = np.round(255 * np.nan_to_num(colours))
    return bytes_.view(np.uint32)[..., 0]


def _softmax(logits):
    shifted = np.exp(logits - np.max(logits))
    return shifted / shifted.sum()
