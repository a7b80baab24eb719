"""Every table is made in one place, which keeps its cells those of its source."""

from pathlib import Path

from bokeh.models import ColumnDataSource, TableColumn

from server.ui.tables import data_table

SERVER = Path(__file__).resolve().parents[2] / "server"


def test_no_other_file_makes_a_table():
    makers = [path.name for path in SERVER.rglob("*.py") if "DataTable(" in path.read_text(encoding="utf-8")]
    assert makers == ["tables.py"]


def test_a_table_listens_to_its_source_and_to_its_columns():
    source = ColumnDataSource({"a": [1, 2]})
    table = data_table(source, [TableColumn(field="a", title="A")], name="table", row_height=26)
    assert (table.name, table.row_height, table.index_position) == ("table", 26, None)
    assert [callback.args["table"] for callback in source.js_property_callbacks["change:data"]] == [table]
    assert [callback.args["table"] for callback in table.js_property_callbacks["change:columns"]] == [table]
