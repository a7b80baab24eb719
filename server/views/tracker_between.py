"""What happens between two dumps: an interval is trained again and dumped in every iteration."""

from server import card
from server.context import Context, View
from server.tracker.between import Between
from server.tracker.tracker import tracker


def build(context: Context) -> View:
    """The card; nothing where no run has dumps."""
    shared = tracker(context)
    if shared is None:
        return View(card.box(context, classes=["gd-holder"], visible=False), lambda: None)
    return View(Between(context, shared).root, lambda: None)
