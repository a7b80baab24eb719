"""Every run's step sizes in numbers: where they begin, their hill, where they end, whether they climb."""

import numpy as np
from bokeh.models import ColumnDataSource

from gdlab.analysis import step_sizes
from gdlab.messages import counted
from gdlab.records import Table
from server.core.context import Context, View
from server.pages.steps.page import page
from server.pages.steps.panel import having
from server.ui import card
from server.ui.small_table import fit_rows, small_table

COLUMNS = {
    "run": ("run", "text", 260),
    "first": ("first", "number", 80),
    "hill": ("hill", "number", 80),
    "hill_at": ("at iteration", "count", 90),
    "last": ("last", "number", 80),
    "trend": ("trend", "text", 70),
    "correlation": ("rank corr. with k", "number", 120),
    "lowest": ("lowest loss", "number", 90),
}
PREDICTION_RUNS = 4  # with fewer runs the card beside it does not exist


def build(context: Context) -> View:
    """The table's card; nothing where no iteration has been recorded."""
    names = having(context, "update_norm")
    if not names:
        return View(card.box(context, classes=["gd-none"], visible=False, name="step_summary"), lambda: None)
    return _Summary(context, names).view


class _Summary:
    def __init__(self, context: Context, names: list[str]):
        self.context, self.names, self.shared = context, names, page(context)
        self.source = ColumnDataSource({name: [] for name in COLUMNS}, name="step_summary_rows")
        self.table = small_table(context, self.source, COLUMNS, name="step_summary_table")
        beside = len(context.selected) >= PREDICTION_RUNS
        self.root = card.card(
            context,
            "Step sizes in numbers",
            "",
            self.table,
            name="step_summary",
            csv=self._csv,
            span=8 if beside else 12,
        )
        context.on("window", self.update)
        self.view = View(self.root, self.update)
        self.update()

    def update(self) -> None:
        """Counts again: the averages of runs that have not grown are remembered."""
        rows = [self._row(name) for name in self.names]
        self.source.data = {name: [row[name] for row in rows] for name in COLUMNS}
        fit_rows(self.table, len(rows))
        words = (
            f"Means over {counted(self.shared.window, 'iteration')} (more in long runs). "
            "The hill is the largest of them; the lowest loss is the lowest mean of the loss."
        )
        card.retitle(self.root, caption=words)

    def _row(self, name: str) -> dict:
        run = self.context.run(name)
        numbers = step_sizes.summary(self.shared.whole(run, "update_norm"))
        trend = step_sizes.direction(numbers["correlation"])
        label = self.context.short_label(name)
        return {"run": label, **numbers, "trend": trend, "lowest": lowest(self.shared, run)}

    def _csv(self) -> Table:
        columns = {name: np.asarray(self.source.data[name]) for name in COLUMNS}
        return Table(columns, dict.fromkeys(columns, ("run",)), {})


def lowest(shared, run) -> float:
    """The lowest window average of a run's loss, NaN where none is finite."""
    means = shared.whole(run, "loss").columns["mean"]
    means = means[np.isfinite(means)]
    return float(means.min()) if means.size else float("nan")
