"""The health panel of the page of classes and layers."""

from server.core.context import Context, View
from server.pages.tracker.health.panel import Health
from server.pages.tracker.lazy import staged
from server.pages.tracker.tracker import tracker
from server.ui import card


def build(context: Context) -> View:
    """The View, drawn when it is first shown; nothing where no run has dumps."""
    shared = tracker(context)
    if shared is None:
        return View(card.box(context, classes=["gd-none"], visible=False, name="health_none"), lambda: None)

    def build_health() -> View:
        panel = Health(context, shared)
        return View(panel.root, panel.update)

    return staged(context, shared, "health", build_health)
