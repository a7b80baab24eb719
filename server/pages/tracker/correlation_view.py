"""Which filters changed when which classes did: the grid of layers and classes between its two neighbours."""

from server.core.context import Context, View
from server.pages.tracker.correlation.view import Correlation
from server.pages.tracker.lazy import staged
from server.pages.tracker.tracker import tracker
from server.ui import card

NO_LABELS = "The dumps of this run hold no predictions, or no filters: there is nothing to relate."


def build(context: Context) -> View:
    """The third of the tracker's views."""
    shared = tracker(context)
    if shared is None:
        return View(card.box(context, classes=["gd-span-12"], visible=False), lambda: None)

    def make() -> View:
        if not len(shared.dumps.labels) or not len(shared.evidence.layers) or not shared.dumps.stats():
            empty = card.empty_card(context, "Filters and classes", NO_LABELS, name="correlation_none")
            return View(empty, lambda: None)
        return Correlation(context, shared).view

    return staged(context, shared, "correlation", make)
