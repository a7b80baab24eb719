"""The layer view of the page of classes and layers: structure, charts, filters."""

from server.core.context import Context, View
from server.pages.tracker.layers import lists
from server.pages.tracker.layers.lists import DEAD, RESTLESS, Found
from server.pages.tracker.layers.panel import Layers
from server.pages.tracker.layers.without_dead import WithoutDead
from server.pages.tracker.lazy import staged
from server.pages.tracker.tracker import tracker
from server.ui import card


def build(context: Context) -> View:
    """The View, drawn when it is first shown; nothing where no run has dumps."""
    shared = tracker(context)
    if shared is None:
        return View(card.box(context, classes=["gd-none"], visible=False, name="layers_none"), lambda: None)

    def build_layers() -> View:
        if not shared.dumps.nodes:
            words = "This run's network has no layers with filters: there is no statistic of weights to show."
            return View(card.empty_card(context, "No layers", words, name="layers_empty"), lambda: None)
        layers = Layers(context, shared)
        without = WithoutDead(context, shared)
        dead = Found(context, shared, "dead", "Dead filters", DEAD, lists.dead, below=without)
        restless = Found(context, shared, "restless", "Filters that never settle", RESTLESS, lists.restless)
        root = card.grid(context, layers.root, dead.root, restless.root, name="layers_cards")

        def update() -> None:
            layers.update()
            dead.draw()
            restless.draw()

        return View(root, update)

    return staged(context, shared, "layers", build_layers)
