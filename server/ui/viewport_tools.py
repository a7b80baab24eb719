"""The buttons of a window, the same wherever there is one: in, out, all of it, and its logarithmic axis."""

from bokeh.models import Toggle

from server.ui.choices import button, look
from server.ui.viewport import Viewport


class ViewportTools:
    """buttons: for the head of a card; that of the axis is the last, and the key `l` presses it, too. back:
    whether one leads to the window before."""

    def __init__(self, context, viewport: Viewport, *, back: bool = False):
        self.viewport = viewport
        self._log = Toggle(label="Log", **look(context, "log_toggle", "Logarithmic axis (l)", "gd-quiet"))
        self._log.on_change("active", lambda attribute, old, new: setattr(viewport, "log", new))
        context.on("log", lambda: setattr(viewport, "log", not viewport.log))
        before = [button(context, "Back", "zoom_back", "The view before", viewport.back)] if back else []
        self.buttons = [
            button(context, "+", "zoom_in", "Zoom in", lambda: viewport.zoom(0.5)),
            button(context, "−", "zoom_out", "Zoom out", lambda: viewport.zoom(2.0)),
            *before,
            button(context, "Reset", "zoom_reset", "All of it (double click)", viewport.reset),
            self._log,
        ]

    def show(self) -> None:
        """The button says what the axis is, once the data have chosen it."""
        self._log.active = self.viewport.log
