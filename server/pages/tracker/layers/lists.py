"""The lists of filters that are dead and of those that never settle, layer by layer; a click selects them."""

from weakref import WeakKeyDictionary

import numpy as np
from bokeh.models import ColumnDataSource

from gdlab.analysis import filters
from gdlab.records import Table
from server.pages.tracker.names import within_layer
from server.ui import card
from server.ui.query import Query
from server.ui.small_table import fit_rows, small_table

DEAD = {
    "layer": ("layer", "text", 190), "count": ("dead", "count", 60), "of": ("of", "count", 60),
    "share": ("share", "share", 80), "since": ("the first since iteration", "count", 150),
}  # fmt: skip
RESTLESS = {
    "layer": ("layer", "text", 190), "count": ("restless", "count", 60), "of": ("of", "count", 60),
    "share": ("share", "share", 80), "ratio": ("most, over the median", "number", 150),
}  # fmt: skip
DEAD_RULE = (
    "Dead: the gradient is exactly 0 and the direction does not change over at least the last {} dumps; "
    "weight decay may still shrink them."
)
RESTLESS_RULE = "The {:.0%} of all filters that change most (1 − cosine) over the last {:.0%} of the dumps."
LOOKING, CLICK = "Looking …", "A click on a row selects them."

_found: WeakKeyDictionary = WeakKeyDictionary()


class Found:
    """A card with one of the lists; look: `dead` or `restless`, as the name says; below: stands under the
    rows, and is offered how many were found."""

    def __init__(self, context, tracker, name: str, title: str, columns: dict, look, below=None):
        self.context, self.tracker, self.columns, self._look = context, tracker, columns, look
        self.source = ColumnDataSource({column: [] for column in columns}, name=f"{name}_rows")
        self.rows = small_table(context, self.source, columns, name=f"{name}_table")
        self.rows.update(selectable=True, visible=False)
        self.source.selected.on_change("indices", self._chosen)
        self.nodes: list[int] = []
        self.query = Query(context, lambda found: self._show(*found), failed=self._failed)
        self.below = below
        body = self.rows if below is None else card.box(context, self.rows, below.root, classes=["gd-body"])
        self.root = card.card(context, title, LOOKING, body, read="layers", name=name, csv=self.table, span=6)
        self.draw()

    def draw(self) -> None:
        """Looks through the dumps of now; the first time beside the event loop: it reads every filter."""
        dumps = self.tracker.dumps
        if self.root.name in _found.get(dumps, {}):
            self.query.forget()
            self._show(*self._look(dumps))
        else:
            self.query.compute(dumps, lambda: self._look(dumps))

    def _failed(self, why: str) -> None:
        card.retitle(self.root, caption=why)

    def _show(self, found: Table, rule: str) -> None:
        which = found.columns["filter"]
        layer = filters.split(which, self.tracker.evidence.first)
        at = np.unique(layer)
        self.nodes = self.tracker.evidence.layers[at].tolist()
        nodes = [self.tracker.dumps.nodes[i] for i in self.nodes]
        count = np.array([(layer == i).sum() for i in at], int)
        of = np.array([node.filters for node in nodes], int)
        rows = {"layer": [node.name for node in nodes], "count": count, "of": of}
        rows["share"] = count / np.maximum(of, 1)
        if "since" in self.columns:
            first = [found.columns["since"][layer == i].min() for i in at]
            rows["since"] = self.tracker.dumps.iteration[np.array(first, int)]
        else:
            rows["ratio"] = np.array([found.columns["ratio"][layer == i].max() for i in at], float)
        self.source.selected.indices = []
        self.source.data = rows
        self.rows.visible = len(at) > 0
        fit_rows(self.rows, len(at))
        if self.below is not None:
            self.below.offer(len(which))
        words = f"Found: {len(which):,}. {CLICK}" if len(which) else "None was found."
        card.retitle(self.root, caption=f"{rule} {words}" if rule else words)

    def table(self) -> Table:
        """For CSV: every filter that was found: its layer, its position there and among all filters."""
        found, _ = self._look(self.tracker.dumps)
        every = found.columns["filter"]
        layer = filters.split(every, self.tracker.evidence.first)
        names = [self.tracker.dumps.nodes[i].name for i in self.tracker.evidence.layers[layer]]
        columns = {"layer": np.array(names, object), **found.columns}
        columns |= {"filter": within_layer(self.tracker.dumps, every), "position": every}
        return Table(columns, dict.fromkeys(columns, ("filter",)), {})

    def _chosen(self, attribute, old, new) -> None:
        if not new:
            return
        node = self.tracker.dumps.nodes[self.nodes[new[0]]]
        which = self._look(self.tracker.dumps)[0].columns["filter"]
        mine = which[(which >= node.first) & (which < node.first + node.filters)]
        self.tracker.select(filters=mine.tolist(), layers=[self.nodes[new[0]]])


def dead(dumps):
    """(Table of gdlab.analysis.filters.dead_filters, its rule in words), kept for all sessions."""
    needed = ("gradient_mean", "gradient_std", "cosine_distance")

    def look():
        gradient = (dumps.filter("gradient_mean") != 0) | (dumps.filter("gradient_std") != 0)
        found = filters.dead_filters(gradient, dumps.filter("cosine_distance"))
        return found, DEAD_RULE.format(found.attrs["least"])

    return _kept(dumps, "dead", needed, look)


def restless(dumps):
    """(Table of gdlab.analysis.filters.never_settling, its rule in words), kept for all sessions."""

    def look():
        found = filters.never_settling(dumps.filter("cosine_distance"))
        return found, RESTLESS_RULE.format(found.attrs["share"], found.attrs["late"])

    return _kept(dumps, "restless", ("cosine_distance",), look)


def _kept(dumps, name, needed, look):
    known = _found.setdefault(dumps, {})
    if name not in known:
        missing = [stat for stat in needed if f"dump/filter/{stat}" not in dumps.run.arrays]
        empty = {column: np.empty(0, int) for column in ("filter", "since", "ratio")}
        nothing = Table(empty, dict.fromkeys(empty, ("filter",)), {})
        known[name] = (nothing, f"Not recorded of filters: {', '.join(missing)}.") if missing else look()
    return known[name]
