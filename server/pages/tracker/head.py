"""The head of the page that follows classes, layers and filters through a training."""

from server.core.context import Context, View
from server.pages.tracker.bar import Bar
from server.pages.tracker.prefetching import prefetch
from server.pages.tracker.tracker import tracker
from server.ui import card, recorded

__all__ = ["build", "prefetch"]

NONE = (
    "This page follows the classes, layers and filters of a run that has dumps, and {} has none.\n"
    "A classifier records them with, for example: python -m gdlab experiment=mnist_adam record=dumps"
)


def build(context: Context) -> View:
    """The settings and the selection of the (first) selected run that has dumps."""
    shared = tracker(context)
    words = "This page follows classes, layers and filters by dumps of a network"
    none = recorded.refusal(context, "No dumps", words, ("dumps",), name="tracker_none")
    if none is not None:
        return none
    if shared is None:
        who = "this run" if len(context.selected) == 1 else "none of these runs"
        words = NONE.format(who).replace("none of these runs has none", "none of these runs has any")
        return View(card.empty_card(context, "No dumps", words, name="tracker_none"), lambda: None)
    bar = Bar(context, shared)

    def update() -> None:
        if shared.grown():
            bar.update()

    context.on("back", shared.clear)
    shared.await_proposal()
    return View(bar.root, update)
