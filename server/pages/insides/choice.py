"""Which run, iteration and part of the data the page looks at; all of it in the address."""

from collections.abc import Callable

from bokeh.models import Button, Select, Slider, Spinner

from server.ui import card

PARTS = {"test": "test set", "train": "training set"}
REST_MS = 250  # an iteration that has rested for so long is meant


class Choice:
    """The controls above the cards. changed(): after every change, once it rests.

    The iteration is the page's chosen one (key `k` of the address), so that the arrow keys move it and
    an iteration chosen on another page is shown here; without one it is the last.
    """

    def __init__(self, context, names, changed: Callable[[], None]):
        self.context, self.names, self._changed = context, tuple(names), changed
        self._timer, self._quiet = None, False
        self.part = context.state.get("inside_part", "test", choices=tuple(PARTS))
        self._slider = Slider(
            title="Iteration", name="insides_slider", start=0, end=1, step=1, value=0, format="0,0",
            width=260, stylesheets=[context.sheet],
        )  # fmt: skip
        self._slider.on_change("value", lambda a, o, new: self._set(int(new)))
        self._spinner = Spinner(
            title="or its number", name="insides_iteration", low=0, step=1, mode="int", width=110,
            stylesheets=[context.sheet],
        )  # fmt: skip
        self._spinner.on_change("value", lambda a, o, new: self._set(None if new is None else int(new)))
        buttons = [
            self._button(
                "‹ Previous", "insides_previous", "The iteration before (←)", lambda: self._step(-1)
            ),
            self._button("Next ›", "insides_next", "The iteration after (→)", lambda: self._step(1)),
            self._button("Last", "insides_last", "The end of the training (Esc)", lambda: self._set(None)),
        ]
        part = self._select("Data", "insides_part", PARTS, self.part)
        part.on_change("value", lambda a, o, new: self._set_part(new))
        widgets = [self._slider, self._spinner, *buttons, part]
        if len(self.names) > 1:
            run = self._select("Run", "insides_run", {name: name for name in self.names}, self.run_name)
            run.on_change("value", lambda a, o, new: self._set_run(new))
            widgets.insert(0, run)
        self.panel = card.row(context, *widgets, classes=["gd-options-row"], name="insides_choice")
        context.on("iteration", lambda k: self._show())
        context.on("step", self._step)
        self.grown()

    @property
    def run_name(self) -> str:
        """The run that is looked at."""
        return self.context.state.get("inside", self.names[0], choices=self.names)

    @property
    def run(self):
        """Its record as it is now."""
        return self.context.run(self.run_name)

    @property
    def last(self) -> int:
        """K, its last iteration."""
        return self.run.rows("scalars")

    @property
    def iteration(self) -> int:
        """The iteration that is looked at, 0 ... K."""
        k = self.context.iteration
        return self.last if k is None else min(k, self.last)

    def grown(self) -> None:
        """The controls show the run and the iteration as they are now."""
        self._quiet = True
        self._slider.update(end=max(self.last, 1), value=self.iteration, disabled=self.last == 0)
        self._spinner.update(high=self.last, value=self.iteration)
        self._quiet = False

    # -- private ----------------------------------------------------------------------------------

    def _show(self) -> None:
        self.grown()
        self._rest()

    def _set(self, k: int | None) -> None:
        if self._quiet:
            return
        self.context.iteration = None if k is None or k == self.last else k
        self._show()

    def _step(self, by: int) -> None:
        self._set(min(max(self.iteration + by, 0), self.last))

    def _set_part(self, part: str) -> None:
        self.part = part
        self.context.state.set("inside_part", None if part == "test" else part)
        self._rest()

    def _set_run(self, name: str) -> None:
        self.context.state.set("inside", None if name == self.names[0] else name)
        self._show()

    def _rest(self) -> None:
        if self._timer is None:
            self._timer = self.context.doc.add_timeout_callback(self._rested, REST_MS)

    def _rested(self) -> None:
        self._timer = None
        self._changed()

    def _button(self, label: str, name: str, title: str, act) -> Button:
        button = Button(
            label=label,
            name=name,
            css_classes=["gd-quiet"],
            stylesheets=[self.context.sheet],
            html_attributes={"title": title},
        )
        button.on_click(act)
        return button

    def _select(self, title: str, name: str, choices: dict, value: str) -> Select:
        return Select(
            title=title,
            name=name,
            options=list(choices.items()),
            value=value,
            width=130,
            stylesheets=[self.context.sheet],
        )
