"""What the views of an ensemble's page share: the runs, the times, the axes, the selections.

All of it stands in the address. A view that changes something calls one of the setters; every view draws
what the context's events tell it:

"ensemble"   other runs, or the same with more recorded
"measures"   P1 to P3 are others, since t, t0 or t1 are
"axes"       order, ranges, scales or hidden axes
"selection"  which runs are selected, in which colours
"focus"      which runs are looked at one by one
"filters"    the layer, time, threshold or projection of the filters' correlations

The browser answers a brush by itself (`static/ensemble.js`); it tells the session when it is let go.
"""

import json
import logging
from typing import Any, NamedTuple

import numpy as np
from bokeh.models import ColumnDataSource

from gdlab.analysis import ensemble as ensembles
from gdlab.analysis import performance
from server.core import run_groups
from server.pages.ensemble import axes, opened, selection
from server.pages.ensemble.filters import LAST, Filters
from server.ui.query import Query

log = logging.getLogger(__name__)

MAX_ITERATION = 10**12


class Times(NamedTuple):
    """Iterations at which the measures are taken: P1 at t, P2 and P3 in [t0, t1]."""

    t: int
    t0: int
    t1: int


class Shared:
    """The ensemble of a page: `ensemble` is None until it has been read, `message` says why there is none.

    hub, runs, axes_source: what the browser needs to answer a brush; `kit` holds them for its scripts.
    chosen: bool [S, M], which run belongs to which selection.
    """

    def __init__(self, context):
        self.context = context
        self._reading = Query(context, self._take, failed=self._failed)
        self.source = run_groups.read(context.state, context.cache.listing())
        self.ticked = context.state.get_all("run")
        self.ensemble: Any = None
        self.message, self.broken = "", {}
        self.settings, self.order = axes.settings(context.state), context.state.get_all("ens_order")
        self.axes: list[axes.Axis] = []
        self.measures: dict[str, np.ndarray] = {}
        self.times = Times(0, 0, 0)
        self.filters = Filters(context)
        self.matrices: Any = None  # the filters' correlations, once it is known when they were recorded
        self.selections = selection.read(context.state)
        self.chosen = np.zeros((0, 0), bool)
        self.keys: list[str] = []
        self.hub = ColumnDataSource(self._hub(), name="ensemble_hub")
        self.runs = ColumnDataSource({}, name="ensemble_runs")
        self.axes_source = ColumnDataSource({}, name="ensemble_axes")
        self.kit = {"hub": self.hub, "runs": self.runs, "axes": self.axes_source}
        self._quiet = False
        self.hub.on_change("data", lambda attr, old, new: self._heard(new))
        context.on("theme", self._tell)
        context.on("show", self._shown)
        self.load()

    # -- the runs ---------------------------------------------------------------------------------

    def choose(self, source_: run_groups.Source) -> None:
        """Another ensemble."""
        if source_ == self.source:
            return
        self.source = source_
        self.context.state.update(source_.keys())
        self.load()

    def load(self) -> None:
        """Reads the runs in a thread; "ensemble" follows where there is something new."""
        listing, reader = self.context.cache.listing(), opened.folder(self.context.cache.root)

        def read(progress):
            found, missing = run_groups.members(self.source, listing)
            got = reader.open(found, progress)
            return got._replace(broken=got.broken | missing)

        self._reading.compute(None, read)

    @property
    def count(self) -> int:
        """M, the number of runs that can be read."""
        return len(self.ensemble.names) if self.ensemble is not None else 0

    @property
    def notes(self) -> list[str]:
        """What each run cannot be used for, and why, the measures at the chosen times among it."""
        return ensembles.notes(self.ensemble, self.measures)

    def _take(self, found: opened.Opened) -> None:
        if found.ensemble is not None and found.ensemble is self.ensemble and found.broken == self.broken:
            return
        self.ensemble, self.broken, self.message = found.ensemble, found.broken, ""
        if self.ensemble is None:
            self.message = f"There is no run that can be read among {self.source.words}."
        else:
            self.keys = [selection.key(name) for name in self.ensemble.names]
            self.times = self._times()
            self._measure()
        self.context.emit("ensemble")

    def _failed(self, message: str) -> None:
        self.ensemble, self.message = None, message[:1].upper() + message[1:]
        self.context.emit("ensemble")

    # -- times and measures -----------------------------------------------------------------------

    def set_times(self, **changes: int) -> None:
        """Changes t, t0 or t1."""
        times = self.times._replace(**changes)
        if times != self.times and times.t0 <= times.t1:
            self.times = times
            self.context.state.update(self._time_keys())
            self._measure()
            self.context.emit("measures")
            self.context.emit("selection")  # brushes on measures hold other runs

    def _time_keys(self) -> dict[str, object]:
        return {f"ens_{name}": value for name, value in self.times._asdict().items()}

    def _times(self) -> Times:
        """The address's, at recorded iterations; else t and t1 the last one, t0 the first after the start."""
        step = self.ensemble.step
        if not len(step):
            return Times(0, 0, 0)
        usual = {"t": step[-1], "t0": step[min(1, len(step) - 1)], "t1": step[-1]}
        found = {}
        for name, value in usual.items():
            wanted = self.context.state.get(f"ens_{name}", int(value), low=0, high=MAX_ITERATION)
            found[name] = int(step[np.argmin(np.abs(step - wanted))])
        return Times(**found) if found["t0"] <= found["t1"] else Times(*map(int, usual.values()))

    def _measure(self) -> None:
        ensemble, times = self.ensemble, self.times
        self.measures = {
            "P1": performance.accuracy_at(ensemble, times.t),
            "P2": performance.best_accuracy(ensemble, times.t0, times.t1),
            "P3": performance.stability(ensemble, times.t0, times.t1),
        }
        self._lay_axes()

    # -- axes -------------------------------------------------------------------------------------

    def set_axis(self, name: str, **changes) -> None:
        """Changes the range, the scale or the visibility of an axis; None: as it comes."""
        old = self.settings.get(name, axes.Setting())
        new = old._replace(**changes)
        if new != old:
            self.settings = {**self.settings, name: new}
            self._relay()

    def set_order(self, order) -> None:
        """Puts the axes into another order."""
        known = {axis.name for axis in self.axes}
        order = tuple(name for name in order if name in known)
        if order != tuple(axis.name for axis in self.axes):
            self.order = order
            self._relay()

    def axis(self, name: str) -> axes.Axis:
        """The axis of that name. KeyError."""
        return {axis.name: axis for axis in self.axes}[name]

    def _relay(self) -> None:
        self.context.state.update(axes.keys(self.settings, self.order))
        self._lay_axes()
        self.context.emit("axes")
        self.context.emit("selection")  # a brush at the end of a range holds what is clamped to it

    def _lay_axes(self) -> None:
        ensemble, times = self.ensemble, self.times._asdict()
        given = (ensemble.parameters, self.measures, self.settings, self.order, times)
        self.axes = axes.build(*given, measured_by(ensemble))
        self._select()
        place = iter(range(len(self.axes)))
        self.axes_source.data = {
            "name": [axis.name for axis in self.axes],
            "place": [next(place) if axis.shown else -1 for axis in self.axes],
            "low": [axis.low for axis in self.axes],
            "high": [axis.high for axis in self.axes],
            "log": [int(axis.log) for axis in self.axes],
        }
        values = {f"v:{axis.name}": axis.values for axis in self.axes}
        # Last, for this is what the browser draws at.
        self.runs.data = {"key": self.keys, "name": list(ensemble.names), **values}

    # -- the selections ---------------------------------------------------------------------------

    def select(self, selections: selection.Selections) -> None:
        """Other selections, as a widget of the session changed them."""
        self._adopt(selections)
        self._tell()

    def focus(self) -> list[int]:
        """Positions of the runs looked at one by one, the newest first."""
        place = {key: i for i, key in enumerate(self.keys)}
        return [place[key] for key in self.selections.focus if key in place]

    def hue(self, index: int) -> str:
        """The colour of a selection in the theme in force."""
        return self.context.palette.categories[self.selections.choices[index].hue]

    def _adopt(self, selections: selection.Selections) -> None:
        before, self.selections = self.selections, selections
        self.context.state.update(selection.keys(selections))
        if self.ensemble is not None:
            self._select()
            self.context.emit("selection")
            if selections.focus != before.focus:
                self.context.emit("focus")

    def _select(self) -> None:
        clamped = {axis.name: axis.clamped() for axis in self.axes}
        self.chosen = selection.members(self.selections, clamped, self.keys)

    def _heard(self, data) -> None:
        """The browser has brushed, clicked or moved an axis."""
        if self._quiet:
            return
        try:
            selections, order = selection.parse(data["state"][0]), json.loads(data["order"][0])
            good = isinstance(order, list) and all(isinstance(name, str) for name in order)
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            good = False
        if not good:
            log.info("a selection from the browser was not understood")
            return
        if selections != self.selections:
            self._adopt(selections)
        if order and self.ensemble is not None:
            self.set_order(order)
            self._tell()

    def _hub(self) -> dict[str, list[str]]:
        hues = [*self.context.palette.categories, self.context.palette.context]
        return {"state": [selection.dump(self.selections)], "order": ["[]"], "hues": [json.dumps(hues)]}

    def _tell(self) -> None:
        self._quiet = True
        self.hub.data = self._hub()
        self._quiet = False

    # -- the filters ------------------------------------------------------------------------------

    @property
    def layer(self) -> str:
        """The layer that is looked at: as chosen, else the last one; "" without any."""
        layers = self.ensemble.layers
        return self.filters.layer if self.filters.layer in layers else layers[-1] if layers else ""

    @property
    def time(self) -> int:
        """The iteration at which the filters are looked at: the recorded one nearest to what was chosen."""
        steps = self.matrices.steps()
        wanted = self.filters.time
        return int(steps[-1] if wanted == LAST else steps[np.argmin(np.abs(steps - wanted))])

    # -- private ----------------------------------------------------------------------------------

    def _shown(self) -> None:
        """The page comes to the front: another one may have changed the address, or asked for other runs."""
        state, ticked = self.context.state, self.ticked
        self.ticked = state.get_all("run")
        asked = any(state.get_all(key) for key in (run_groups.FOLDER, run_groups.MATCH, run_groups.RUNS))
        if asked or (len(self.ticked) > 1 and self.ticked != ticked):
            self.choose(run_groups.read(state, self.context.cache.listing()))
        if not asked and self.ensemble is not None:
            state.update(
                self.source.keys() | selection.keys(self.selections) | axes.keys(self.settings, self.order)
                | self._time_keys()
            )  # fmt: skip
            self.filters.write()


def shared(context) -> Shared:
    """The Shared of a page."""
    return context.shared(Shared)


def measured_by(ensemble: ensembles.Ensemble) -> str:
    """What the measures of an Ensemble are of, in words."""
    return "accuracy" if ensemble.classifies else "−log₁₀ loss"
