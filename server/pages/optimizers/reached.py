"""How far each run got, in numbers: the best and the last error, accuracy, and what they cost."""

import numpy as np
from bokeh.models import ColumnDataSource

from gdlab.analysis import validation
from gdlab.records import Table
from server.core.context import Context, View
from server.ui import card
from server.ui.small_table import fit_rows, small_table

COLUMNS = {
    "run": ("run", "text", 280),
    "best_loss": ("best error", "number", 90),
    "best_at": ("at iteration", "count", 95),
    "last_loss": ("last error", "number", 90),
    "best_accuracy": ("best val. accuracy", "share", 130),
    "accuracy_at": ("at iteration", "count", 95),
    "last_accuracy": ("last val. accuracy", "share", 130),
    "best_validation_loss": ("best val. loss", "number", 105),
    "iterations": ("iterations", "count", 90),
    "evaluations": ("evaluations", "count", 95),
    "seconds": ("seconds", "number", 80),
}


def build(context: Context) -> View:
    """The table's card, one row per run."""
    return _Reached(context).view


class _Reached:
    def __init__(self, context: Context):
        self.context = context
        self.source = ColumnDataSource({name: [] for name in COLUMNS}, name="reached_rows")
        self._known: dict[str, tuple] = {}
        self.update()
        self.table = small_table(context, self.source, COLUMNS, name="reached_table")
        words = (
            "The error is that of the batch of each iteration. Evaluations of the error and its gradient; "
            "seconds of training."
        )
        self.root = card.card(context, "Best and last", words, self.table, name="reached", csv=self._csv)
        self.view = View(self.root, self._grown)

    def update(self) -> None:
        """Reads the runs that have grown."""
        rows = []
        for name in self.context.selected:
            run = self.context.run(name)
            key = (run.key, run.rows("scalars"))
            if self._known.get(name, (None,))[0] != key:
                self._known[name] = key, validation.reached(run)
            rows.append({"run": self.context.short_label(name)} | self._known[name][1])
        self.source.data = {name: [row[name] for row in rows] for name in COLUMNS}

    def _grown(self) -> None:
        self.update()
        fit_rows(self.table, len(self.source.data["run"]))

    def _csv(self) -> Table:
        columns = {name: np.asarray(self.source.data[name]) for name in COLUMNS}
        columns["run"] = np.array(self.context.selected, object)
        return Table(columns, dict.fromkeys(columns, ("run",)), {})
