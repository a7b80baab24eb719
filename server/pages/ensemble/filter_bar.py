"""The head of the filters' views: layer, time, threshold, what is counted, how runs are projected."""

import numpy as np
from bokeh.models import CustomJSTickFormatter, RadioButtonGroup, Select, Slider, Spinner

from gdlab.messages import counted
from server.pages.ensemble.filters import COUNTS, METHODS
from server.pages.ensemble.head import ITERATION
from server.pages.ensemble.matrices import Matrices
from server.pages.ensemble.panel import Panel
from server.ui import card

NONE = (
    "No run of this ensemble recorded the correlations of its filters: record.correlations=auto has a "
    "training record them, 20 times."
)


class FilterBar(Panel):
    """root: the card. Reads at which times there are correlations, then has the other views drawn."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_filters")
        context, sheet = self.context, [self.context.sheet]
        self._quiet = False
        self.formatter = CustomJSTickFormatter(args={"steps": [0]}, code=ITERATION)
        self.layer = Select(title="Layer", options=[], width=130, name="ensemble_layer", stylesheets=sheet)
        self.time = Slider(
            title="At iteration", start=0, end=1, step=1, value=1, format=self.formatter, width=300,
            name="ensemble_time", stylesheets=sheet,
        )  # fmt: skip
        self.threshold = Spinner(
            title="Threshold of |r|", low=0, high=1, step=0.05, value=shared.filters.threshold, width=96,
            name="ensemble_threshold", stylesheets=sheet,
        )  # fmt: skip
        self.counted = Select(
            title="Count", options=list(COUNTS.items()), value=shared.filters.counted, width=160,
            name="ensemble_counted", stylesheets=sheet,
        )  # fmt: skip
        self.method = RadioButtonGroup(
            labels=list(METHODS.values()), active=list(METHODS).index(shared.filters.method), align="end",
            name="ensemble_method", stylesheets=sheet,
        )  # fmt: skip
        widgets = (self.layer, self.time, self.threshold, self.counted, self.method)
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

        shared.background.ask(
            "times", read, self._take, lambda message: card.retitle(self.root, caption=message)
        )

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
        self.threshold.on_change("value", lambda attr, old, new: self._set(threshold=new))
        self.counted.on_change("value", lambda attr, old, new: self._set(counted=new))
        self.method.on_change("active", lambda attr, old, new: self._set(method=list(METHODS)[new]))

    def _set_time(self, place: float) -> None:
        self._set(time=int(self.shared.matrices.steps()[int(place)]))

    def _set(self, **changes) -> None:
        if not self._quiet and None not in changes.values():
            self.shared.set_filters(**changes)
