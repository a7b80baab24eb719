"""What can be chosen for the axes: range, scale, place, and which are drawn."""

from bokeh.models import CheckboxGroup, NumericInput, Select, Toggle

from server.ui import card
from server.ui.choices import button, look

WORDS = "Values outside an axis's range are clamped to its ends, for brushes and in the heat map's means too."


class AxisOptions:
    """root: a hidden panel. update(): the axes are others, or have other ranges."""

    def __init__(self, shared):
        self.shared, self.context = shared, shared.context
        context = self.context
        self._quiet = False
        self.which = Select(
            title="Axis", options=[], width=170, **look(context, "ensemble_axis", "That is changed")
        )
        self.low, self.high = (
            NumericInput(title=title, mode="float", width=100, **look(context, name, "An end of the axis"))
            for name, title in (("ensemble_axis_low", "From"), ("ensemble_axis_high", "To"))
        )
        look_ = look(context, "ensemble_axis_log", "Logarithmic axis", "gd-quiet")
        self.log = Toggle(label="Log", align="end", **look_)
        self.left = button(context, "←", "ensemble_axis_left", "Moves the axis to the left", align="end")
        self.right = button(context, "→", "ensemble_axis_right", "Moves the axis to the right", align="end")
        self.whole = button(
            context, "Whole range", "ensemble_axis_whole", "All values as they are", align="end"
        )
        self.drawn = CheckboxGroup(
            inline=True, **look(context, "ensemble_axes_drawn", "Axes that are drawn", "gd-checks")
        )
        row = card.row(
            context, self.which, self.low, self.high, self.log, self.left, self.right, self.whole,
            classes=["gd-options-row"],
        )  # fmt: skip
        self.root = card.box(
            context, row, self.drawn, card.text(WORDS, "gd-caption"), classes=["gd-options"],
            visible=False, name="ensemble_axes_options",
        )  # fmt: skip
        self._listen()

    def update(self) -> None:
        """Shows the settings in force."""
        self._quiet = True
        names = [axis.name for axis in self.shared.axes]
        if self.which.options != names:
            self.which.options = names
        if self.which.value not in names and names:
            self.which.value = names[0]
        self.drawn.labels = names
        self.drawn.active = [i for i, axis in enumerate(self.shared.axes) if axis.shown]
        if self.which.value:
            self._show(self.shared.axis(self.which.value))
        self._quiet = False

    def _show(self, axis) -> None:
        self.low.value, self.high.value, self.log.active = axis.low, axis.high, axis.log
        self.log.disabled = bool(axis.words) or axis.low <= 0
        self.low.disabled = self.high.disabled = bool(axis.words)
        shown = [each.name for each in self.shared.axes if each.shown]
        self.left.disabled = axis.name not in shown[1:]
        self.right.disabled = axis.name not in shown[:-1]

    def _listen(self) -> None:
        self.which.on_change("value", lambda attr, old, new: self._chosen())
        self.low.on_change("value", lambda attr, old, new: self._end("low", new))
        self.high.on_change("value", lambda attr, old, new: self._end("high", new))
        self.log.on_change("active", lambda attr, old, new: self._set(log=new))
        self.left.on_click(lambda: self._move(-1))
        self.right.on_click(lambda: self._move(1))
        self.whole.on_click(lambda: self._set(low=None, high=None, log=None))
        self.drawn.on_change("active", lambda attr, old, new: self._draw(new))

    def _chosen(self) -> None:
        if not self._quiet:
            self.update()

    def _end(self, name: str, value: float | None) -> None:
        if self._quiet:
            return
        axis = self.shared.axis(self.which.value)
        ends = {"low": axis.low, "high": axis.high} | ({} if value is None else {name: value})
        if ends["low"] < ends["high"]:
            self._set(**{name: value})
        else:
            self.update()  # a range that is none: back to the one in force

    def _set(self, **changes) -> None:
        if not self._quiet and self.which.value:
            self.shared.set_axis(self.which.value, **changes)

    def _move(self, by: int) -> None:
        """Past the next axis that is drawn."""
        names = [axis.name for axis in self.shared.axes]
        shown = [axis.name for axis in self.shared.axes if axis.shown]
        other = shown[shown.index(self.which.value) + by]
        names.remove(self.which.value)
        names.insert(names.index(other) + (by > 0), self.which.value)
        self.shared.set_order(names)

    def _draw(self, active: list[int]) -> None:
        if self._quiet:
            return
        for i, axis in enumerate(list(self.shared.axes)):
            if axis.shown != (i in active):
                self.shared.set_axis(axis.name, hidden=i not in active)
