"""How well classes and their images are recognised through the training. DeepTracker 2018, section 7.1."""

from server import card
from server.context import Context, View
from server.tracker.classes.page import Page
from server.tracker.stage import staged
from server.tracker.tracker import tracker


def build(context: Context) -> View:
    """The validation view of the (first) selected run that has dumps; nothing where there is none."""
    shared = tracker(context)
    if shared is None:
        return View(card.box(context, classes=["gd-holder"], visible=False), lambda: None)
    return staged(context, shared, "classes", lambda: Page(context, shared).view)
