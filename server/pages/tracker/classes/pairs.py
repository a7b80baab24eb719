"""The classes that are most often mistaken for each other at a dump. DeepTracker 2018, section 8.1."""

from bokeh.models import ColumnDataSource

from gdlab.analysis import class_curves
from gdlab.messages import counted
from gdlab.records import Table
from server.ui import card
from server.ui.small_table import fit_rows, small_table

COLUMNS = {
    "one": ("class", "text", 92),
    "other": ("and class", "text", 92),
    "count": ("mistaken", "count", 68),
    "there": ("first as second", "count", 96),
    "back": ("second as first", "count", 96),
    "share": ("share", "share", 64),
}


class Pairs:
    """root: the card; a click on a row selects its two classes."""

    def __init__(self, context, tracker):
        self.tracker = tracker
        self.table: Table | None = None
        self.source = ColumnDataSource({name: [] for name in COLUMNS}, name="classes_pairs_source")
        self.shown = small_table(context, self.source, COLUMNS, name="classes_pairs_table")
        self.shown.selectable = True
        self.source.selected.on_change("indices", lambda a, o, new: self._chosen(new))
        self.words = card.text("", "gd-message", name="classes_pairs_words")
        body = card.box(context, self.shown, self.words, classes=["gd-body"])
        self.root = card.card(
            context,
            "Confusable classes",
            "",
            body,
            read="classes",
            name="classes_pairs",
            csv=self._rows,
            span=5,
        )
        self._at: tuple = ()
        self.update()

    def update(self) -> None:
        """The pairs at the first selected dump, or at the last dump there is."""
        tracker, dumps = self.tracker, self.tracker.dumps
        dump = tracker.selection.dumps[0] if tracker.selection.dumps else dumps.count - 1
        if (dump, dumps.count) == self._at:
            return
        self._at = dump, dumps.count
        self.table = class_curves.confusable(dumps.predicted(dump, dump + 1), dumps.starts)
        columns, names = self.table.columns, dumps.classes
        self.source.selected.indices = []
        self.source.data = {
            "one": [names[i] for i in columns["first"]], "other": [names[i] for i in columns["second"]],
            "count": columns["count"], "there": columns["first_as_second"],
            "back": columns["second_as_first"], "share": columns["share"],
        }  # fmt: skip
        count = len(columns["count"])
        fit_rows(self.shown, count)
        self.shown.visible, self.words.visible = bool(count), not count
        self.words.text = "No image is mistaken for another class."
        wrong, total = self.table.attrs["wrong"], len(dumps.labels)
        errors = f"{wrong:,} of {counted(total, 'image')} {'is' if wrong == 1 else 'are'} wrong"
        words = f"At {tracker.label(dump)}: {errors}. Click a pair to select it."
        card.retitle(self.root, caption=words)

    def _chosen(self, indices) -> None:
        if indices and self.table is not None:
            columns = self.table.columns
            self.tracker.select(classes=[int(columns[end][indices[0]]) for end in ("first", "second")])

    def _rows(self) -> Table:
        """For CSV: the pairs with their names."""
        names = {"one": "class", "other": "and_class", "there": "first_as_second", "back": "second_as_first"}
        columns = {names.get(name, name): self.source.data[name] for name in COLUMNS}
        return Table(columns, dict.fromkeys(columns, ("pair",)), {})
