"""The window that the curves of a page share: ranges, scales, steps of zoom, and the way back.

The x range is the reader's; the y range follows what the x range shows, until the reader changes it
too. The address holds the window, a live run moves it only while all of the curve is in view.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from bokeh.events import DoubleTap, RangesUpdate
from bokeh.models import Range1d

from gdlab.analysis import steps
from server.core.rest import Rest
from server.ui import figures
from server.ui.choices import Choice
from server.ui.clock import Clock

AXES = {
    "iteration": "iteration", "evaluations": "evaluations", "relative": "relative time", "wall": "wall time"
}  # fmt: skip
SCALES = {"auto": "automatic", "log": "log", "linear": "linear", "symlog": "symlog"}
REST_MS = 40  # a range that has not moved for so long is drawn sharply
HISTORY = 50
GESTURE_S = 0.4  # changes that follow one another faster are one gesture, and one way back


class Member(Protocol):
    """A curve in the viewport."""

    def extent(self) -> tuple[float, float]:
        """First and last x."""

    def limits(self) -> np.ndarray:
        """Values that the error axis must show."""

    def draw(self, low: float, high: float) -> np.ndarray:
        """Draws what lies in [low, high] of x; the values that are shown."""

    def rescale(self) -> None:
        """Follows a change of the axes."""


class Window(NamedTuple):
    """Limits of both axes; None: as far as the curves go, and as high as what is shown."""

    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None


class Viewport:
    """Shared by every `Member`; on_settled: called after each redraw."""

    def __init__(self, context, on_settled: Callable[[], None] = lambda: None):
        self.context, self.on_settled = context, on_settled
        self.x_range, self.y_range = Range1d(0, 1), Range1d(0, 1)
        self.x_range.name, self.y_range.name = "curve_x", "curve_y"
        self.members: list[Member] = []
        self.x_axis = Choice(
            context, "axis", "iteration", AXES, title="X axis", help="What the errors are drawn over",
            changed=self._other_axis,
        )  # fmt: skip
        self.x_log = Choice(
            context, "logx", False, title="Log x", help="Logarithmic x axis", changed=self._other_axis
        )
        self.error_scale = Choice(
            context, "scale", "auto", SCALES, title="Error axis", help="automatic: what suits the errors",
            changed=self._other_scale,
        )  # fmt: skip
        self.scale, self.threshold = "linear", 1.0
        self.window = Window(self._pair("x0", "x1"), self._pair("y0", "y1"))
        self._past: list[Window] = []
        self.plots: list = []
        self._rest = Rest(context, REST_MS, self._rested)
        self._placing = False
        self._changed_at = 0.0
        self._fitted: list[tuple[float, float]] = []

    # -- members ----------------------------------------------------------------------------------

    def join(self, member: Member, plot) -> None:
        """Adds a curve and its figure, which uses `x_range` and `y_range`; before `start`."""
        self.members.append(member)
        self.plots.append(plot)
        plot.on_event(RangesUpdate, self._moved)
        plot.on_event(DoubleTap, lambda event: self.reset())

    def start(self) -> None:
        """Draws for the first time and listens from then on."""
        self.rescale()
        for end in ("start", "end"):
            self.x_range.on_change(end, self._scrolled)

    def clock(self, run) -> Clock:
        """Where the iterations of a run lie on the x axis, as it is now."""
        return Clock(run, self.axis, log=self.log_x)

    # -- scales -----------------------------------------------------------------------------------

    def apply(self, values):
        """Data as they are drawn: transformed on a symlog axis, else as they are."""
        return steps.symlog(values, self.threshold) if self.scale == "symlog" else values

    def rescale(self) -> None:
        """Chooses the scales again and redraws everything."""
        values = np.concatenate([member.limits() for member in self.members] or [np.empty(0)])
        self.scale = steps.axis_scale(values, self.error_scale.value)
        self.threshold = steps.symlog_threshold(values)
        self._place()
        for plot in self.plots:
            figures.set_scale(plot, "y", "linear" if self.scale == "symlog" else self.scale)
            figures.set_scale(plot, "x", self.x_scale)
        for member in self.members:
            member.rescale()
        self.redraw()

    @property
    def axis(self) -> str:
        """What the x axis counts, one of AXES."""
        return self.x_axis.value

    @property
    def log_x(self) -> bool:
        """Whether the x axis is logarithmic."""
        return self.x_log.value

    @property
    def log(self) -> bool:
        """Whether the error axis is logarithmic now; setting it chooses the scale."""
        return self.scale in ("log", "symlog")

    @log.setter
    def log(self, wanted: bool) -> None:
        if wanted != self.log:
            self.error_scale.set("log" if wanted else "linear")

    # -- moving -----------------------------------------------------------------------------------

    def show(self, x=None, y=None, *, remember: bool = True) -> None:
        """Shows a window; None: all of the curve, or as high as what is shown."""
        now = time.monotonic()
        if remember and now - self._changed_at > GESTURE_S:
            self._past = [*self._past[1 - HISTORY :], self.window]
        self._changed_at = now
        self.window = Window(x, y)
        self.redraw()

    def zoom(self, factor: float) -> None:
        """One step: 0.5 halves the iterations in view, 2 doubles them."""
        low, high = self.extent()
        x0, x1 = figures.zoomed(self.x_range.start, self.x_range.end, factor, log=self.log_x)
        x0, x1 = max(x0, low), min(x1, high)
        self.show(None if (x0, x1) == (low, high) else (x0, x1), self.window.y)

    def reset(self) -> None:
        """Shows everything."""
        self.show()

    def back(self) -> None:
        """The window before the last change; all of the curve where there is none."""
        past = self._past.pop() if self._past else Window()
        self.show(*past, remember=False)

    def reveal(self, x: float) -> None:
        """Moves the window sideways, no further than needed, until x is in view."""
        low, high = self.x_range.start, self.x_range.end
        if not low <= x <= high:
            width = high - low
            self.show((x - width / 2, x + width / 2), self.window.y, remember=False)

    def grown(self) -> None:
        """The record has grown: shows more of it where all of it was shown, else leaves the window alone."""
        self.redraw()

    def extent(self) -> tuple[float, float]:
        """Limits that hold all curves, with a margin; of none from 0 to 1."""
        parts = [member.extent() for member in self.members] or [(0.0, 1.0)]
        low, high = min(p[0] for p in parts), max(p[1] for p in parts)
        if self.log_x:
            return low / 1.05, max(high, 2 * low) * 1.05
        margin = 0.02 * (high - low) or 0.5
        return low - margin, high + margin

    def redraw(self) -> None:
        """Draws what the window shows, and fits the height to it unless the reader chose one."""
        self._rest.stop()
        self._place()
        low, high = self.x_range.start, self.x_range.end
        parts = [member.draw(low, high) for member in self.members]
        self._fit(np.concatenate(parts or [np.empty(0)]))
        self._write()
        self.on_settled()

    # -- private ----------------------------------------------------------------------------------

    def _other_scale(self, value) -> None:
        """The window's height follows the curve again."""
        self.window = self.window._replace(y=None)
        self.rescale()

    def _other_axis(self, value) -> None:
        """The window goes back to all of the curve, since its unit has changed."""
        if self.axis == "wall" and self.log_x:
            self.x_log.set(False)  # which comes here again
            return
        self.window, self._past = Window(), []
        self.rescale()

    def _place(self) -> None:
        low, high = self.extent()
        x0, x1 = self.window.x or (low, high)
        if not max(x0, low) < min(x1, high):
            x0, x1 = low, high
            self.window = self.window._replace(x=None)
        self._placing = True
        # Bounds first: the browser would cut the new limits at the old bounds.
        self.x_range.bounds = None if self.log_x else (low, high)
        self.x_range.update(start=x0, end=x1)
        self._placing = False

    def _fit(self, values) -> None:
        if self.window.y is None:
            kind = "log" if self.scale == "log" else "linear"
            low, high = steps.view_range(self.apply(values), kind, margin=0.06)
            self._fitted = [*self._fitted[-9:], (low, high)]
        else:
            low, high = self.window.y
        self.y_range.update(start=low, end=high)
        if self.scale == "symlog":
            ticks = steps.symlog_ticks(low, high, self.threshold)
            for plot in self.plots:
                figures.set_scale(plot, "y", "fixed", ticks)

    @property
    def x_scale(self) -> str:
        """The kind of x axis, as `figures.set_scale` takes it."""
        if self.log_x:
            return "log"
        return {"relative": "linear", "wall": "time"}.get(self.axis, "count")

    def _moved(self, event) -> None:
        """The end of a gesture in the browser: its limits are the reader's."""
        chosen = (event.y0, event.y1)
        # The event may have left the browser before the newest fit arrived there.
        mine = [*self._fitted, self.window.y or chosen[::-1]]
        y = self.window.y if any(np.allclose(chosen, pair, rtol=1e-9, atol=0) for pair in mine) else chosen
        if not self._is_shown((event.x0, event.x1), y):
            self.show((event.x0, event.x1), y)

    def _scrolled(self, attribute, old, new) -> None:
        """The x range is moving, by a gesture that is not over yet or by the strip."""
        if not self._placing:
            self._rest.begin()

    def _rested(self) -> None:
        x = (self.x_range.start, self.x_range.end)
        if not self._is_shown(x, self.window.y):
            self.show(x, self.window.y)

    def _is_shown(self, x, y) -> bool:
        return y == self.window.y and np.allclose(x, self.window.x or self.extent(), rtol=1e-9, atol=0)

    def _pair(self, low: str, high: str) -> tuple[float, float] | None:
        x0, x1 = (self.context.state.get(key, float("nan")) for key in (low, high))
        return (x0, x1) if x0 < x1 else None

    def _write(self) -> None:
        def short(pair: Sequence[float] | None):
            return (None, None) if pair is None else tuple(float(f"{value:.12g}") for value in pair)

        x, y = short(self.window.x), short(self.window.y)
        self.context.state.update({"x0": x[0], "x1": x[1], "y0": y[0], "y1": y[1]})
