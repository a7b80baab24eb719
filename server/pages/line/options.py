"""What the reader chooses of the line: its two ends, the data it is measured on, how finely and how far."""

from collections.abc import Callable

from bokeh.models import Spinner

from server.core.context import MAX_ITERATION
from server.ui import card
from server.ui.choices import Choice, Choices, look

PARTS = {"train": "training set", "test": "test set"}
SAMPLES = {"500": "500", "1000": "1,000", "2000": "2,000", "10000": "10,000", "all": "all"}
POINTS = {"16": "16", "31": "31", "61": "61", "121": "121"}
SPANS = {
    "inner": ("0 to 1", (0.0, 1.0)),
    "quarter": ("−0.25 to 1.25", (-0.25, 1.25)),
    "half": ("−0.5 to 1.5", (-0.5, 1.5)),
    "wide": ("−1 to 2", (-1.0, 2.0)),
}


class LineOptions:
    """The controls and what they say; `changed()` is called after every change.

    start, stop: iterations, stop None: the last of each run; last: the highest iteration there is;
    data: whether the runs have any, so that part and size of it can be chosen. choices: part, samples,
    points, span.
    """

    def __init__(self, context, changed: Callable[[], None], *, last: int, data: bool):
        self.context, self.changed = context, changed

        def choice(key: str, default: str, allowed: dict, title: str, help: str) -> Choice:
            return Choice(context, f"line_{key}", default, allowed, title=title, help=help)

        spans = {name: words for name, (words, _) in SPANS.items()}
        self.choices = Choices(
            lambda name: changed(),
            part=choice("part", "train", PARTS, "Error on", "What the error is taken of"),
            samples=choice("samples", "1000", SAMPLES, "Examples, at most", "More are slower"),
            span=choice("span", "quarter", spans, "Range of a", "How far the line goes beyond its ends"),
            points=choice("points", "31", POINTS, "Points", "At which the error is computed"),
        )
        state = context.state
        self.start = state.get("line_from", 0, low=0, high=MAX_ITERATION)
        stop = state.get("line_to", -1, low=0, high=MAX_ITERATION)
        self.stop: int | None = None if stop < 0 else stop
        self._start = self._end("start", "From iteration", self.start, last)
        self._stop = self._end("stop", "To iteration", self.stop, last)
        self._stop.placeholder = "last"
        widths = ({"part": 124, "samples": 124} if data else {}) | {"span": 124, "points": 80}
        lists = (self.choices[name].select(f"line_{name}", width=width) for name, width in widths.items())
        widgets = [self._start, self._stop, *lists]
        self.panel = card.row(context, *widgets, classes=["gd-options-row"], name="line_options")

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest a."""
        return SPANS[self.choices.span][1]

    @property
    def probe(self) -> dict:
        """Options of the probe, except the two ends and the layers."""
        samples, (low, high) = self.choices.samples, self.span
        return {
            "on": self.choices.part,
            "samples": None if samples == "all" else int(samples),
            "points": int(self.choices.points),
            "low": low,
            "high": high,
        }

    def ends(self, last: int) -> tuple[int, int]:
        """The two iterations in a run that is recorded up to `last`."""
        return min(self.start, last), last if self.stop is None else min(self.stop, last)

    def grown(self, last: int) -> None:
        """The record reaches further: so may the ends."""
        self._start.high = self._stop.high = last

    def _end(self, name: str, title: str, value, last: int) -> Spinner:
        key = {"start": "line_from", "stop": "line_to"}[name]
        spinner = Spinner(
            title=title, value=value, low=0, high=last, step=1, width=112, mode="int",
            **look(self.context, key, "An end of the line"),
        )  # fmt: skip
        spinner.on_change("value", lambda attribute, old, new: self._set_end(name, new))
        return spinner

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
