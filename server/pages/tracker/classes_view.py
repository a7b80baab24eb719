"""How well classes and their images are recognised through the training. DeepTracker 2018, section 7.1."""

from server.core.context import Context, View
from server.pages.tracker.classes.page import Page
from server.pages.tracker.lazy import staged
from server.pages.tracker.tracker import tracker
from server.ui import card


def build(context: Context) -> View:
    """The validation view of the (first) selected run that has dumps; nothing where there is none."""
    shared = tracker(context)
    if shared is None:
        return View(card.box(context, classes=["gd-holder"], visible=False), lambda: None)
    return staged(context, shared, "classes", lambda: Page(context, shared).view)
