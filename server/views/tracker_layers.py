"""The layer view of the page of classes and layers: structure, charts, filters."""

from server import card
from server.context import Context, View
from server.tracker.layers import lists
from server.tracker.layers.lists import DEAD, RESTLESS, Found
from server.tracker.layers.panel import Layers
from server.tracker.layers.without_dead import WithoutDead
from server.tracker.stage import staged
from server.tracker.tracker import tracker


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
