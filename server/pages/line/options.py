"""What the reader chooses of the line: its two ends, the data it is measured on, how finely and how far.

What differs from the default is in the address.
"""

from collections.abc import Callable

from bokeh.models import Select, Spinner

from server.core.context import MAX_ITERATION
from server.ui import card

PARTS = {"train": "training set", "test": "test set"}
SAMPLES = {"500": "500", "1000": "1,000", "2000": "2,000", "10000": "10,000", "all": "all"}
POINTS = {"16": "16", "31": "31", "61": "61", "121": "121"}
SPANS = {
    "inner": ("0 to 1", (0.0, 1.0)),
    "quarter": ("−0.25 to 1.25", (-0.25, 1.25)),
    "half": ("−0.5 to 1.5", (-0.5, 1.5)),
    "wide": ("−1 to 2", (-1.0, 2.0)),
}
ALLOWED = {
    "part": tuple(PARTS),
    "samples": tuple(SAMPLES),
    "points": tuple(POINTS),
    "span": tuple(SPANS),
}
DEFAULTS = {"part": "train", "samples": "1000", "points": "31", "span": "quarter"}


class LineOptions:
    """The controls and what they say; `changed()` is called after every change.

    start, stop: iterations, stop None: the last of each run; last: the highest iteration there is;
    data: whether the runs have any, so that part and size of it can be chosen.
    """

    def __init__(self, context, changed: Callable[[], None], *, last: int, data: bool):
        self.context, self.changed = context, changed
        state = context.state
        self.start = state.get("line_from", 0, low=0, high=MAX_ITERATION)
        stop = state.get("line_to", -1, low=0, high=MAX_ITERATION)
        self.stop: int | None = None if stop < 0 else stop
        self.choices = {
            key: state.get(f"line_{key}", default, choices=ALLOWED[key]) for key, default in DEFAULTS.items()
        }
        self._start = self._spinner("From iteration", "line_from", self.start, last)
        self._start.on_change("value", lambda a, o, new: self._set_end("start", new))
        self._stop = self._spinner("To iteration", "line_to", self.stop, last)
        self._stop.placeholder = "last"
        self._stop.on_change("value", lambda a, o, new: self._set_end("stop", new))
        widgets = [self._start, self._stop]
        if data:
            widgets.append(self._select("Error on", "part", PARTS, 124))
            widgets.append(self._select("Examples, at most", "samples", SAMPLES, 124))
        widgets.append(self._select("Range of a", "span", {k: name for k, (name, _) in SPANS.items()}, 124))
        widgets.append(self._select("Points", "points", POINTS, 80))
        self.panel = card.row(context, *widgets, classes=["gd-options-row"], name="line_options")

    @property
    def probe(self) -> dict:
        """Options of the probe, except the two ends and the layers."""
        low, high = SPANS[self.choices["span"]][1]
        samples = self.choices["samples"]
        return {
            "on": self.choices["part"],
            "samples": None if samples == "all" else int(samples),
            "points": int(self.choices["points"]),
            "low": low,
            "high": high,
        }

    def ends(self, last: int) -> tuple[int, int]:
        """The two iterations in a run that is recorded up to `last`."""
        return min(self.start, last), last if self.stop is None else min(self.stop, last)

    def grown(self, last: int) -> None:
        """The record reaches further: so may the ends."""
        self._start.high = self._stop.high = last

    def _set_end(self, name: str, value) -> None:
        """An end that is the default's, 0 or the last, is not in the address."""
        value = None if value is None else int(value)
        if name == "start":
            self.start = value or 0
            self.context.state.set("line_from", self.start or None)
        else:
            self.stop = value
            self.context.state.set("line_to", value)
        self.changed()

    def _spinner(self, title: str, name: str, value, last: int) -> Spinner:
        return Spinner(
            title=title, name=name, value=value, low=0, high=last, step=1, width=112, mode="int",
            stylesheets=[self.context.sheet],
        )  # fmt: skip

    def _select(self, title: str, key: str, choices: dict, width: int) -> Select:
        select = Select(
            title=title,
            name=f"line_{key}",
            options=list(choices.items()),
            value=self.choices[key],
            width=width,
            stylesheets=[self.context.sheet],
        )

        def changed(attribute, old, new) -> None:
            self.choices[key] = new
            self.context.state.set(f"line_{key}", None if new == DEFAULTS[key] else new)
            self.changed()

        select.on_change("value", changed)
        return select
