"""The validation view: its cards, and what a click in one of them does to the others."""

from gdlab.records import Table
from server.core.context import Context, View
from server.pages.tracker.classes.board import Board
from server.pages.tracker.classes.choices import ClassChoices
from server.pages.tracker.classes.errors import Errors
from server.pages.tracker.classes.gallery import Gallery
from server.pages.tracker.classes.pairs import Pairs
from server.pages.tracker.classes.picture import Picture
from server.pages.tracker.lazy import lazily
from server.ui import card, sheets
from server.ui.choices import button
from server.ui.query import Query

CAPTION = (
    "Colour: error rate, clusters from easy to hard. Click a cluster or a name to unfold it, a stripe to "
    "select its class, a row of pixels to see the image, the curves to select a dump. "
    "▾ stable, then flips; ▴ flips, then stable: as wide as the score."
)
NO_LABELS = (
    "The dumps of this run hold no predicted labels, so that there is nothing to show per class.\n"
    "They are recorded of classifiers with a test part: python -m gdlab experiment=mnist_adam record=dumps"
)


def build(context: Context) -> View:
    """How well classes and their images are recognised in the training. DeepTracker 2018, section 7.1."""
    return lazily(context, "classes", lambda tracker: Page(context, tracker).view)


class Page:
    """view: the cards, and what reads new dumps."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.errors = Errors(context, tracker, self._column)
        self.recorded = bool(len(tracker.dumps.labels))
        self._count, self._settings = tracker.count, tracker.settings
        self.query = Query(context, self._grouped, failed=self._not_grouped)
        self._rule: str | None = None  # of the triangle that was clicked last
        cards = [self._head()]
        if self.recorded:
            self.picture, self.gallery = Picture(context, tracker, self._column), Gallery(context, tracker)
            self.pairs = Pairs(context, tracker)
            cards += [self.gallery.root, self.picture.root, self.pairs.root]
            self._regroup()
        else:
            cards.append(card.empty_card(context, "No predicted labels", NO_LABELS, name="classes_none"))
        self.view = View(card.box(context, *cards, classes=["gd-grid", "gd-span-12"]), self.update)
        self.errors.select_dumps(tracker.selection.dumps)
        context.on("selection", self._selected)
        context.on("settings", self._set)
        context.on("theme", self._theme)
        context.on("log", self._log)
        context.on("step", self._step)
        context.on("mode", self._came)

    def update(self) -> None:
        """Takes in new dumps."""
        if self.tracker.count == self._count:
            return
        self._count = self.tracker.count
        self.errors.update()
        if self.recorded:
            self.board.forget()
            self._regroup()
            self._detail()

    # -- cards ------------------------------------------------------------------------------------

    def _head(self):
        context, sheet = self.context, sheets.sheet("network")
        parts, figures = [self.errors.figure], [self.errors.figure]
        if self.recorded:
            self.choices = ClassChoices(context, len(self.tracker.dumps.classes), self._chosen)
            self.board = Board(context, self.tracker, self.choices, self._clicked)
            self.words = card.text("Grouping the classes …", "gd-caption", name="classes_words")
            words = "Unfold and scroll to the selection"
            reveal = button(context, "Show selected", "classes_reveal", words, self.board.reveal)
            tools = card.row(context, *self.choices.widgets, reveal, classes=["gd-options-row"])
            sheets.wear(sheet, tools)
            parts = [tools, self.errors.figure, self.board.chart.figure, self.board.nothing, self.words]
            figures.append(self.board.chart.figure)
        body = card.box(context, *parts, classes=["gd-body"])
        return card.card(
            context, "Error rates", CAPTION if self.recorded else "", body, name="classes", figures=figures,
            csv=self._rows,
        )  # fmt: skip

    def _rows(self) -> Table:
        """For CSV: errors and learning rate of every dump, then the error rate of every class."""
        table = self.errors.rows()
        if not self.recorded:
            return table
        rates = self.tracker.evidence.rates()
        named = {f"error of {name}": rates[i] for i, name in enumerate(self.tracker.dumps.classes)}
        columns = {**table.columns, **named}
        return Table(columns, dict.fromkeys(columns, ("dump",)), {})

    # -- what was chosen --------------------------------------------------------------------------

    def _chosen(self, name: str) -> None:
        if name == "k":
            self._regroup()
        elif name != "several":
            if name == "pixels":
                self.board.forget()
            self.board.arrange()

    def _regroup(self) -> None:
        """Groups the classes beside the event loop: the first time it loads a library."""
        k, tracker = self.choices.k, self.tracker

        def compute():
            for rule in tracker.rules:  # what the triangles need is there too, then
                tracker.evidence.scores(tracker.settings.window, rule)
            return tracker.evidence.clusters(k)

        if tracker.evidence.knows_clusters(k):
            self.query.forget()
            self._grouped(compute())
        else:
            self.query.compute((k, tracker.dumps, tracker.settings), compute)

    def _grouped(self, clusters) -> None:
        self.board.clusters = clusters
        self.words.text = ""
        self.words.visible = False
        self.board.arrange()

    def _not_grouped(self, why: str) -> None:
        self.words.update(text=why, visible=True)

    def _clicked(self, kind: str, **what) -> None:
        if kind == "anomaly":
            self._rule = what["rule"]
            self.tracker.select(dumps=(what["dump"],), classes=what["classes"])
            self.gallery.show(self._rule)  # also where it was the other rule of the same dump
            self._rule = None
        else:
            image = what["image"]
            self.tracker.select(image=None if image == self.tracker.selection.image else image)

    def _column(self, x: float, several: bool) -> None:
        dump = round(x)
        if 0 <= dump < self.tracker.count:
            several = several or (self.recorded and self.choices.several)
            self.tracker.toggle("dumps", dump, several)

    # -- what the others tell ---------------------------------------------------------------------

    @property
    def _here(self) -> bool:
        return self.tracker.mode == "classes"

    def _selected(self) -> None:
        self.errors.select_dumps(self.tracker.selection.dumps)
        if self.recorded:
            self.board.show()
            self._detail()

    def _detail(self) -> None:
        self.gallery.show(self._rule)
        self.picture.update()
        self.pairs.update()

    def _set(self) -> None:
        before, now = self._settings, self.tracker.settings
        self._settings = now
        if self.recorded and before[:3] != now[:3]:  # window, threshold, rule
            again = self.choices.only or self.choices.sort == "anomalies"
            (self.board.arrange if again else self.board.show)()
            self.gallery.show()

    def _theme(self) -> None:
        if self.recorded:
            self.board.chart.paint(self.choices.pixels, self.choices.pair)
            self.board.show()

    def _log(self) -> None:
        if self._here:
            self.errors.toggle_log()

    def _step(self, step: int) -> None:
        chosen = self.tracker.selection.dumps
        if self._here and len(chosen) == 1:
            self.tracker.select(dumps=(min(max(chosen[0] + step, 0), self.tracker.count - 1),))

    def _came(self) -> None:
        if self._here and self.recorded:
            self.board.show()
