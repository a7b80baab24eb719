"""Tables of a few rows: numbers in short form, text as it is, a dash where nothing is known."""

from collections.abc import Mapping

from bokeh.models import (
    ColumnDataSource,
    DataTable,
    NumberFormatter,
    ScientificFormatter,
    StringFormatter,
    TableColumn,
)

from server.ui import sheets
from server.ui.tables import data_table

MOST_ROWS = 10  # rows that are shown without scrolling
ROW, HEADER = 26, 30  # px


def small_table(context, source: ColumnDataSource, columns: Mapping[str, tuple], *, name: str) -> DataTable:
    """A table of the source's columns that sorts by a click on a title.

    columns: {field: (title, kind, width)}; kind: "text", "count" (whole numbers), "number" or "share"
    (in [0, 1], shown in percent).
    """
    table = data_table(
        source,
        [
            TableColumn(field=field, title=title, formatter=_formatter(kind), width=width)
            for field, (title, kind, width) in columns.items()
        ],
        name=name,
        # Fitting columns to the card forgets their widths where the table is made before it has one.
        autosize_mode="none",
        selectable=False,
        row_height=ROW,
        sizing_mode="stretch_width",
        css_classes=["gd-small-table"],
        stylesheets=[context.sheet, sheets.sheet("curve")],
    )
    fit_rows(table, len(next(iter(source.data.values()))))
    return table


def fit_rows(table: DataTable, rows: int) -> None:
    """Makes the table as high as its rows, up to MOST_ROWS."""
    table.height = HEADER + ROW * min(max(rows, 1), MOST_ROWS)


def _formatter(kind: str):
    if kind == "text":
        return StringFormatter(nan_format="–")
    if kind == "count":
        return NumberFormatter(format="0,0", nan_format="–")
    if kind == "share":
        return NumberFormatter(format="0.[00] %", nan_format="–")
    return ScientificFormatter(precision=3, power_limit_low=-3, power_limit_high=4, nan_format="–")
