"""How far each layer has moved between the two ends, and what that movement is worth.

The error at 0 of a layer is that of the trained network with this one layer put back to the line's
beginning: a layer that matters has a high one.
"""

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    DataTable,
    NumberFormatter,
    ScientificFormatter,
    StringFormatter,
    TableColumn,
)

from gdlab.records import Table
from server.pages.line.requests import WHOLE, RunLine
from server.ui import card, sheets
from server.ui.tables import data_table

COLUMNS = {
    "run": "run",
    "layer": "layer",
    "distance": "distance",
    "share": "share²",
    "loss": "error at 0",
    "accuracy": "acc. at 0",
    "lowest": "lowest at",
}
MOST_ROWS = 16  # shown at once; more scroll


class Distances:
    """The card with the table: one row per run and layer, the whole network first."""

    def __init__(self, context, labels: list[str], *, accuracy: bool, sheet):
        self.labels = labels
        self.whole = "whole network" if accuracy else "all parameters"
        self.source = ColumnDataSource({name: [] for name in COLUMNS}, name="line_rows")
        hidden = {"run": len(labels) == 1, "accuracy": not accuracy}
        self.table = self._table(context, sheet, [name for name in COLUMNS if not hidden.get(name)])
        body = card.box(context, self.table, classes=["gd-body"])
        sheets.wear(sheet, body)
        self.root = card.card(
            context,
            "Distance of each layer",
            "Distance |θ(1) − θ(0)| of what moves, its share of the squared whole; at 0: the trained network "
            "with this layer alone put back to the line's beginning.",
            body,
            read="line",
            name="line_distances",
            csv=lambda: Table(dict(self.source.data), dict.fromkeys(COLUMNS, ("row",)), {}),
            span=5,
        )

    def draw(self, runs: dict[str, RunLine]) -> None:
        """One row for everything that has come."""
        rows = [
            {**_row(line, curve), "run": label, "layer": self.whole if curve == WHOLE else curve}
            for label, line in zip(self.labels, runs.values(), strict=True)
            for curve in line.curves
        ]
        self.source.data = {name: np.array([row[name] for row in rows]) for name in COLUMNS}
        for column in self.table.columns:
            column.visible = column.field != "accuracy" or any(np.isfinite(row["accuracy"]) for row in rows)
        self.table.visible = bool(rows)
        self.table.height = 34 + 26 * min(max(len(rows), 1), MOST_ROWS)

    def _table(self, context, sheet, names: list[str]) -> DataTable:
        number = ScientificFormatter(precision=3, power_limit_low=-3, power_limit_high=4, nan_format="–")
        plain = NumberFormatter(format="0.00", nan_format="–")
        share = NumberFormatter(format="0.0 %", nan_format="–")
        formats = {"distance": number, "share": share, "loss": number, "accuracy": share, "lowest": plain}
        columns = [
            TableColumn(
                field=name,
                title=COLUMNS[name],
                formatter=formats.get(name, StringFormatter()),
                width=110 if name in ("run", "layer") else 78,
                sortable=True,
            )
            for name in names
        ]
        return data_table(
            self.source,
            columns,
            name="line_table",
            autosize_mode="force_fit",
            selectable=False,
            row_height=26,
            height=120,
            sizing_mode="stretch_width",
            css_classes=["gd-small-table"],
            stylesheets=[context.sheet, sheet],
        )


def _row(line: RunLine, curve: str) -> dict:
    loss, accuracy, distance = line.curves[curve]
    start = int(np.argmin(np.abs(line.alpha)))
    whole = line.curves[WHOLE][2] if WHOLE in line.curves else np.nan
    known = np.isfinite(loss).any()
    return {
        "distance": distance,
        "share": (distance / whole) ** 2 if whole else np.nan,
        "loss": float(loss[start]),
        "accuracy": float(accuracy[start]),
        "lowest": float(line.alpha[np.nanargmin(np.where(np.isfinite(loss), loss, np.nan))])
        if known
        else np.nan,
    }
