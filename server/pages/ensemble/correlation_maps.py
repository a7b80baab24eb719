"""Filter correlation heat maps of the runs looked at, side by side, each with the dendrogram of its order.

Until a run is clicked, the best and the worst by P1 are shown. Hamid 2019, Figure 2 (b, c).
"""

from typing import Any

import numpy as np

from gdlab.records import Table
from server.pages.ensemble.correlation_map import CorrelationMap
from server.pages.ensemble.panel import Panel, view_of
from server.pages.ensemble.selection import MOST_FOCUS
from server.ui import card
from server.ui.query import CardQuery


class CorrelationMaps(Panel):
    """root: the card."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_maps")
        self.maps: list[CorrelationMap] = []
        self.shown: dict[int, Any] = {}
        self.row = card.box(self.context, classes=["gd-maps"])
        self.query = CardQuery(self.context, self._show, self._caption, name=self.name)
        body = card.box(self.context, self.row, self.query.progress.root, classes=["gd-body"])
        self.root = card.card(
            self.context,
            "Correlations of filters",
            "",
            body,
            read="matrices",
            name=self.name,
            figures=[self.row],
            csv=self._table,
        )
        for event in ("filters", "focus", "measures"):
            self.context.on(event, self.update)
        self.context.on("selection", self._name)

    def update(self) -> None:
        """Asks for the matrices of the runs looked at."""
        matrices = self.shared.matrices
        self.root.visible = bool(self.shared.ensemble.layers)
        if matrices is None:
            return
        runs, layer, time = tuple(self._runs()), self.shared.layer, self.shared.time

        def read(progress):
            found = {}
            for number, run in enumerate(runs):
                progress(number / len(runs), "Ordering the filters")
                found[run] = matrices.ordered(run, layer, time)
            return found

        self.query.compute((id(matrices), runs, layer, time), read)

    def _runs(self) -> list[int]:
        """Those looked at; else the best and the worst by P1."""
        focus = self.shared.focus()
        if focus:
            return focus[:MOST_FOCUS]
        runs = self.shared.matrices.runs
        accuracy = self.shared.measures["P1"][runs]
        known = runs[np.isfinite(accuracy)]
        order = known[np.argsort(-accuracy[np.isfinite(accuracy)], kind="stable")]
        return [int(i) for i in dict.fromkeys([*order[:1], *order[-1:]])] or [int(i) for i in runs[:2]]

    def _show(self, found) -> None:
        while len(self.maps) < len(found):
            self.maps.append(CorrelationMap(self.shared, f"{self.name}_{len(self.maps)}"))
        self.shown = dict(found)
        for one, (run, ordered) in zip(self.maps, found.items(), strict=False):
            one.show(run, ordered)
        self.row.children = [one.root for one in self.maps[: len(found)]]
        words = (
            f"|r| between the filters of layer {self.shared.layer} at iteration {self.shared.time:,}, in the "
            "order of the clustering above them."
        )
        if not self.shared.focus():
            words += " The best and the worst run by P1; click runs in any view to look at them instead."
        card.retitle(self.root, caption=words)

    def _name(self) -> None:
        for one, run in zip(self.maps, self.shown, strict=False):
            one.name_run(run)

    def _table(self) -> Table:
        """For CSV: a row per pair of filters of each map."""
        parts: dict[str, list] = {name: [] for name in ("run", "iteration", "first", "second", "r")}
        for run, ordered in self.shown.items():
            if isinstance(ordered, str):
                continue
            for i, j in zip(*np.triu_indices(len(ordered.matrix), 1), strict=True):
                order = ordered.order.order
                cell = (
                    self.shared.ensemble.names[run],
                    ordered.step,
                    order[i],
                    order[j],
                    ordered.matrix[i, j],
                )
                for name, entry in zip(parts, cell, strict=True):
                    parts[name].append(entry)
        columns = {name: np.array(values) for name, values in parts.items()}
        return Table(columns, dict.fromkeys(columns, ("pair",)), {})


build = view_of(CorrelationMaps)
