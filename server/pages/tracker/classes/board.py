"""What the chart of error rates shows now, by the reader's choices, the anomalies and the selection."""

from collections import OrderedDict

import numpy as np

from gdlab.analysis.class_curves import Clusters
from server.pages.tracker.classes import cells, rows, scene
from server.pages.tracker.classes.chart import NEAR, SIDE, Chart, colours
from server.pages.tracker.classes.choices import Choices
from server.ui import card, figures

MOST_PIXELS = 64  # classes whose pixels are kept
NOTHING = "No class has an anomaly under these settings. A lower threshold finds more; or show all classes."


class Board:
    """arrange() lays the rows anew; show() sends what is in the frame; both need `clusters`.

    clicked(kind, **what) is told of "anomaly" (a class, a dump and a rule) and of "image" (its position).
    """

    def __init__(self, context, tracker, choices: Choices, clicked):
        self.context, self.tracker, self.choices, self.clicked = context, tracker, choices, clicked
        self.chart = Chart(context, tracker, self._tapped, self.show)
        self.chart.name_labels(self.names)
        self.clusters: Clusters | None = None
        self.layout = rows.EMPTY
        self.nothing = card.text(NOTHING, "gd-caption", name="classes_nothing", visible=False)
        self._pixels: OrderedDict = OrderedDict()
        self._sent: tuple = ()

    @property
    def names(self):
        """Names of the classes."""
        return self.tracker.dumps.classes

    def arrange(self, to: float | None = None) -> None:
        """The rows by the choices in force; keeps the place in the list, or scrolls to a depth."""
        if self.clusters is None:
            return
        dumps, choices = self.tracker.dumps, self.choices
        rates = self.tracker.evidence.rates()
        error = rates.mean(axis=1) if rates.shape[1] else np.full(len(rates), np.nan)
        scored, score = self._scored()
        rank = rows.ranks(choices.sort, error, self.names, score)
        kept = scored > 0 if choices.only else np.ones(len(self.names), bool)
        self.layout = rows.arranged(
            self.clusters, rank, kept, np.diff(dumps.starts), opened=choices.opened,
            unfolded=choices.unfolded, pixel=choices.pixel,
        )  # fmt: skip
        there = len(self.layout.top) > 0
        self.nothing.visible, self.chart.figure.visible = not there, there
        with figures.at_once(self.chart.figure):
            self.chart.fit(self.layout, to)
            self.chart.paint(choices.pixels, choices.pair)
            self.chart.shade(cells.highest(rates) if choices.top == "auto" else float(choices.top))
            self._send()

    def show(self) -> None:
        """Sends the rows in and around the frame."""
        if self.clusters is not None:
            with figures.at_once(self.chart.figure):
                self._send()

    def _send(self):
        window, shown = self.chart.next_window()
        found, layout, sources = self.layout.within(*window), self.layout, self.chart.sources
        self._send_pictures(found, shown, window)
        sources["triangles"].data = scene.triangles(
            layout, found, self.tracker.anomalies().columns, self.clusters, self.names
        )
        sources["words"].data = scene.words(
            layout, found, self.clusters, self.names, self.choices, set(self.tracker.selection.classes),
            self._legend, self.context.palette, self._scored()[0], SIDE,
        )  # fmt: skip
        self.select()

    def select(self) -> None:
        """Marks what is selected."""
        selection, image = self.tracker.selection, self.tracker.selection.image
        where = None if image is None else (int(self.tracker.dumps.labels[image]), image)
        self.chart.select_dumps(selection.dumps)
        self.chart.sources["marks"].data = scene.marks(
            self.layout, selection.classes, where, lambda item: self.pixels(item).images,
            self.choices.pixel, self.tracker.count,
        )  # fmt: skip

    def reveal(self) -> None:
        """Opens the clusters of the selected classes and scrolls to the first of them."""
        chosen = self.tracker.selection.classes
        if not chosen or self.clusters is None:
            return
        count = len(self.clusters.sizes)
        self.choices.open({int(c) if c >= 0 else count for c in self.clusters.cluster[list(chosen)]})
        places = [self.layout.of(rows.CLASS, item) for item in chosen]
        tops = [float(self.layout.top[row]) for row in places if row is not None]
        if tops:
            self.arrange(min(tops) - 2 * rows.HEIGHTS[rows.CLUSTER])

    def forget(self) -> None:
        """New dumps have come, or images look otherwise: pictures are made anew."""
        self._pixels.clear()
        self._sent = ()

    def pixels(self, item: int) -> cells.Pixels:
        """The pixels of a class."""
        dumps, choices = self.tracker.dumps, self.choices
        key = item, self.chart.columns, choices.pixels, dumps.count
        if key not in self._pixels:
            first, last = int(dumps.starts[item]), int(dumps.starts[item + 1])
            labels, wrong = cells.history(dumps, first, last), choices.pixels == "label"
            self._pixels[key] = cells.pixels(labels, item, first, self.chart.columns, wrong_labels=wrong)
            while len(self._pixels) > MOST_PIXELS:
                self._pixels.popitem(last=False)
        self._pixels.move_to_end(key)
        return self._pixels[key]

    # -- private ----------------------------------------------------------------------------------

    def _send_pictures(self, found, shown, window) -> None:
        layout, names, choices = self.layout, self.names, self.choices
        state = (
            window, shown, choices.pixels, self.tracker.count, id(self.clusters),
            layout.kind[found].tobytes(), layout.item[found].tobytes(), layout.top[found].tobytes(),
        )  # fmt: skip
        if state == self._sent:
            return
        self._sent = state
        rates = self.tracker.evidence.rates()
        sources = self.chart.sources
        sources["stripes"].data = scene.stripes(layout, found, rates, self.clusters, names, shown)
        sources["pixels"].data = scene.blocks(
            layout, found, self.pixels, names, shown, choices.pixel, window
        )  # fmt: skip

    def _scored(self):
        """Number of anomalies, and the sum of their scores, of each class."""
        found, count = self.tracker.anomalies().columns, len(self.names)
        which = found["class"].astype(int)
        return np.bincount(which, minlength=count), np.bincount(which, found["score"], minlength=count)

    def _legend(self, item: int) -> list[tuple[str, str]]:
        painted = colours(self.context.palette, self.choices.pixels, self.choices.pair)
        if self.choices.pixels == "right":
            return [(painted[cells.RIGHT], "right"), (painted[cells.WRONG], "wrong")]
        labels = self.pixels(item).labels
        named = [(painted[place + 1], self.names[label]) for place, label in enumerate(labels)]
        rest = [(painted[cells.OTHER], "other")] if len(labels) == cells.NAMED else []
        return [(painted[cells.RIGHT], "right"), *named, *rest]

    def _tapped(self, depth: float, x: float, several: bool, scale: float) -> None:
        row = self.layout.at(depth) if self.clusters is not None else None
        if row is None:
            return
        kind, item = int(self.layout.kind[row]), int(self.layout.item[row])
        aside = x < self.tracker.x_range.start
        hit = None if aside else self._triangle(row, depth, x, scale)
        if hit is not None:
            self._anomaly(kind, item, *hit)
        elif kind == rows.CLUSTER:
            self.choices.fold("opened", item)
        elif kind == rows.CLASS and aside:
            self.choices.fold("unfolded", item)
        elif kind == rows.CLASS:
            self.tracker.toggle("classes", item, several or self.choices.several)
        elif not aside:
            place = int((depth - self.layout.top[row]) // self.choices.pixel)
            images = self.pixels(item).images
            if place < len(images):
                self.clicked("image", image=int(images[place]))

    def _triangle(self, row, depth, x, scale):
        """(dump, rule) of the triangle of a row that was hit."""
        data = self.chart.sources["triangles"].data
        at = [i for i, own in enumerate(data["row"]) if own == row]
        away = [
            np.hypot((data["x"][i] - x) * scale, data["y"][i] - depth) - data["size"][i] / 2 - NEAR
            for i in at
        ]
        if not at or min(away) > 0:
            return None
        nearest = at[int(np.argmin(away))]
        rule = next(rule for rule, marker in scene.MARKERS.items() if marker == data["marker"][nearest])
        return int(data["x"][nearest]), rule

    def _anomaly(self, kind, item, dump, rule):
        if kind == rows.CLASS:
            classes = (item,)
        else:
            clusters, found = self.clusters, self.tracker.anomalies().columns
            assert clusters is not None  # a row of one was hit
            there = (found["dump"] == dump) & (found["rule"] == rule)
            classes = tuple(c for c in found["class"][there].tolist() if clusters.cluster[c] == item)
        self.clicked("anomaly", classes=classes, dump=dump, rule=rule)
