"""The card of one image: itself, and what it was taken for from dump to dump."""

import numpy as np
from bokeh.events import Tap
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Image,
    ImageRGBA,
    LinearColorMapper,
    Range1d,
    VSpan,
)

from gdlab.messages import counted
from gdlab.records import Table
from server.pages.tracker.classes import cells, history
from server.pages.tracker.names import image_number
from server.ui import card, figures
from server.ui.mosaic import picture
from server.ui.query import CardQuery

LEFT = 112  # px, for names of classes
ROW = 20  # px, one label
SIDE = 190  # px, the picture
LONGEST = 16  # characters of a name
BOX = {name: name for name in ("image", "x", "y", "dw", "dh")}
NONE = (
    "No image is selected. Click a row of pixels in an unfolded class, or an image that flips at an anomaly."
)


class Picture:
    """root: the card. Sources classes_picture_source (one image), classes_history_source (one row of codes
    per label: 0 another label, 1 wrong, 2 right)."""

    def __init__(self, context, tracker, column):
        self.context, self.tracker = context, tracker
        self.query = CardQuery(context, self._show, self._say_picture, name="classes_picture")
        self.pixels = ColumnDataSource({name: [] for name in BOX}, name="classes_picture_source")
        self.strip = ColumnDataSource({n: [] for n in (*BOX, "label")}, name="classes_history_source")
        self.dumps = ColumnDataSource({"x": []})
        self.still = self._still()
        self.y_range = Range1d(1, 0, name="classes_history_y")
        self.codes = LinearColorMapper(palette=["#00000000"] * 3, low=-0.5, high=2.5)
        self.figure = self._figure(column)
        self.words = card.text(NONE, "gd-message", name="classes_picture_words")
        self.about = card.text("", "gd-caption", name="classes_picture_about")
        self.parts = card.row(
            context, self.still, self.figure, classes=["gd-pair"], sizing_mode="stretch_width", visible=False
        )
        parts = (self.words, self.about, self.parts, self.query.progress.root)
        body = card.box(context, *parts, classes=["gd-body"])
        self.root = card.card(
            context, "Image", "", body,
            read="classes", name="classes_image", figures=[self.still, self.figure],
            csv=self._rows, span=7,
        )  # fmt: skip
        context.on("theme", self._theme)
        self._theme()
        self.update()

    def update(self) -> None:
        """Shows the selected image, if there is one."""
        tracker, image = self.tracker, self.tracker.selection.image
        self.words.visible = image is None
        self.parts.visible = self.about.visible = image is not None
        self.dumps.data = {"x": list(tracker.selection.dumps)}
        if image is None:
            self.query.forget()
            card.retitle(self.root, title="Image", caption="")
            return
        labels = cells.history(tracker.dumps, image, image + 1)[:, 0]
        found = history.history(labels, int(tracker.dumps.labels[image]))
        self._draw(found)
        positions = tracker.dumps.images
        known = len(positions) > 0
        where = f"Image {image_number(tracker.dumps, image):,}" + (" of the test part" if known else "")
        names = tracker.dumps.classes
        first = found.first_right
        right = f"first right at {tracker.label(first)}" if first >= 0 else "never right"
        flips = counted(found.flips, "flip")
        card.retitle(
            self.root, title=where,
            caption=f"True class {names[found.true]}; {right}, {flips}, right at "
            f"{found.share_right:.1%} of dumps. Click a column to select its dump.",
        )  # fmt: skip
        if known:
            if self.query.probe(
                self.context.run(tracker.name), "images", {"images": [int(positions[image])]}
            ):
                self.pixels.data = {name: [] for name in BOX}  # another image than the title's
        else:
            self._say_picture("The run does not tell which image of its data this is.")

    # -- private ----------------------------------------------------------------------------------

    def _draw(self, found) -> None:
        dumps, names = self.tracker.dumps, self.tracker.dumps.classes
        rows = len(found.labels)
        code = np.zeros((rows, dumps.count), np.uint8)
        code[found.place, np.arange(dumps.count)] = 1
        code[0] *= 2
        labels = [names[label] if label >= 0 else "other labels" for label in found.labels]
        self.strip.data = {
            "image": list(code[:, None]), "x": [-0.5] * rows, "y": [i + 0.06 for i in range(rows)],
            "dw": [dumps.count] * rows, "dh": [0.88] * rows, "label": labels,
        }  # fmt: skip
        self.y_range.update(start=rows, end=0)
        self.figure.height = max(SIDE, ROW * rows + 46)
        axis = self.figure.yaxis[0]
        axis.ticker = FixedTicker(ticks=[i + 0.5 for i in range(rows)], minor_ticks=[])
        axis.major_label_overrides = {i + 0.5: short(label, LONGEST) for i, label in enumerate(labels)}

    def _show(self, table: Table) -> None:
        if not table.attrs["picture"]:
            self._say_picture("The inputs of this network are no pictures.")
            return
        self.about.text = ""
        (image,) = rgba(table.columns["image"])
        self.still.aspect_ratio = image.shape[1] / image.shape[0]
        self.pixels.data = {"image": [image], "x": [0], "y": [0], "dw": [1], "dh": [1]}

    def _say_picture(self, words: str) -> None:
        self.pixels.data = {name: [] for name in BOX}
        self.about.text = words

    def _theme(self) -> None:
        palette = self.context.palette
        self.codes.palette = [palette.grid, palette.categories[1], palette.accent]

    def _rows(self) -> Table:
        """For CSV: the label that the image was taken for at every dump."""
        image, dumps = self.tracker.selection.image, self.tracker.dumps
        if image is None:
            return Table({}, {}, {})
        labels = cells.history(dumps, image, image + 1)[:, 0]
        columns = {"iteration": dumps.iteration, "predicted": np.array([dumps.classes[i] for i in labels])}
        columns["right"] = labels == dumps.labels[image]
        return Table(columns, dict.fromkeys(columns, ("dump",)), {})

    def _still(self):
        plot = picture("classes_picture_figure", Range1d(0, 1), Range1d(0, 1), 1.0)
        # Its frame is the picture, whatever borders the strip beside it has.
        plot.update(sizing_mode="fixed", width=SIDE, height=SIDE, frame_align=False)
        figures.draw(plot, self.pixels, ImageRGBA(**BOX))
        return plot

    def _figure(self, column):
        plot = figures.figure(
            "classes_history_figure", height=SIDE, x_range=self.tracker.x_range, y_range=self.y_range,
            x_label="iteration",
        )  # fmt: skip
        plot.min_border_left = LEFT
        plot.xaxis.formatter = self.tracker.formatter
        plot.ygrid.grid_line_color = None
        strip = figures.draw(plot, self.strip, Image(**BOX, color_mapper=self.codes), level="image")
        mark = self.context.paint(VSpan(x="x", line_width=1.5), line_color="ink")
        figures.draw(plot, self.dumps, mark)
        plot.add_tools(HoverTool(renderers=[strip], tooltips=[("taken for", "@label")], visible=False))
        plot.on_event(Tap, lambda event: column(event.x, bool((event.modifiers or {}).get("shift"))))
        return plot


def rgba(images) -> list[np.ndarray]:
    """Pictures [n, H, W, C] of any values as uint32 [H, W], rows from the bottom up: grey for one channel,
    else the first three; black is the least value of all, white the largest; alpha 255."""
    values = np.asarray(images, float)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    scaled = np.nan_to_num((values - low) / (high - low) if high > low else np.zeros_like(values))
    channels = scaled[..., :3] if values.shape[-1] >= 3 else np.repeat(scaled[..., :1], 3, axis=-1)
    out = np.full((*values.shape[:3], 4), 255, np.uint8)
    out[..., :3] = np.round(255 * channels)
    return list(out.view(np.uint32)[..., 0][:, ::-1])


def short(text: str, most: int) -> str:
    """The text, cut with an ellipsis where it is longer than `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"
