"""The head of the ensemble's page: which runs, at which times, and the selections."""

import time

from bokeh.models import CustomJSTickFormatter, RangeSlider, Select, Slider, TextInput

from gdlab.messages import counted
from server.core import run_groups
from server.core.context import Context, View
from server.pages.ensemble.chips import Chips
from server.pages.ensemble.panel import script
from server.pages.ensemble.shared import shared
from server.ui import card, sheets
from server.ui.choices import look

TICKED, FILTERED, PATTERN = ">ticked", ">filtered", ">pattern"  # no folder's names
ITERATION = "const k = steps[Math.round(tick)]; return k === undefined ? '' : k.toLocaleString('en')"
NAMED = 6  # hyper-parameters named in the caption
REST = 10  # at least so many times as long as reading the runs took


def build(context: Context) -> View:
    """The page's first card; new commits of the runs are read here for all others."""
    ensemble = shared(context)
    head = Head(ensemble)
    asked, due = [time.monotonic()], [0.0]

    def taken() -> None:
        due[0] = time.monotonic() + REST * (time.monotonic() - asked[0])

    def update() -> None:
        if time.monotonic() >= due[0]:
            asked[0] = time.monotonic()
            ensemble.load()

    context.on("ensemble", taken)
    return View(head.root, update)


class Head:
    """root: the card, there from the beginning. It says what is read, and why nothing is."""

    def __init__(self, shared):
        self.shared, self.context = shared, shared.context
        context = self.context
        self._quiet = False
        self.which = Select(
            options=[], width=260, **look(context, "ensemble_source", "The runs of the ensemble")
        )  # fmt: skip
        self.pattern = TextInput(
            placeholder="Regular expression",
            width=220,
            **look(context, "ensemble_pattern", "The runs in which it is found, as in the list of runs"),
        )
        self.formatter = CustomJSTickFormatter(args={"steps": [0]}, code=ITERATION)
        self.t = self._slider(Slider, "t", "P1 at iteration", 1)
        self.interval = self._slider(RangeSlider, "interval", "P2 and P3 in iterations", (0, 1))
        self.chips = Chips(shared)
        self.times = card.row(context, self.t, self.interval, classes=["gd-options-row"])
        self.body = card.box(context, self.times, self.chips.root, classes=["gd-body"], visible=False)
        self.root = card.card(
            context, "Ensemble", "Reading the runs …", self.body, name="ensemble",
            controls=[self.which, self.pattern],
        )  # fmt: skip
        # Models that no layout shows travel with one that is shown.
        self.root.tags = [shared.hub, shared.runs, shared.axes_source]
        sheets.wear(sheets.sheet("curve", "network", "ensemble"), self.root, self.body, self.times)
        self._listen()
        self.update()

    def update(self) -> None:
        """What there is now."""
        self._quiet = True
        listing, now, ensemble = self.context.cache.listing(), self.shared.source, self.shared.ensemble
        self.which.options = self._options(listing)
        others = {run_groups.MATCH: PATTERN, run_groups.RUNS: TICKED}
        self.which.value = others.get(now.kind, now.value)
        self.pattern.visible = now.kind == run_groups.MATCH
        if now.kind == run_groups.MATCH:
            self.pattern.value = now.value
        self.body.visible = ensemble is not None
        if ensemble is not None and len(ensemble.step):
            self._fit(ensemble)
        self.times.visible = ensemble is not None and len(ensemble.step) > 1
        self._quiet = False
        self._say()

    def _say(self) -> None:
        shared, ensemble = self.shared, self.shared.ensemble
        if ensemble is None:
            card.retitle(self.root, title="Ensemble", caption=shared.message or "Reading the runs …")
            return
        count, names = shared.count, list(ensemble.parameters)
        words = [f"{shared.source.words[:1].upper()}{shared.source.words[1:]}"]
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            words[0] += f", which differ in {', '.join(names[:NAMED])}{more}"
        elif count > 1:
            words.append("They differ in no hyper-parameter")
        else:
            words.append("One run has none to be compared with: choose a folder, or tick runs in the list")
        if noted := sum(map(bool, shared.notes)):
            words.append(f"{counted(noted, 'run')} cannot be used for everything: see Notes")
        if shared.broken:
            words.append(f"{len(shared.broken):,} cannot be read: see Notes")
        title = f"Ensemble of {counted(count, 'run')}"
        card.retitle(self.root, title=title, caption=". ".join(words) + ".")

    # -- which runs -------------------------------------------------------------------------------

    def _options(self, listing) -> list[tuple[str, str]]:
        found, state, now = run_groups.folders(listing), self.context.state, self.shared.source
        options = [(name, f"{name} ({count:,})") for name, count in found.items() if name != run_groups.ALL]
        if now.kind == run_groups.FOLDER and now.value not in found:
            options.append((now.value, now.value))
        options.append((run_groups.ALL, f"all runs ({found[run_groups.ALL]:,})"))
        if ticked := self._ticked():
            options.append((TICKED, f"chosen runs ({len(ticked):,})"))
        if text := state.get("filter", ""):
            options.append((FILTERED, f"the list's filter: {text[:40]}"))
        return [*options, (PATTERN, "by a regular expression")]

    def _ticked(self) -> tuple[str, ...]:
        if self.shared.source.kind == run_groups.RUNS:
            return tuple(self.shared.source.value)
        return self.context.state.get_all("run")[: run_groups.MOST_NAMES]

    def _choose(self, value: str) -> None:
        if self._quiet:
            return
        if value == TICKED:
            self.shared.choose(run_groups.Source(run_groups.RUNS, self._ticked()))
        elif value in (FILTERED, PATTERN):
            text = self.context.state.get("filter", "") or "."
            self.shared.choose(run_groups.Source(run_groups.MATCH, text))
        else:
            self.shared.choose(run_groups.Source(run_groups.FOLDER, value))

    def _match(self, text: str) -> None:
        if not self._quiet and text:
            self.shared.choose(run_groups.Source(run_groups.MATCH, text))

    # -- times ------------------------------------------------------------------------------------

    def _slider(self, kind, name: str, title: str, value):
        return kind(
            title=title, start=0, end=1, step=1, value=value, format=self.formatter, width=340,
            **look(self.context, f"ensemble_{name}", "Recorded iterations"),
        )  # fmt: skip

    def _fit(self, ensemble) -> None:
        """The sliders go over the recorded iterations, each as far from the next as any other."""
        steps = [int(k) for k in ensemble.step]
        if self.formatter.args["steps"] != steps:
            self.formatter.args = {"steps": steps}
        place = {k: i for i, k in enumerate(steps)}
        end, times = max(1, len(steps) - 1), self.shared.times
        self.t.update(end=end, value=place[times.t])
        self.interval.update(end=end, value=(place[times.t0], place[times.t1]))

    def _listen(self) -> None:
        self.which.on_change("value", lambda attr, old, new: self._choose(new))
        self.pattern.on_change("value", lambda attr, old, new: self._match(new))
        self.t.on_change("value_throttled", lambda attr, old, new: self._set(t=new))
        self.interval.on_change("value_throttled", lambda attr, old, new: self._set(t0=new[0], t1=new[1]))
        for changed in (self.shared.hub, self.shared.runs):
            changed.js_on_change("data", script(self.shared, "my.told(kit)"))
        self.context.on("ensemble", self.update)
        self.context.on("measures", self._say)
        self.context.on("step", self._step)

    def _step(self, step: int) -> None:
        """An arrow key: P1 at the next or the previous recorded iteration."""
        if self.times.visible:
            steps = list(self.shared.ensemble.step)
            place = min(max(steps.index(self.shared.times.t) + step, 0), len(steps) - 1)
            self.t.value = place
            self._set(t=place)

    def _set(self, **places: float) -> None:
        step = self.shared.ensemble.step
        if not self._quiet:
            self.shared.set_times(**{name: int(step[int(place)]) for name, place in places.items()})
