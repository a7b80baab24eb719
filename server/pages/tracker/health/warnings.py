"""The list of warnings; a click goes to the dump and the layer."""

from weakref import WeakKeyDictionary

from bokeh.models import ColumnDataSource

from gdlab.analysis import health
from gdlab.records import Table
from server.ui import card
from server.ui.query import Query
from server.ui.small_table import fit_rows, small_table

SIGNS = {
    "exploding gradients": "▲", "vanishing gradients": "▽", "rising loss": "↗", "widening gap": "↔",
    "tiny steps": "·", "huge steps": "⇑", "dead filters": "✕",
}  # fmt: skip
COLUMNS = {
    "sign": ("", "text", 26), "kind": ("warning", "text", 140), "where": ("where", "text", 150),
    "first_iteration": ("from iteration", "count", 100), "last_iteration": ("to", "count", 90),
    "text": ("what", "text", 620),
}  # fmt: skip
LOOKING, NONE = "Looking …", "Nothing stands out."
RULES = "Rules of thumb, each with a limit; a row that is clicked is selected in every view."

_found: WeakKeyDictionary = WeakKeyDictionary()


class Warnings:
    """root: the card. draw(): looks for warnings beside the event loop, since that reads every filter."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.source = ColumnDataSource({name: [] for name in COLUMNS}, name="health_warnings_rows")
        self.table_ = small_table(context, self.source, COLUMNS, name="health_warnings_table")
        self.table_.selectable = True
        self.source.selected.on_change("indices", self._chosen)
        self.query = Query(context, lambda found: self._show(), failed=self._failed)
        self.root = card.card(
            context, "Warnings", LOOKING, self.table_, read="health", name="health_warnings", csv=self.table
        )  # fmt: skip
        self.draw()

    def draw(self) -> None:
        """The warnings of what is recorded now."""
        dumps = self.tracker.dumps
        if dumps in _found:
            self.query.forget()
            self._show()
        else:
            self.query.compute(dumps, lambda: warnings(dumps))

    def table(self) -> Table:
        """All columns of gdlab.analysis.health.check."""
        return warnings(self.tracker.dumps)

    def _failed(self, why: str) -> None:
        card.retitle(self.root, caption=why)

    def _show(self) -> None:
        columns = warnings(self.tracker.dumps).columns
        rows = {name: columns[name].tolist() for name in COLUMNS if name != "sign"}
        self.source.selected.indices = []
        self.source.data = {"sign": [SIGNS[kind] for kind in rows["kind"]], **rows}
        count = len(rows["kind"])
        fit_rows(self.table_, count)
        self.table_.visible = count > 0
        words = f"{count} warning{'s' if count != 1 else ''}. {RULES}" if count else NONE
        card.retitle(self.root, caption=words)

    def _chosen(self, attribute, old, new) -> None:
        if not new:
            return
        columns = warnings(self.tracker.dumps).columns
        where = columns["where"][new[0]]
        layers = [i for i, node in enumerate(self.tracker.dumps.nodes) if node.name == where]
        self.tracker.select(dumps=[columns["first"][new[0]]], layers=layers)


def warnings(dumps) -> Table:
    """gdlab.analysis.health.check of a run's dumps, found once for all sessions."""
    if dumps not in _found:
        _found[dumps] = health.check(health.record_of(dumps))
    return _found[dumps]
