"""What happens between two dumps: an interval is trained again and dumped in every iteration."""

from server.core.context import Context, View
from server.pages.tracker.between import Between, wanted
from server.pages.tracker.tracker import tracker
from server.ui import card


def build(context: Context) -> View:
    """The card, made when a dump is first selected; nothing where no run has dumps."""
    shared = tracker(context)
    place = card.grid(context, name="between_place")
    place.visible = False
    made: list[Between] = []

    def show() -> None:
        if shared is not None:
            place.visible = wanted(shared)
            if place.visible and not made:
                made.append(Between(context, shared))
                place.children[0].children = [made[0].root]

    context.on("selection", show)
    context.on("mode", show)
    show()
    return View(place, lambda: None)
