"""Where a tracker's view stands: built when it is first shown, hidden while another one is."""

from server.core.context import View
from server.ui import card


def staged(context, tracker, mode: str, build) -> View:
    """The View of one of the tracker's modes. build() -> View is called when the mode is first chosen."""
    root = card.grid(context, name=f"tracker_{mode}")
    root.visible = False
    built: list[View] = []

    def show():
        root.visible = tracker.mode == mode
        if root.visible and not built:
            built.append(build())
            root.children[0].children = [built[0].root]

    def update():
        if built and root.visible:
            built[0].update()

    context.on("mode", show)
    context.on("mode", update)  # dumps that came while it was hidden
    show()
    return View(root, update)
