"""The layer view of the page of classes and layers: structure, charts, filters."""

from server.core.context import Context, View
from server.pages.tracker.layers import lists
from server.pages.tracker.layers.lists import DEAD, RESTLESS, Found
from server.pages.tracker.layers.panel import Layers
from server.pages.tracker.layers.without_dead import WithoutDead
from server.pages.tracker.lazy import lazily
from server.ui import card

NO_LAYERS = "This run's network has no layers with filters: there is no statistic of weights to show."


def build(context: Context) -> View:
    """The View, drawn when it is first shown."""

    def cards(tracker) -> View:
        if not tracker.dumps.nodes:
            return View(card.empty_card(context, "No layers", NO_LAYERS, name="layers_empty"), lambda: None)
        layers = Layers(context, tracker)
        without = WithoutDead(context, tracker)
        dead = Found(context, tracker, "dead", "Dead filters", DEAD, lists.dead, below=without)
        restless = Found(context, tracker, "restless", "Filters that never settle", RESTLESS, lists.restless)
        root = card.grid(context, layers.root, dead.root, restless.root, name="layers_cards")

        def update() -> None:
            layers.update()
            dead.draw()
            restless.draw()

        return View(root, update)

    return lazily(context, "layers", cards)
