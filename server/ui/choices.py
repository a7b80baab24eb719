"""What the reader chooses, declared once: key in the address, default, what is allowed, words, widget.

A value comes from the address, from a widget or from the page, and goes all the same way: it is checked, the
widgets show it, the address holds it where it is not the default, and whoever listens is told.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bokeh.models import (
    Button,
    CheckboxGroup,
    LayoutDOM,
    RadioButtonGroup,
    Select,
    Slider,
    Spinner,
    TextInput,
    Toggle,
)

from server.core.rest import Rest

REST_MS = 60


class Choice:
    """value: what is chosen now. `select`, `radio`, `number`, `slider`, `text` and `toggle` make its widget.

    key: in the address; None: it is not kept there. default: has the type of all values. allowed: {value:
    label}, a sequence of values, the closed range (low, high) of a number, or None: a bool, or any text.
    title: stands above the widget, or on it; help: is shown while the pointer rests on it. changed(value): is
    called after every change.
    """

    def __init__(
        self,
        context,
        key: str | None,
        default,
        allowed: Mapping | Sequence | None = None,
        *,
        title: str = "",
        help: str = "",
        changed: Callable[[Any], object] | None = None,
    ):
        self.context, self.key, self.default = context, key, default
        self.title, self.help = title, help
        self.range: tuple | None = None
        number = isinstance(default, (int, float)) and not isinstance(default, bool)
        if number and isinstance(allowed, tuple) and len(allowed) == 2:
            self.range = allowed
        self.labels: dict | None = None
        if allowed is not None and self.range is None:
            self.labels = (
                dict(allowed) if isinstance(allowed, Mapping) else {each: str(each) for each in allowed}
            )
        self._listeners: list[Callable[[Any], object]] = [changed] if changed else []
        self._widgets: list[Callable[[], None]] = []
        self.value = self._read()

    def on_change(self, changed: Callable[[Any], object]) -> None:
        """Calls changed(value) after every change, after those that were registered before."""
        self._listeners.append(changed)

    def set(self, value) -> None:
        """Takes another value, whoever asks for it; one that is not allowed leaves what there was."""
        value = self._checked(value)
        if value == self.value:
            self._show()  # the widget may show what was refused
            return
        self.value = value
        self._show()
        self.write()
        for changed in self._listeners:
            changed(value)

    def reset(self) -> None:
        """Back to the default."""
        self.set(self.default)

    def write(self) -> None:
        """Puts the value into the address: again, where another page has begun an address of its own."""
        if self.key is not None:
            self.context.state.set(self.key, None if self.value == self.default else self.value)

    # -- widgets ----------------------------------------------------------------------------------

    def select(self, name: str, *, width: int = 130, titled: bool = True, **properties) -> Select:
        """A list of the labels. titled: with the title above it."""
        options = [(str(value), label) for value, label in (self.labels or {}).items()]
        known = {str(value): value for value in self.labels or ()}
        widget = Select(options=options, width=width, **self._look(name, titled), **properties)
        return self._bound(widget, "value", str, known.get)

    def radio(self, name: str, **properties) -> RadioButtonGroup:
        """Buttons side by side, one for each label."""
        values = list(self.labels or ())
        widget = RadioButtonGroup(
            labels=list((self.labels or {}).values()), **self._look(name, titled=False), **properties
        )
        return self._bound(
            widget, "active", values.index, lambda at: values[at] if at in range(len(values)) else None
        )

    def number(
        self, name: str, *, width: int = 100, step: float = 1, high: float | None = None, **properties
    ) -> Spinner:
        """A field for a number; when it is emptied, the default comes back. high: less than is allowed."""
        low, most = self.range or (None, None)
        limits = {"low": low, "high": most if high is None else high, "step": step}
        mode = "int" if isinstance(self.default, int) else "float"
        widget = Spinner(**limits, mode=mode, width=width, **self._look(name, True), **properties)
        return self._bound(
            widget, "value", lambda value: value, lambda new: self.default if new is None else new
        )

    def slider(self, name: str, *, step: float, width: int = 170, **properties) -> Slider:
        """A slider over the range. What it rests on counts, for it may be dragged on."""
        low, high = self.range or (0, 1)
        look_ = self._look(name, titled=True)
        widget = Slider(start=low, end=high, step=step, value=self.value, width=width, **look_, **properties)
        rest = Rest(self.context, REST_MS, lambda: self.set(widget.value))
        self._widgets.append(lambda: widget.update(value=self.value))

        def moved(attribute, old, new) -> None:
            rest.stop() if new == self.value else rest.begin()

        widget.on_change("value", moved)
        return widget

    def text(self, name: str, *, width: int = 150, **properties) -> TextInput:
        """A field for text."""
        widget = TextInput(width=width, **self._look(name, True), **properties)
        return self._bound(widget, "value", str, str.strip)

    def toggle(self, name: str, **properties) -> Toggle:
        """A button that stays pressed, with the title on it."""
        widget = Toggle(label=self.title, **self._look(name, False, "gd-quiet"), **properties)
        return self._bound(widget, "active", bool, bool)

    # -- private ----------------------------------------------------------------------------------

    def _read(self):
        if self.key is None:
            return self.default
        if self.range is not None:
            return self.context.state.get(self.key, self.default, low=self.range[0], high=self.range[1])
        return self.context.state.get(
            self.key, self.default, choices=None if self.labels is None else tuple(self.labels)
        )

    def _checked(self, value):
        if value is None or (self.labels is not None and value not in self.labels):
            return self.value
        if self.range is not None:
            return type(self.default)(min(max(value, self.range[0]), self.range[1]))
        return value

    def _look(self, name: str, titled: bool, *classes: str) -> dict:
        titles = {"title": self.title} if titled and self.title else {}
        return look(self.context, name, self.help, *classes) | titles

    def _bound(self, widget, property_: str, shown: Callable, read: Callable):
        """The widget, which shows the value and sets it."""

        def show() -> None:
            if getattr(widget, property_) != shown(self.value):
                setattr(widget, property_, shown(self.value))

        show()
        self._widgets.append(show)
        widget.on_change(property_, lambda attribute, old, new: self.set(read(new)))
        return widget

    def _show(self) -> None:
        for show in self._widgets:
            show()


def checks(context, name: str, choices: Sequence[Choice]) -> CheckboxGroup:
    """Boxes to tick in one line, one for each of these choices between True and False, with their titles."""
    labels = [choice.title for choice in choices]
    help = "\n".join(f"{choice.title}: {choice.help}" for choice in choices if choice.help)
    group = CheckboxGroup(labels=labels, inline=True, **look(context, name, help, "gd-checks"))

    def show() -> None:
        group.active = [i for i, choice in enumerate(choices) if choice.value]

    def ticked(attribute, old, new) -> None:
        for i, choice in enumerate(choices):
            choice.set(i in new)

    show()
    for choice in choices:
        choice.on_change(lambda value: show())
    group.on_change("active", ticked)
    return group


def button(
    context,
    label: str,
    name: str,
    help: str = "",
    act: Callable[[], object] | None = None,
    *,
    classes: Sequence[str] = ("gd-quiet",),
    **properties,
) -> Button:
    """A small button; act(): what a click does; help: is shown while the pointer rests on it."""
    widget = Button(label=label, **look(context, name, help, *classes), **properties)
    if act is not None:
        widget.on_click(act)
    return widget


def opener(context, label: str, name: str, help: str, layout: LayoutDOM) -> Toggle:
    """A button that shows a layout, and hides it again."""
    widget = Toggle(label=label, active=layout.visible, **look(context, name, help, "gd-quiet"))
    widget.js_link("active", layout, "visible")
    return widget


def look(context, name: str, help: str = "", *classes: str) -> dict:
    """What every widget of a page has: its name, the page's stylesheet, its classes, its help."""
    return {
        "name": name,
        "stylesheets": [context.sheet],
        **({"css_classes": list(classes)} if classes else {}),
        **({"html_attributes": {"title": help}} if help else {}),
    }


class Choices:
    """Choices by name: `choices.NAME` is the value, `choices["NAME"]` the Choice. changed(NAME): is called
    after every change."""

    def __init__(self, changed: Callable[[str], object], **declared: Choice):
        self._declared = declared
        for name, choice in declared.items():
            choice.on_change(partial(_named, changed, name))

    def __getitem__(self, name: str) -> Choice:
        return self._declared[name]

    def values(self) -> dict[str, Any]:
        """{name: value} of all."""
        return {name: choice.value for name, choice in self._declared.items()}

    def set(self, **values) -> None:
        """Takes several values, one after the other."""
        for name, value in values.items():
            self[name].set(value)

    def write(self) -> None:
        """Puts them all into the address again."""
        for choice in self._declared.values():
            choice.write()

    def __getattr__(self, name: str) -> Any:
        declared = vars(self).get("_declared", {})
        if name not in declared:
            raise AttributeError(name)
        return declared[name].value


def _named(changed: Callable[[str], object], name: str, value) -> None:
    changed(name)
