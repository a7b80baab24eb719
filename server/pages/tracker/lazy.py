"""A mode of the tracker: its view is built when it is first shown, and hidden while another one is."""

from collections.abc import Callable

from server.core.context import View
from server.pages.tracker.tracker import Tracker, tracker
from server.ui import card


def lazily(context, mode: str, build: Callable[[Tracker], View]) -> View:
    """The View of a mode, whose build(tracker) is called when it is first chosen; an invisible one where no
    run has dumps."""
    shared = tracker(context)
    if shared is None:
        return View(card.box(context, classes=["gd-none"], visible=False, name=f"{mode}_none"), lambda: None)
    root = card.grid(context, name=f"tracker_{mode}")
    root.visible = False
    built: list[View] = []

    def show():
        root.visible = shared.mode == mode
        if root.visible and not built:
            built.append(build(shared))
            root.children[0].children = [built[0].root]

    def update():
        if built and root.visible:
            built[0].update()

    context.on("mode", show)
    context.on("mode", update)  # dumps that came while it was hidden
    show()
    return View(root, update)
