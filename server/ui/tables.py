"""The one place where a table is made: its cells are always those of its source.

Bokeh draws the rows of a table again only where their number or their filter changes; a source that is
refreshed with as many rows as before would keep its old cells. The same holds for columns that are
exchanged: the browser follows only those that the table was drawn with.
"""

from collections.abc import Sequence

from bokeh.models import ColumnDataSource, CustomJS, DataTable, TableColumn

# After the model's own listeners, which come later than this one: they keep filter and selection.
FOLLOW = """
queueMicrotask(() => {
  const view = Bokeh.index.find_one(table)
  if (view?.grid != null) view.updateGrid()
})
"""
# New columns are drawn as they come, but a later change of one of them, such as hiding it, is not heard.
HEAR = """
const view = Bokeh.index.find_one(table)
for (const column of table.columns) view?.connect(column.change, () => view.rerender())
"""


def data_table(
    source: ColumnDataSource, columns: Sequence[TableColumn], *, name: str, **properties
) -> DataTable:
    """A DataTable of the source's columns without a column of row numbers; properties: of the DataTable."""
    table = DataTable(
        source=source, columns=list(columns), name=name, index_position=None, reorderable=False, **properties
    )
    source.js_on_change("data", CustomJS(args={"table": table}, code=FOLLOW))
    table.js_on_change("columns", CustomJS(args={"table": table}, code=HEAR))
    return table
