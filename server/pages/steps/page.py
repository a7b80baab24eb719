"""What the cards of the page share: window of iterations, averaging, scale, and the window averages."""

from bokeh.models import Button, Slider, Toggle

from gdlab.analysis import step_sizes
from server.pages.steps.data import Averages
from server.ui.clock import Clock
from server.ui.viewport import Viewport

WINDOW, WIDEST = 10, 500
POINTS, FEW_POINTS = 1000, 300  # windows of a curve: of FEW runs, and where there are more
FEW = 6
WITH_LOSS = 3  # runs up to which the loss is drawn unless it is switched off
REST_MS = 60


class StepPage:
    """viewport; window: iterations that are averaged, as the reader chose; tools: the controls.

    Emits "window" when another window is chosen.
    """

    def __init__(self, context):
        self.context = context
        self.viewport = Viewport(context)
        self.averages = Averages()
        self.window = context.state.get("window", WINDOW, low=1, high=WIDEST)
        self.with_loss = context.state.get("loss", len(context.selected) <= WITH_LOSS)
        self.points = POINTS if len(context.selected) <= FEW else FEW_POINTS
        self._timer = None
        self.tools = self._tools()
        self.viewport.on_settled = self._settled
        context.on("log", self._toggle_log)

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

    # -- controls ---------------------------------------------------------------------------------

    def _tools(self) -> list:
        self._slider = Slider(
            title="Window", start=1, end=WIDEST, step=1, value=self.window, width=150, name="window_slider",
            stylesheets=[self.context.sheet],
        )  # fmt: skip
        self._slider.on_change("value", lambda attribute, old, new: self._slid())
        self._log = Toggle(label="Log", name="log_toggle", **self._quiet("Logarithmic axes (l)"))
        self._log.on_change("active", lambda attribute, old, active: self._set_log(active))
        loss = Toggle(
            label="Loss",
            name="loss_toggle",
            active=self.with_loss,
            **self._quiet("The loss on a second axis"),
        )
        loss.on_change("active", lambda attribute, old, active: self._set_loss(active))
        buttons = [
            self._button("+", "zoom_in", "Zoom in", lambda: self.viewport.zoom(0.5)),
            self._button("−", "zoom_out", "Zoom out", lambda: self.viewport.zoom(2.0)),
            self._button("Reset", "zoom_reset", "All iterations (double click)", self.viewport.reset),
        ]
        return [self._slider, *buttons, loss, self._log]

    def _button(self, label: str, name: str, title: str, action) -> Button:
        button = Button(label=label, name=name, **self._quiet(title))
        button.on_click(action)
        return button

    def _quiet(self, title: str) -> dict:
        sheet = [self.context.sheet]
        return {"css_classes": ["gd-quiet"], "stylesheets": sheet, "html_attributes": {"title": title}}

    def _slid(self) -> None:
        """The slider moves on while it is dragged: what it rests on counts."""
        if self._timer is not None:
            self.context.doc.remove_timeout_callback(self._timer)
        self._timer = self.context.doc.add_timeout_callback(self._rested, REST_MS)

    def _rested(self) -> None:
        self._timer = None
        window = int(self._slider.value)
        if window != self.window:
            self.window = window
            self.context.state.set("window", None if window == WINDOW else window)
            self.viewport.redraw()
            self.context.emit("window")

    def _set_loss(self, active: bool) -> None:
        self.with_loss = active
        usual = len(self.context.selected) <= WITH_LOSS
        self.context.state.set("loss", None if active == usual else active)
        self.viewport.redraw()

    @property
    def log(self) -> bool:
        """Whether the axes are logarithmic."""
        return self.viewport.scale in ("log", "symlog")

    def _set_log(self, active: bool) -> None:
        if active != self.log:
            self.viewport.set_scale("log" if active else "linear")

    def _toggle_log(self) -> None:
        self.viewport.set_scale("linear" if self.log else "log")

    def _settled(self) -> None:
        self._log.active = self.log


def page(context) -> StepPage:
    """The page of a context: views that are built with the same context share it."""
    return context.shared(StepPage)
