"""The head of the filters' views: layer, time, threshold, what is counted, how runs are projected."""

import numpy as np
from bokeh.models import CustomJSTickFormatter, Select, Slider

from gdlab.messages import counted
from server.pages.ensemble.head import ITERATION
from server.pages.ensemble.matrices import Matrices
from server.pages.ensemble.panel import Panel, view_of
from server.ui import card
from server.ui.choices import look
from server.ui.query import Query

NONE = (
    "No run of this ensemble recorded the correlations of its filters: record.correlations=auto has a "
    "training record them, 20 times."
)


class FilterBar(Panel):
    """root: the card. Reads at which times there are correlations, then has the other views drawn."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_filters")
        context = self.context
        self._quiet = False
        self.query = Query(context, self._take, failed=self._caption)
        self.formatter = CustomJSTickFormatter(args={"steps": [0]}, code=ITERATION)
        words = "Whose filters are compared"
        self.layer = Select(title="Layer", options=[], width=130, **look(context, "ensemble_layer", words))
        self.time = Slider(
            title="At iteration", start=0, end=1, step=1, value=1, format=self.formatter, width=300,
            **look(context, "ensemble_time", "Of those at which filters were compared"),
        )  # fmt: skip
        filters = shared.filters
        widgets = (
            self.layer,
            self.time,
            filters["threshold"].number("ensemble_threshold", width=96, step=0.05),
            filters["counted"].select("ensemble_counted", width=160),
            filters["method"].radio("ensemble_method", align="end"),
        )
        self.row = card.row(context, *widgets, classes=["gd-options-row"])
        body = card.box(context, self.row, classes=["gd-body"])
        self.root = card.card(context, "Filters", "", body, name=self.name)
        self._listen()

    def update(self) -> None:
        """Reads the times in a thread."""
        shared = self.shared
        shared.matrices = None
        self.row.visible = bool(shared.ensemble.layers)
        if not shared.ensemble.layers:
            card.retitle(self.root, caption=NONE)
            self.context.emit("filters")
            return
        matrices = Matrices(shared.ensemble)

        def read(progress):
            matrices.steps()
            return matrices

        self.query.compute(shared.ensemble, read)

    def _take(self, matrices: Matrices) -> None:
        shared, steps = self.shared, matrices.steps()
        shared.matrices = matrices
        count, left = len(matrices.runs), self.shared.count - len(matrices.runs)
        words = (
            f"{counted(count, 'run')} recorded the correlations between the filters of a layer, "
            f"{counted(len(steps), 'time')}"
        )
        if left:
            words += f"; {left:,} did not, or have another network, and are in none of the next three views"
        card.retitle(self.root, caption=words + ".")
        self._quiet = True
        self.layer.options = list(matrices.layers)
        self.layer.value = shared.layer
        self.formatter.args = {"steps": [int(k) for k in steps]}
        place = int(np.argmin(np.abs(steps - shared.time)))
        self.time.update(end=max(1, len(steps) - 1), value=place)
        self.time.visible = len(steps) > 1
        self._quiet = False
        self.context.emit("filters")

    def _listen(self) -> None:
        self.layer.on_change("value", lambda attr, old, new: self._set(layer=new))
        self.time.on_change("value_throttled", lambda attr, old, new: self._set_time(new))

    def _set_time(self, place: float) -> None:
        self._set(time=int(self.shared.matrices.steps()[int(place)]))

    def _set(self, **changes) -> None:
        for name, value in changes.items() if not self._quiet else ():
            self.shared.filters[name].set(value)


build = view_of(FilterBar)
