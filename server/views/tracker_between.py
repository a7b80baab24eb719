"""What happens between two dumps: an interval is trained again and dumped in every iteration."""

from server import card
from server.context import Context, View
from server.tracker.between import Between, wanted
from server.tracker.tracker import tracker


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
