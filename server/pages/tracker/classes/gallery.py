"""The images that flip at a dump: what they are, and what they were taken for before and after."""

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, ImageRGBA, Quad, Range1d, Text

from gdlab.messages import counted
from gdlab.records import Table
from server.pages.tracker.classes.history import flipped
from server.pages.tracker.classes.picture import rgba, short
from server.pages.tracker.classes.scene import RULES
from server.ui import card, figures
from server.ui.choices import button
from server.ui.mosaic import picture
from server.ui.query import CardQuery

PAGE = 48  # images at once
ACROSS, ACROSS_LONG = 12, 8  # images in a row, where the names of the classes are short or long
SHORT = 3  # characters
TALL = 1.42  # height of a cell in its width: the picture, then two lines
LONGEST = 9  # characters of a name
BOX = {name: name for name in ("image", "x", "y", "dw", "dh")}
CELLS = (
    "left",
    "right",
    "top",
    "bottom",
    "x",
    "true_y",
    "change_y",
    "true",
    "change",
    "colour",
    "what",
    "flip",
)


class Gallery:
    """root: the card, hidden while no dump is selected; show(rule): the rule that was clicked, or None."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.query = CardQuery(context, self._pictured, self._say, name="classes_gallery")
        self.pictures = ColumnDataSource({name: [] for name in BOX}, name="classes_gallery_source")
        self.cells = ColumnDataSource({name: [] for name in CELLS}, name="classes_flips_source")
        self.across = ACROSS if max(map(len, tracker.dumps.classes)) <= SHORT else ACROSS_LONG
        self.y_range = Range1d(1, 0)
        self.figure = self._figure()
        self.images, self.page, self._rule = np.empty(0, int), 0, None
        self.before = button(
            context, "‹ Previous", "classes_gallery_before", "The images before", lambda: self._turn(-1)
        )
        self.after = button(context, "Next ›", "classes_gallery_after", "More images", lambda: self._turn(1))
        self.words = card.text("", "gd-caption", name="classes_gallery_words")
        body = card.box(context, self.figure, self.words, self.query.progress.root, classes=["gd-body"])
        self.root = card.card(
            context, "", "", body,
            read="classes", name="classes_flipped", figures=[self.figure], csv=self._rows,
            controls=[self.before, self.after],
        )  # fmt: skip
        context.on("theme", lambda: self._draw() if self.root.visible else None)
        self.show()

    def show(self, rule: str | None = None) -> None:
        """The images that flip at the selected dump: of the selected classes, or of all."""
        tracker = self.tracker
        dumps, classes = tracker.selection.dumps, tracker.selection.classes
        self.root.visible = len(dumps) == 1
        self._rule = rule
        if not self.root.visible:
            self.query.forget()
            return
        rules = (rule,) if rule else tracker.rules
        found = flipped(
            tracker.evidence.flips(), tracker.dumps.starts, dumps[0], classes, tracker.settings.window, rules
        )
        if not np.array_equal(found, self.images):
            self.page = 0
        self.images = found
        self._draw()

    # -- private ----------------------------------------------------------------------------------

    @property
    def _shown(self):
        return self.images[self.page * PAGE : (self.page + 1) * PAGE]

    def _turn(self, step) -> None:
        self.page += step
        self._draw()

    def _draw(self) -> None:
        tracker, shown = self.tracker, self._shown
        self._head()
        count = len(shown)
        lines = max(1, -(-count // self.across))
        self.figure.visible = bool(count)
        self.y_range.update(start=lines * TALL, end=0)
        self.figure.aspect_ratio = self.across / (lines * TALL)
        self.cells.data = self._cells(shown)
        self.pictures.data = {name: [] for name in BOX}
        positions = tracker.dumps.images
        if not count:
            self.query.forget()
        elif len(positions):
            wanted = [int(positions[image]) for image in shown]
            self.query.forget()
            self.query.probe(self.context.run(tracker.name), "images", {"images": wanted})

    def _head(self) -> None:
        tracker, total = self.tracker, len(self.images)
        rules = (self._rule,) if self._rule else tracker.rules
        named = [tracker.dumps.classes[c] for c in tracker.selection.classes[:3]]
        more = len(tracker.selection.classes) - len(named)
        named += [f"{more:,} more classes"] if more > 0 else []
        whose = f" of {', '.join(named)}" if named else ""
        first = self.page * PAGE
        kind = " or ".join(RULES[rule] for rule in rules)
        words = f"Window {tracker.settings.window}: {kind}. Below: true class; label before → at this dump. "
        if not total:
            words += "No image shows this."
        elif total > PAGE:
            words += f"{first + 1:,} to {min(total, first + PAGE):,} of {total:,}."
        label = tracker.label(tracker.selection.dumps[0])
        what = counted(total, "image")
        card.retitle(self.root, title=f"{what}{whose} that flip at {label}", caption=words)
        self.before.visible = self.after.visible = total > PAGE
        self.before.disabled, self.after.disabled = self.page == 0, first + PAGE >= total
        self.words.text = ""

    def _cells(self, shown) -> dict:
        tracker, palette = self.tracker, self.context.palette
        dumps, names, dump = tracker.dumps, tracker.dumps.classes, tracker.selection.dumps[0]
        labels = (
            dumps.predicted(max(0, dump - 1), dump + 1)[:, shown] if len(shown) else np.empty((2, 0), int)
        )
        out: dict[str, list] = {name: [] for name in CELLS}
        for at, image in enumerate(shown):
            line, column = divmod(at, self.across)
            true, before, after = int(dumps.labels[image]), int(labels[0, at]), int(labels[-1, at])
            good, top = after == true, line * TALL
            change = (
                f"{short(names[before], LONGEST)} → {short(names[after], LONGEST)} {'✓' if good else '✗'}"
            )
            row = (
                column + 0.06, column + 0.94, top + 0.04, top + 0.92, column + 0.5, top + 1.04, top + 1.22,
                short(names[true], 2 * LONGEST), change, palette.good if good else palette.bad,
                names[true], f"{names[before]} → {names[after]}",
            )  # fmt: skip
            for name, value in zip(CELLS, row, strict=True):
                out[name].append(value)
        return out

    def _pictured(self, table: Table) -> None:
        if not table.attrs["picture"]:
            self._say("The inputs of this network are no pictures.")
            return
        data, cells = rgba(table.columns["image"]), self.cells.data
        if len(data) == len(cells["left"]):
            # The axis runs down, and so do the rows of the pictures.
            turned = [image[::-1] for image in data]
            side = {"dw": [0.88] * len(data), "dh": [0.88] * len(data)}
            self.pictures.data = {"image": turned, "x": cells["left"], "y": cells["top"], **side}

    def _say(self, words: str) -> None:
        self.words.text = words

    def _tapped(self, event) -> None:
        column, line = int(event.x // 1), int(event.y // TALL)
        at = line * self.across + column
        if 0 <= column < self.across and 0 <= at < len(self._shown):
            self.tracker.select(image=int(self._shown[at]))

    def _figure(self):
        plot = picture("classes_gallery_figure", Range1d(0, self.across), self.y_range, 4.0)
        frame = self.context.paint(
            Quad(left="left", right="right", top="top", bottom="bottom"), fill_color="grid"
        )
        frame.line_color = None
        cells = figures.draw(plot, self.cells, frame)
        figures.draw(plot, self.pictures, ImageRGBA(**BOX))
        look = {"text_align": "center", "text_baseline": "middle", "text_font": {"value": "Inter"}}
        true = Text(x="x", y="true_y", text="true", text_font_size="11px", **look)
        change = Text(x="x", y="change_y", text="change", text_font_size="10px", text_color="colour", **look)
        figures.draw(plot, self.cells, self.context.paint(true, text_color="ink"))
        figures.draw(plot, self.cells, change)
        tips = [("true", "@what"), ("taken for", "@flip")]
        plot.add_tools(HoverTool(renderers=[cells], tooltips=tips, visible=False))
        plot.on_event(Tap, self._tapped)
        return plot

    def _rows(self) -> Table:
        """For CSV: every image that flips, with its labels before and at the dump."""
        dumps, dump = self.tracker.dumps, self.tracker.selection.dumps[0]
        labels = dumps.predicted(max(0, dump - 1), dump + 1)[:, self.images]
        names = np.array(dumps.classes)
        columns = {"image": self.images, "true": names[dumps.labels[self.images]]}
        columns |= {"before": names[labels[0]], "after": names[labels[-1]]}
        if len(dumps.images):
            columns["position"] = dumps.images[self.images]
        return Table(columns, dict.fromkeys(columns, ("image",)), {"iteration": int(dumps.iteration[dump])})
