"""Which run, iteration and part of the data the page looks at; all of it in the address."""

from collections.abc import Callable

from bokeh.models import Slider, Spinner

from gdlab.analysis import handed
from server.core.rest import Rest
from server.ui import card
from server.ui.choices import Choice, button, look

PARTS = {"test": "test set", "train": "training set"}
REST_MS = 250  # an iteration that has rested for so long is meant


class InsidesChoice:
    """The controls above the cards. changed(): after every change, once it rests.

    The iteration is the page's chosen one (key `k` of the address), so that the arrow keys move it and
    an iteration chosen on another page is shown here; without one it is the last.
    """

    def __init__(self, context, names, changed: Callable[[], None]):
        self.context, self.names = context, tuple(names)
        self._rest = Rest(context, REST_MS, changed, steady=True)
        self._quiet = False
        self._part = Choice(
            context, "inside_part", "test", PARTS, title="Data", help="What activations are taken of",
            changed=lambda part: self._rest.begin(),
        )  # fmt: skip
        self._run = Choice(
            context, "inside", self.names[0], self.names, title="Run", help="Whose network is shown",
            changed=lambda name: self._show(),
        )  # fmt: skip
        self._slider = Slider(
            title="Iteration", start=0, end=1, step=1, value=0, format="0,0",
            width=260, **look(context, "insides_slider", "Whose parameters the network has"),
        )  # fmt: skip
        self._slider.on_change("value", lambda a, o, new: self._set(int(new)))
        self._spinner = Spinner(
            title="or its number", low=0, step=1, mode="int", width=110,
            **look(context, "insides_iteration", "Whose parameters the network has"),
        )  # fmt: skip
        self._spinner.on_change("value", lambda a, o, new: self._set(None if new is None else int(new)))
        buttons = [
            button(
                context, "‹ Previous", "insides_previous", "The iteration before (←)", lambda: self._step(-1)
            ),
            button(context, "Next ›", "insides_next", "The iteration after (→)", lambda: self._step(1)),
            button(context, "Last", "insides_last", "The end of the training (Esc)", lambda: self._set(None)),
        ]
        runs = [self._run.select("insides_run")] if len(self.names) > 1 else []
        widgets = [*runs, self._slider, self._spinner, *buttons, self._part.select("insides_part")]
        self.panel = card.row(context, *widgets, classes=["gd-options-row"], name="insides_choice")
        context.on("iteration", lambda k: self._show())
        context.on("step", self._step)
        self.grown()

    @property
    def run_name(self) -> str:
        """The run that is looked at."""
        return self._run.value

    @property
    def part(self) -> str:
        """The part of its data, of PARTS."""
        return self._part.value

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
        """The iteration that is looked at, 0 ... K; of a recorded loop the nearest whose parameters are
        kept."""
        k = self.context.iteration
        return handed.of(self.run).nearest(self.last if k is None else min(k, self.last))

    def grown(self) -> None:
        """The controls show the run and the iteration as they are now."""
        self._quiet = True
        self._slider.update(end=max(self.last, 1), value=self.iteration, disabled=self.last == 0)
        self._spinner.update(high=self.last, value=self.iteration)
        self._quiet = False

    # -- private ----------------------------------------------------------------------------------

    def _show(self) -> None:
        self.grown()
        self._rest.begin()

    def _set(self, k: int | None) -> None:
        if self._quiet:
            return
        self.context.iteration = None if k is None or k == self.last else k
        self._show()

    def _step(self, by: int) -> None:
        self._set(min(max(self.iteration + by, 0), self.last))
