"""The health panel of the page of classes and layers."""

from server import card
from server.context import Context, View
from server.tracker.health.panel import Health
from server.tracker.stage import staged
from server.tracker.tracker import tracker


def build(context: Context) -> View:
    """The View, drawn when it is first shown; nothing where no run has dumps."""
    shared = tracker(context)
    if shared is None:
        return View(card.box(context, classes=["gd-none"], visible=False, name="health_none"), lambda: None)

    def build_health() -> View:
        panel = Health(context, shared)
        return View(panel.root, panel.update)

    return staged(context, shared, "health", build_health)
