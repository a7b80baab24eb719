"""The controls of the curves: axes, smoothing, connection, and the filters of the segments.

One set for the page. What differs from the default is in the address.
"""

from collections.abc import Callable

from bokeh.models import Button, CheckboxGroup, Select, Slider, Spinner, Toggle

from gdlab.messages import counted
from server.ui import card
from server.ui.clock import AXES
from server.ui.viewport import Viewport

AXIS_NAMES = dict(zip(AXES, ("iteration", "evaluations", "relative time", "wall time"), strict=True))
SCALE_NAMES = {"auto": "automatic", "log": "log", "linear": "linear", "symlog": "symlog"}
LOG_X = "log x"
CHECKS = {  # label: (attribute, key in the address)
    "connect dots": ("connect", "connect"),
    "loose ends": ("loose_ends", "loose"),
    "only phase two": ("phase_two", "phase2"),
    "only restarts": ("restarted", "restarts"),
    "only failed": ("failed", "failed"),
}
BATCHES = {"batch": "mini-batch", "train": "training set"}


class Options:
    """What the reader chose; `changed` is called after every change that needs another drawing.

    loose_ends, phase_two, more_than, restarted, failed: see `analysis.segments.keep`; connect: straight
    lines between dots; smoothing in [0, 0.999]; on: "batch" or "train", the error along the segments.
    """

    def __init__(self, context, viewport: Viewport, changed: Callable[[], None]):
        self.context, self.viewport, self.changed = context, viewport, changed
        state = context.state
        self.smoothing = state.get("smooth", 0.0, low=0.0, high=0.999)
        self.connect = state.get("connect", False)
        self.loose_ends = state.get("loose", True)
        self.phase_two = state.get("phase2", False)
        self.restarted = state.get("restarts", False)
        self.failed = state.get("failed", False)
        self.more_than = state.get("more", 0, low=0, high=1000)
        self.on = state.get("on", "batch", choices=tuple(BATCHES))
        rows = self._rows()
        self.panel = card.box(context, *rows, classes=["gd-options"], name="curve_options", visible=False)
        self.tools = self._tools()

    @property
    def filters(self) -> dict:
        """Which segments are wanted, as keyword options."""
        return {name: getattr(self, name) for name in ("phase_two", "more_than", "restarted", "failed")}

    @property
    def filtering(self) -> list[str]:
        """The filters that are on, in words."""
        words = ["loose ends hidden"] if not self.loose_ends else []
        words += ["only phase two"] if self.phase_two else []
        words += [f"only more than {counted(self.more_than, 'evaluation')}"] if self.more_than else []
        words += ["only restarts"] if self.restarted else []
        return words + (["only failed searches"] if self.failed else [])

    # -- widgets ----------------------------------------------------------------------------------

    def _tools(self) -> list:
        """Small buttons for the card's head: scale, zoom, and the panel of options."""
        log = Toggle(label="Log", name="log_toggle", **self._quiet("Logarithmic error axis (l)"))
        log.on_change("active", lambda a, o, active: self._set_log(active))
        self._log = log
        quiet = self._quiet("Axes, smoothing, filters")
        more = Toggle(label="Options", name="options_toggle", **quiet)
        more.on_change("active", lambda a, o, active: setattr(self.panel, "visible", active))
        buttons = [
            self._button("+", "zoom_in", "Zoom in", lambda: self.viewport.zoom(0.5)),
            self._button("−", "zoom_out", "Zoom out", lambda: self.viewport.zoom(2.0)),
            self._button("Back", "zoom_back", "The view before", self.viewport.back),
            self._button("Reset", "zoom_reset", "The whole curve (double click)", self.viewport.reset),
        ]
        return [*buttons, log, more]

    def _rows(self) -> list:
        self._axis = self._select("X axis", "axis_select", AXIS_NAMES, self.viewport.axis)
        self._axis.on_change("value", lambda a, o, n: self.viewport.set_axis(n, self.viewport.log_x))
        self._scale = self._select("Error axis", "scale_select", SCALE_NAMES, self.viewport.requested)
        self._scale.on_change("value", lambda a, o, n: self.set_scale(n))
        smooth = Slider(
            title="Smoothing", start=0, end=0.999, step=0.001, value=self.smoothing, width=170,
            name="smooth_slider", format="0.000", stylesheets=[self.context.sheet],
        )  # fmt: skip
        smooth.on_change("value", lambda a, o, n: self._set("smoothing", "smooth", float(n), 0.0))
        on = self._select("Error along segments", "on_select", BATCHES, self.on)
        on.on_change("value", lambda a, o, n: self._set("on", "on", n, "batch"))
        more = Spinner(
            title="More evaluations than", low=0, high=1000, step=1, value=self.more_than, width=110,
            name="more_spinner", stylesheets=[self.context.sheet],
        )  # fmt: skip
        more.on_change("value", lambda a, o, n: self._set("more_than", "more", int(n or 0), 0))
        labels = list(CHECKS)
        plain = self._checks("axis_checks", [LOG_X, *labels[:1]])
        rows = (
            [self._axis, self._scale, smooth, plain],
            [on, more, self._checks("segment_checks", labels[1:])],
        )
        return [card.row(self.context, *widgets, classes=["gd-options-row"]) for widgets in rows]

    def set_scale(self, requested: str) -> None:
        """Another error axis, whoever asked for it: list, button or key."""
        self.viewport.set_scale(requested)
        self._scale.value = self.viewport.requested
        self._log.active = self.viewport.scale in ("log", "symlog")

    def toggle_log(self) -> None:
        """The key `l`: logarithmic or linear."""
        self.set_scale("linear" if self.viewport.scale in ("log", "symlog") else "log")

    def show_scale(self) -> None:
        """Makes the button say what the axis is, after the data chose it."""
        self._log.active = self.viewport.scale in ("log", "symlog")

    # -- private ----------------------------------------------------------------------------------

    def _set_log(self, active: bool) -> None:
        if active != (self.viewport.scale in ("log", "symlog")):
            self.set_scale("log" if active else "linear")

    def _set(self, field: str, key: str, value, default) -> None:
        if getattr(self, field) != value:
            setattr(self, field, value)
            self.context.state.set(key, None if value == default else value)
            self.changed()

    def _checks(self, name: str, labels: list[str]) -> CheckboxGroup:
        on = [i for i, label in enumerate(labels) if self._is_on(label)]
        group = CheckboxGroup(
            labels=labels, active=on, inline=True, name=name, css_classes=["gd-checks"],
            stylesheets=[self.context.sheet],
        )  # fmt: skip

        def changed(attribute, old, active) -> None:
            for i, label in enumerate(labels):
                self._tick(label, i in active)

        group.on_change("active", changed)
        return group

    def _is_on(self, label: str) -> bool:
        return self.viewport.log_x if label == LOG_X else getattr(self, CHECKS[label][0])

    def _tick(self, label: str, on: bool) -> None:
        if label == LOG_X:
            self.viewport.set_axis(self.viewport.axis, on)
        else:
            field, key = CHECKS[label]
            self._set(field, key, on, field == "loose_ends")

    def _select(self, title: str, name: str, choices: dict, value: str) -> Select:
        return Select(
            title=title, name=name, options=list(choices.items()), value=value, width=130,
            stylesheets=[self.context.sheet],
        )  # fmt: skip

    def _button(self, label: str, name: str, title: str, action: Callable[[], None]) -> Button:
        button = Button(label=label, name=name, **self._quiet(title))
        button.on_click(action)
        return button

    def _quiet(self, title: str) -> dict:
        return {
            "css_classes": ["gd-quiet"],
            "stylesheets": [self.context.sheet],
            "html_attributes": {"title": title},
        }
