"""What the cards of the page share: window of iterations, averaging, scale, and the window averages."""

from gdlab.analysis import step_sizes
from server.pages.steps.data import Averages
from server.ui.choices import Choice
from server.ui.clock import Clock
from server.ui.viewport import Viewport
from server.ui.viewport_tools import ViewportTools

WINDOW, WIDEST = 10, 500
POINTS, FEW_POINTS = 1000, 300  # windows of a curve: of FEW runs, and where there are more
FEW = 6
WITH_LOSS = 3  # runs up to which the loss is drawn unless it is switched off


class StepPage:
    """viewport; tools: the controls.

    Emits "window" when another window is chosen.
    """

    def __init__(self, context):
        self.context = context
        self.viewport = Viewport(context)
        self.averages = Averages()
        self._window = Choice(
            context, "window", WINDOW, (1, WIDEST), title="Window", help="Iterations that are averaged",
            changed=self._other_window,
        )  # fmt: skip
        self._loss = Choice(
            context, "loss", len(context.selected) <= WITH_LOSS, title="Loss",
            help="The loss on a second axis", changed=lambda value: self.viewport.redraw(),
        )  # fmt: skip
        self.points = POINTS if len(context.selected) <= FEW else FEW_POINTS
        buttons = ViewportTools(context, self.viewport)
        self.tools = [
            self._window.slider("window_slider", step=1, width=150),
            *buttons.buttons[:-1], self._loss.toggle("loss_toggle"), buttons.buttons[-1],
        ]  # fmt: skip
        self.viewport.on_settled = buttons.show

    @property
    def window(self) -> int:
        """Iterations that are averaged, as the reader chose."""
        return self._window.value

    @property
    def with_loss(self) -> bool:
        """Whether the loss is drawn, too."""
        return self._loss.value

    def clock(self, run) -> Clock:
        """Where the iterations of a run lie on the x axis."""
        return self.viewport.clock(run)

    def means(self, run, quantity: str, low: float, high: float):
        """(positions, window averages, iterations) of a run between two positions of the x axis."""
        clock = self.clock(run)
        start, stop = clock.rows(low, high, run.rows("scalars"))
        window = step_sizes.wide_enough(max(stop - start, 0), self.window, self.points)
        found = self.averages.of(run, quantity, start, stop, window).columns
        return clock.x(found["iteration"]), found["mean"], found["iteration"]

    def whole(self, run, quantity: str):
        """The window averages of all of a run, as a Table."""
        count = run.rows("scalars")
        window = step_sizes.wide_enough(count, self.window, POINTS)
        return self.averages.of(run, quantity, 0, count, window)

    def width(self, names) -> int:
        """Iterations per point of the widest window that is drawn of these runs."""
        low, high = self.viewport.x_range.start, self.viewport.x_range.end
        widest = self.window
        for name in names:
            run = self.context.run(name)
            start, stop = self.clock(run).rows(low, high, run.rows("scalars"))
            widest = max(widest, step_sizes.wide_enough(max(stop - start, 0), self.window, self.points))
        return widest

    def _other_window(self, value) -> None:
        self.viewport.redraw()
        self.context.emit("window")


def page(context) -> StepPage:
    """The page of a context: views that are built with the same context share it."""
    return context.shared(StepPage)
