"""What the selected filters respond to most, before and at the selected iteration."""

from bokeh.models import ColumnDataSource, ImageRGBA, Quad, Range1d, Text

from gdlab.records import Table
from server.pages.tracker.classes.picture import rgba, short
from server.pages.tracker.names import filter_name
from server.ui import card, figures
from server.ui.choices import button
from server.ui.mosaic import picture
from server.ui.query import CardQuery

MOST_FILTERS, COUNT = 8, 6  # filters shown, images of each
GAP, NAME = 0.6, 2.2  # between before and after, beside: in widths of an image
TALL = 1.25  # height of a cell in widths: the picture, then its class
BOX = {name: name for name in ("image", "x", "y", "dw", "dh")}


class Strongest:
    """root: a button and, once pressed, the images. offer(): says what it would show."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.query = CardQuery(context, self._show, self._say, name="strongest")
        self.button = button(
            context, "Strongest images", "strongest_ask", "Of the selected filters", self._ask
        )
        self.words = card.text("", "gd-caption", name="strongest_words")
        self.pictures = ColumnDataSource({name: [] for name in BOX}, name="strongest_images")
        self.texts = ColumnDataSource(
            {name: [] for name in ("x", "y", "text", "align")}, name="strongest_texts"
        )
        self.frames = ColumnDataSource({name: [] for name in ("left", "right", "top", "bottom")})
        self._about: tuple = ()  # filters that were asked about
        self.figure = self._figure()
        self.figure.visible = False
        self.query.layouts = [self.figure]
        self.root = card.box(
            context, self.button, self.words, self.query.progress.root, self.figure, classes=["gd-body"]
        )

    def offer(self) -> None:
        """Images of other filters are put away."""
        self.button.visible = bool(self.tracker.selection.filters)
        if self._about != self.tracker.selection.filters:
            self.query.forget()
            self.figure.visible, self.words.text = False, ""

    # -- private ----------------------------------------------------------------------------------

    def _ask(self):
        dumps, chosen = self.tracker.dumps, self.tracker.selection
        at = chosen.dumps[-1] if chosen.dumps else self.tracker.count - 1
        iterations = [int(dumps.iteration[i]) for i in sorted({max(at - 1, 0), at})]
        filters = [int(f) for f in chosen.filters[:MOST_FILTERS]]
        self.words.text, self._about = "", chosen.filters
        options = {"filters": filters, "iterations": iterations, "count": COUNT}
        self.query.probe(self.context.run(self.tracker.name), "strongest_images", options)

    def _show(self, table: Table) -> None:
        columns, attrs = table.columns, table.attrs
        if not attrs["picture"]:
            self.figure.visible = False
            self._say("The inputs of this network are no pictures.")
            return
        drawn = rgba(columns["image"])
        place = columns["picture"]
        moments, rows, count = place.shape
        images, texts, frames = [], [], []
        for moment in range(moments):
            left = NAME + moment * (count + GAP)
            texts.append((left, -0.2, f"iteration {attrs['iterations'][moment]:,}", "left"))
            for row in range(rows):
                for rank in range(count):
                    which = place[moment, row, rank]
                    x, y = left + rank, row * TALL
                    # The axis runs down, and so do the rows of the pictures.
                    images.append((drawn[which][::-1], x + 0.04, y + 0.02, 0.92, 0.92))
                    frames.append((x + 0.04, x + 0.96, y + 0.02, y + 0.94))
                    name = short(str(attrs["classes"][columns["label"][which]]), 8)
                    texts.append((x + 0.5, y + 1.06, name, "center"))
        for row in range(rows):
            name = filter_name(self.tracker.dumps, int(columns["filter"][row]))
            texts.append((NAME - 0.15, row * TALL + 0.5, name, "right"))
        self._fill(images, texts, frames, NAME + moments * count + (moments - 1) * GAP, rows * TALL)
        more = len(self.tracker.selection.filters) - rows
        self.words.text = (
            f"The {count} of {attrs['examples']:,} test images with the largest response of each filter, "
            "before the activation function" + (f"; {more:,} more filters are selected." if more > 0 else ".")
        )

    def _fill(self, images, texts, frames, width, height):
        self.pictures.data = dict(zip(BOX, map(list, zip(*images, strict=True)), strict=True))
        self.texts.data = dict(
            zip(("x", "y", "text", "align"), map(list, zip(*texts, strict=True)), strict=True)
        )
        names = ("left", "right", "top", "bottom")
        self.frames.data = dict(zip(names, map(list, zip(*frames, strict=True)), strict=True))
        self.figure.x_range.update(start=0, end=width)
        self.figure.y_range.update(start=height, end=-0.6)
        self.figure.aspect_ratio = width / (height + 0.6)

    def _say(self, words: str) -> None:
        self.words.text = words

    def _figure(self):
        plot = picture("strongest_figure", Range1d(0, 1), Range1d(1, 0), 2.0)
        frame = Quad(left="left", right="right", top="top", bottom="bottom", line_color=None)
        figures.draw(plot, self.frames, self.context.paint(frame, fill_color="grid"))
        figures.draw(plot, self.pictures, ImageRGBA(**BOX))
        words = Text(
            x="x", y="y", text="text", text_align={"field": "align"}, text_baseline="middle",
            text_font_size="11px", text_font={"value": "Inter"},
        )  # fmt: skip
        figures.draw(plot, self.texts, self.context.paint(words, text_color="muted"))
        return plot
