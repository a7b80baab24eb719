"""Tables as CSV: every digit, every dimension, no formulas."""

import csv
import io

import numpy as np

from gdlab.records import Table
from server.ui import csvtext


def read(table_columns):
    table = Table(table_columns, {}, {})
    return list(csv.reader(io.StringIO(csvtext.dumps(table))))


def test_floats_come_back_bit_for_bit():
    values = np.random.default_rng(0).normal(size=50) * 10.0 ** np.arange(-25, 25)
    rows = read({"loss": values})
    assert [float(row[0]) for row in rows[1:]] == values.tolist()


def test_more_dimensions_become_columns_and_short_ones_are_padded():
    rows = read({"k": np.arange(2), "x": np.arange(6).reshape(3, 2)})
    assert rows == [["k", "x.0", "x.1"], ["0", "0", "1"], ["1", "2", "3"], ["", "4", "5"]]


def test_text_is_quoted_and_never_a_formula():
    rows = read({"name": np.array(['a,"b"\nc', "=1+1", "@x"])})
    assert [row[0] for row in rows[1:]] == ['a,"b"\nc', "'=1+1", "'@x"]


def test_an_empty_table():
    assert read({}) == [[]]
    assert read({"x": np.zeros(0)}) == [["x"]]
