"""The controls of the curves: axes, smoothing, connection, the filters of the segments; one set a page."""

from collections.abc import Callable

from gdlab.messages import counted
from server.ui import card
from server.ui.choices import Choice, checks, opener
from server.ui.viewport import Viewport
from server.ui.viewport_tools import ViewportTools
from server.views.curve import metrics

BATCHES = {"batch": "mini-batch", "train": "training set"}


class Options:
    """What the reader chose; `changed` is called after every change that needs another drawing.

    loose_ends, phase_two, more_than, restarted, failed: see `analysis.segments.keep`; connect: straight
    lines between dots; smoothing in [0, 0.999]; on: "batch" or "train", the error along the segments.
    """

    def __init__(self, context, viewport: Viewport, changed: Callable[[], None]):
        self.context, self.viewport = context, viewport

        def choice(key: str, default, allowed, title: str, help: str) -> Choice:
            redraw = lambda value: changed()  # noqa: E731
            return Choice(context, key, default, allowed, title=title, help=help, changed=redraw)

        self._smooth = choice("smooth", 0.0, (0.0, 0.999), "Smoothing", "Weight of the errors before")
        self._connect = choice("connect", False, None, "connect dots", "Straight lines between the dots")
        self._loose = choice("loose", True, None, "loose ends", "Segments beyond what was looked at")
        self._phase_two = choice("phase2", False, None, "only phase two", "Searches that interpolated")
        self._restarts = choice("restarts", False, None, "only restarts", "Of the conjugate gradients")
        self._failed = choice("failed", False, None, "only failed", "Searches that found no step")
        words = "Searches that evaluated the error more often"
        self._more = choice("more", 0, (0, 1000), "More evaluations than", words)
        words = "What the error along the steps is taken of"
        self._on = choice("on", "batch", BATCHES, "Error along segments", words)
        names = metrics.recorded(context)
        words = "What is drawn over the iterations: the error, a term of it, a metric of a recorded loop"
        self._what = Choice(
            context, "metric", metrics.first(context), [metrics.ERROR, *names], title="Draw", help=words,
            changed=lambda value: viewport.rescale(),
        )  # fmt: skip
        self._searched = any("ls_eval" in context.run(name).arrays for name in context.selected)
        rows = self._rows()
        self.panel = card.box(context, *rows, classes=["gd-options"], name="curve_options", visible=False)
        self._tools = ViewportTools(context, viewport, back=True)
        words = "Axes, smoothing, filters"
        more = opener(context, "Options", "options_toggle", words, self.panel)
        self.tools = [*self._tools.buttons, more]
        self.show_scale = self._tools.show

    @property
    def smoothing(self) -> float:
        """Weight of the past, in [0, 0.999]."""
        return self._smooth.value

    @property
    def connect(self) -> bool:
        """Whether dots are connected by straight lines."""
        return self._connect.value

    @property
    def loose_ends(self) -> bool:
        """Whether segments go on beyond what the search looked at."""
        return self._loose.value

    @property
    def on(self) -> str:
        """What the error along the segments is taken of, of BATCHES."""
        return self._on.value

    @property
    def what(self) -> str:
        """What is drawn: `metrics.ERROR`, or the name of a metric."""
        return self._what.value

    @property
    def filters(self) -> dict:
        """Which segments are wanted, as keyword options; all where no run has line searches."""
        if not self._searched:
            return {}
        return {
            "phase_two": self._phase_two.value, "more_than": self._more.value,
            "restarted": self._restarts.value, "failed": self._failed.value,
        }  # fmt: skip

    @property
    def filtering(self) -> list[str]:
        """The filters that are on, in words."""
        more = self._more.value
        words = ["loose ends hidden"] if not self.loose_ends else []
        if not self._searched:
            return words
        words += ["only phase two"] if self._phase_two.value else []
        words += [f"only more than {counted(more, 'evaluation')}"] if more else []
        words += ["only restarts"] if self._restarts.value else []
        return words + (["only failed searches"] if self._failed.value else [])

    def _rows(self) -> list:
        view, context = self.viewport, self.context
        segments = [self._loose]
        if self._searched:
            segments += [self._phase_two, self._restarts, self._failed]
        rows = (
            [
                *([self._what.select("metric_select")] if len(self._what.labels or ()) > 1 else []),
                view.x_axis.select("axis_select"),
                view.error_scale.select("scale_select"),
                self._smooth.slider("smooth_slider", step=0.001, format="0.000"),
                checks(context, "axis_checks", [view.x_log, self._connect]),
            ],
            [
                self._on.select("on_select"),
                *([self._more.number("more_spinner", width=110)] if self._searched else []),
                checks(context, "segment_checks", segments),
            ],
        )  # fmt: skip
        return [card.row(context, *widgets, classes=["gd-options-row"]) for widgets in rows]
