"""What the curves of one page share: window, options, keys, crosshair, the iteration in view."""

from collections.abc import Callable

import numpy as np

from server.ui import figures, sheets
from server.ui.viewport import Viewport
from server.views.curve.curve import Curve
from server.views.curve.options import Options

WARM_MS = 2500  # the worker's imports wait until the page is drawn


class CurvePage:
    """viewport and options of one page; `take_options` gives the controls to the first card that asks.

    Where no view of the page has a curve that begins the viewport, the page shows all iterations of its runs.
    """

    def __init__(self, context):
        self.context = context
        self.sheet = sheets.sheet("curve")
        self.viewport = Viewport(context)
        self.options = Options(context, self.viewport, self.viewport.redraw)
        self.style(self.options.panel, *self.options.panel.children)
        for widgets in self.options.panel.children:
            self.style(*widgets.children)
        self._free = True
        self._led = self._drawn = False
        context.on("show", self._shown)
        context.on("refresh", self._refreshed)

    def style(self, *layouts) -> None:
        """Gives layouts the stylesheet of this page's cards, after the one that all cards have."""
        for layout in layouts:
            layout.stylesheets = [*layout.stylesheets, self.sheet]

    def take_options(self) -> tuple:
        """(tools for the card's head, panels above its figure), once; empty afterwards."""
        if not self._free:
            return (), ()
        self._free = False
        return self.options.tools, (self.options.panel,)

    def start(self, curves: list[Curve]) -> Callable[[], None]:
        """Connects the page's events and draws for the first time; returns a view's `update`."""
        self._led = True
        figures.crosshair(self.context, *self.viewport.plots, name="curve_crosshair")
        self.viewport.on_settled = self._settled
        self.context.on("iteration", lambda k: self._reveal(curves, k))
        self.viewport.start()
        self.context.doc.add_timeout_callback(self.context.worker.warm, WARM_MS)
        return lambda: self._grown(curves)

    def _shown(self) -> None:
        """All views are built: without a curve nobody has drawn the viewport yet."""
        if self._led or self._drawn:
            return
        self._drawn = True
        self.viewport.members.append(_WholeRuns(self.context, self.viewport))
        self.viewport.on_settled = self._settled
        self.viewport.start()

    def _refreshed(self) -> None:
        if self._drawn and not self._led:
            self.viewport.grown()

    def _settled(self) -> None:
        self.options.show_scale()
        self.context.emit("range")

    def _grown(self, curves: list[Curve]) -> None:
        for curve in curves:
            curve.grown()
        self.viewport.grown()

    def _reveal(self, curves: list[Curve], k: int | None) -> None:
        """An iteration that was chosen elsewhere comes into view."""
        for curve in curves:
            if k is not None and curve.focused:
                self.viewport.reveal(float(curve.clock.x(k)))


class _WholeRuns:
    """A member of a viewport without a curve: as far as the records of all runs go; draws nothing."""

    def __init__(self, context, viewport: Viewport):
        self.context, self.viewport = context, viewport

    def extent(self) -> tuple[float, float]:
        """First and last x of all runs."""
        parts = []
        for run in map(self.context.run, self.context.selected):
            clock = self.viewport.clock(run)
            ends = (1 if clock.log else 0, max(run.rows("scalars"), 1))
            parts.append([float(clock.x(end)) for end in ends])
        return min(low for low, _ in parts), max(high for _, high in parts)

    def limits(self) -> np.ndarray:
        """No values, and so nothing that an axis would have to show."""
        return np.empty(0)

    def draw(self, low: float, high: float) -> np.ndarray:
        """Draws nothing."""
        return np.empty(0)

    def rescale(self) -> None:
        """Has no axis."""


def page(context) -> CurvePage:
    """The page of a context: views that are built with the same context share it."""
    return context.shared(CurvePage)
