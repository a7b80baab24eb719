"""What the tracker's views share: settings, the window of dumps, the anomalies, one selection.

The horizontal axis of every view is the position of a dump, 0 ... D - 1, so that a column of a pixel chart
is a dump; `label` and `ticks` turn positions into iterations. A view that selects something calls `select`;
every view draws what "selection" tells it. All of it stands in the address.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from bokeh.models import CustomJSTickFormatter, Range1d

from gdlab.analysis import correlation
from gdlab.analysis.anomalies import RULES, anomalies
from gdlab.analysis.dumps import has_dumps
from gdlab.analysis.filters import MEASURES
from gdlab.records import Table
from server.pages.tracker.evidence import evidence
from server.ui.choices import Choice, Choices
from server.ui.query import Query

MODES = {"classes": "Classes", "layers": "Layers", "correlation": "Correlation", "health": "Health"}
RULE_NAMES = {"both": "both", "left": "stable, then flips", "right": "flips, then stable"}
MEASURE_NAMES = {
    name: {"cosine": "1 − cosine", "l2": "L2", "relative_l2": "relative L2"}[name] for name in MEASURES
}
USUAL_WINDOW, USUAL_SHARE = 5, 0.25  # until there is a proposal: of a class's images
DRAWN = 1_000  # ms after which a page has been drawn: looking for a proposal takes a core for a second
AT_ONCE = 3_000_000  # predictions for which a proposal takes a moment
MOST = 1_000_000  # of any number in the address


class Settings(NamedTuple):
    """window: dumps that must be stable; threshold: images of a class; rule: one of RULE_NAMES; top: k
    filters per dump; measure: one of filters.MEASURES; minimum: appearances of a mini-set."""

    window: int
    threshold: int
    rule: str
    top: int
    measure: str
    minimum: int


class Selection(NamedTuple):
    """dumps, classes, layers (nodes), filters: positions, ascending; image: a position or None."""

    dumps: tuple = ()
    classes: tuple = ()
    layers: tuple = ()
    filters: tuple = ()
    image: int | None = None


class Tracker:
    """The tracker of a page. Emits through the context "settings" (anomalies are others), "selection" (they
    are in `selection`) and "mode" (another view is shown).

    name: the run; x_range: the shared horizontal axis, in positions of dumps; mode: one of MODES.
    """

    def __init__(self, context, names):
        self.context, self.names = context, tuple(names)
        self.name = context.state.get("tracked", self.names[0], choices=self.names)
        self.evidence = evidence(context.run(self.name))
        self.x_range = Range1d(-0.5, self.count - 0.5, bounds=None, name="tracker_x")
        self.modes = Choice(
            context, "mode", "classes", MODES, help="Which view is shown",
            changed=lambda value: context.emit("mode"),
        )  # fmt: skip
        self.waiting = False
        self.choices = self._choices()
        self._changing = False
        self._proposing = Query(context, self._take)
        self.selection = self._selected()
        self._memo: dict = {}
        self.formatter = CustomJSTickFormatter(
            args={"iterations": [int(k) for k in self.dumps.iteration]},
            code="const k = iterations[Math.round(tick)];"
            "return Number.isInteger(tick) && k !== undefined ? k.toLocaleString('en') : ''",
        )

    @property
    def mode(self) -> str:
        """The view that is shown, one of MODES."""
        return self.modes.value

    @property
    def settings(self) -> Settings:
        """What counts as an anomaly."""
        return Settings(*(getattr(self.choices, name) for name in Settings._fields))

    @property
    def dumps(self):
        """The run's dumps as of the last refresh."""
        return self.evidence.dumps

    @property
    def count(self) -> int:
        """D."""
        return self.evidence.dumps.count

    def label(self, dump) -> str:
        """A dump's iteration in words."""
        return f"iteration {self.dumps.iteration[int(dump)]:,}"

    def grown(self) -> bool:
        """Takes in new dumps; True where there are some. The axis grows with them where it showed the end."""
        before = self.count
        self.evidence.refresh()
        if self.count == before:
            return False
        self._memo.clear()
        self.formatter.args = {"iterations": [int(k) for k in self.dumps.iteration]}
        if self.x_range.end >= before - 0.5:
            self.x_range.end = self.count - 0.5
        return True

    def reset(self) -> None:
        """All dumps on the axis."""
        self.x_range.update(start=-0.5, end=self.count - 0.5)

    # -- anomalies --------------------------------------------------------------------------------

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that are looked at."""
        return RULES if self.settings.rule == "both" else (self.settings.rule,)

    def anomalies(self) -> Table:
        """class, dump, score, rule of every anomaly by the rules looked at: by class, then dump."""
        return self._kept("anomalies", self._anomalies)

    def anomalies_at_once(self) -> bool:
        """Whether `anomalies` takes a moment only: few predictions, or their flips have been found."""
        return self.count * len(self.dumps.labels) < AT_ONCE or self.evidence.knows_flips()

    def filters(self) -> Table:
        """dump, filter, change, rank of the anomaly filters of every anomaly iteration."""
        return self._kept("filters", self._anomaly_filters)

    def grid(self) -> correlation.Grid:
        """Layers (numbered 0 ... L - 1 in network order) against classes; see gdlab.analysis.correlation."""
        return self._kept("grid", self._grid)

    def change(self, **changes) -> None:
        """Other settings; emits "settings" where they differ."""
        self._together({name: partial(self.choices[name].set, value) for name, value in changes.items()})

    def show(self, mode: str) -> None:
        """Brings another view to the front."""
        self.modes.set(mode)

    # -- the selection ----------------------------------------------------------------------------

    def select(self, **changes) -> None:
        """Selects dumps, classes, layers, filters (any iterable of positions; () for none) or an image;
        what is not named stays. Emits "selection"."""
        ordered = {
            name: value if name == "image" else tuple(sorted({int(item) for item in value}))
            for name, value in changes.items()
        }
        chosen = self.selection._replace(**ordered)
        if chosen == self.selection:
            return
        self.selection = chosen
        written = {f"sel_{name}": [str(item) for item in getattr(chosen, name)][:256] for name in _SEVERAL}
        written["sel_image"] = [str(chosen.image)] if chosen.image is not None else []
        self.context.state.update(written)
        self.context.emit("selection")

    def toggle(self, name: str, item: int, extend: bool = False) -> None:
        """Selects one of "dumps", "classes", "layers", "filters", or takes it back where it was alone;
        extend: adds it to the others, or takes it from them."""
        now = set(getattr(self.selection, name))
        wanted = now ^ {item} if extend else set() if now == {item} else {item}
        self.select(**{name: wanted})

    def clear(self) -> None:
        """Selects nothing."""
        self.select(dumps=(), classes=(), layers=(), filters=(), image=None)

    # -- private ----------------------------------------------------------------------------------

    def _kept(self, name, compute):
        if name not in self._memo:
            self._memo[name] = compute()
        return self._memo[name]

    def _anomalies(self):
        window, threshold = self.settings.window, self.settings.threshold
        found = {r: anomalies(self.evidence.scores(window, r), threshold).columns for r in self.rules}
        columns = {n: np.concatenate([c[n] for c in found.values()]) for n in ("class", "dump", "score")}
        columns["rule"] = np.repeat(list(found), [len(c["dump"]) for c in found.values()])
        order = np.lexsort((columns["dump"], columns["class"]))
        columns = {name: values[order] for name, values in columns.items()}
        return Table(columns, dict.fromkeys(columns, ("anomaly",)), self.settings._asdict())

    def _anomaly_filters(self):
        dumps = tuple(np.unique(self.anomalies().columns["dump"]).tolist())
        return self.evidence.anomaly_filters(self.settings.top, self.settings.measure, dumps)

    def _grid(self):
        minimum, first = self.settings.minimum, self.evidence.first
        return correlation.full_grid(self.anomalies(), self.filters(), first, minimum=minimum)

    def _choices(self) -> Choices:
        window, threshold = self._usual()

        def number(name: str, default: int, title: str, help: str) -> Choice:
            return Choice(self.context, f"track_{name}", default, (1, MOST), title=title, help=help)

        words = "Which flips make an anomaly, within the window on both sides of an iteration"
        rule = Choice(self.context, "track_rule", "both", RULE_NAMES, title="Images that", help=words)
        words = "By what the filters that change most are found"
        measure = Choice(self.context, "track_measure", "cosine", MEASURE_NAMES, title="Change", help=words)
        return Choices(
            lambda name: self._together({}, changed=True),
            rule=rule,
            window=number("window", window, "Window", "Dumps that must be stable"),
            threshold=number("threshold", threshold, "Threshold", "Images of a class that flip together"),
            top=number("top", self._usual_top(), "Top filters", "Filters of each anomaly iteration"),
            measure=measure,
            minimum=number("minimum", 1, "Appearances ≥", "Anomalies that a mini-set belongs to"),
        )

    def _together(self, changes: dict[str, Callable[[], None]], *, changed: bool = False) -> None:
        """Makes several changes, and says so once."""
        if self._changing:
            return
        before, self._changing = self.settings, True
        for change in changes.values():
            change()
        self._changing = False
        if changed or self.settings != before:
            self._memo.clear()
            self.context.emit("settings")

    def _usual(self):
        """(window, threshold): as proposed, where that takes no time, else until the proposal is there."""
        if not len(self.dumps.labels):
            return USUAL_WINDOW, 2
        if self.evidence.knows_proposal() or self.count * len(self.dumps.labels) < AT_ONCE:
            proposed = self.evidence.proposal()
            return proposed.window, proposed.threshold
        self.waiting = not any(self.context.state.get_all(f"track_{n}") for n in ("window", "threshold"))
        return USUAL_WINDOW, max(
            2, round(USUAL_SHARE * len(self.dumps.labels) / max(1, len(self.dumps.classes)))
        )

    def await_proposal(self) -> None:
        """Asks for a proposal that was not there at once, when the page has been drawn, and takes it unless
        the reader has chosen meanwhile."""
        if self.waiting:
            self.waiting = False
            ask = partial(self._proposing.compute, self.settings, self.evidence.proposal)
            self.context.doc.add_timeout_callback(ask, DRAWN)

    def _take(self, proposal):
        if self.settings != self._proposing.answered:
            return
        for name in ("window", "threshold"):
            self.choices[name].default = getattr(proposal, name)
        self._together({name: self.choices[name].reset for name in ("window", "threshold")}, changed=True)

    def _usual_top(self):
        """The paper's 100 filters of ResNet-50; of a small network a tenth, or all would belong."""
        return int(min(100, max(1, self.evidence.first[-1] // 10)))

    def _selected(self):
        limits = {
            "dumps": self.count, "classes": len(self.dumps.classes),
            "layers": len(self.dumps.nodes), "filters": int(self.evidence.first[-1]),
        }  # fmt: skip
        found = {name: _numbers(self.context.state.get_all(f"sel_{name}"), limits[name]) for name in _SEVERAL}
        image = _numbers(self.context.state.get_all("sel_image")[:1], len(self.dumps.labels))
        return Selection(**found, image=image[0] if image else None)


_SEVERAL = ("dumps", "classes", "layers", "filters")


def tracker(context) -> Tracker | None:
    """The Tracker of a page, None where no run has dumps. ValueError: they are described wrongly."""
    return context.shared(_tracker)


def _tracker(context) -> Tracker | None:
    names = [name for name in context.selected if has_dumps(context.run(name))]
    return Tracker(context, names) if names else None


def _numbers(texts, limit):
    found = {int(text) for text in texts if text.isdecimal() and len(text) < 8}
    return tuple(sorted(number for number in found if number < limit))
