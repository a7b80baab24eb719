"""Where the grid's lines stand and what its pixels show, against drawing by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis.correlation import full_grid
from gdlab.records import Table
from server.pages.tracker.correlation.layout import blocks, filters_of, layout, parts_with, strips
from server.pages.tracker.correlation.raster import columns_of, covered, nearest_lines, raster, shaded


def table(**columns):
    columns = {name: np.asarray(values) for name, values in columns.items()}
    return Table(columns, dict.fromkeys(columns, ("row",)), {})


@pytest.fixture
def grid():
    """Three dumps; filters 0-3 are the first layer, 4-6 the second."""
    anomalies = table(**{"class": [0, 0, 2], "dump": [1, 2, 4], "score": [5, 6, 7]})
    filters = table(dump=[1, 1, 1, 2, 2, 4, 4], filter=[0, 1, 5, 0, 1, 0, 6])
    return full_grid(anomalies, filters, np.array([0, 4, 7]))


def test_blocks_stand_one_after_another_with_gaps():
    found = blocks([0, 0, 1], [1, 2, 3])
    gap = 0.02 * 6 / 2
    np.testing.assert_allclose(found.low, [0, 1, 3 + gap])
    np.testing.assert_allclose(found.high, [1, 3, 6 + gap])
    np.testing.assert_allclose(found.block_low, [0, 3 + gap])
    np.testing.assert_allclose(found.block_high, [3, 6 + gap])
    assert found.end == found.high[-1]
    assert [found.at(x) for x in (-0.1, 0.5, 2.9, 3 + gap / 2, 4, 7)] == [None, 0, 1, None, 2, None]
    assert [found.block_at(x) for x in (0.5, 3 + gap / 2, 4)] == [0, None, 1]
    empty = blocks([], [])
    assert len(empty.low) == 0 and empty.end == 1 and empty.at(0.5) is None


def test_a_mini_set_is_as_high_as_it_has_filters(grid):
    rows, columns = layout(grid, abstract=False)
    np.testing.assert_allclose(rows.high - rows.low, grid.parts.columns["size"])
    assert len(columns.low) == 3 and len(columns.block_low) == 2
    rows, columns = layout(grid, abstract=True)
    np.testing.assert_allclose(rows.high - rows.low, 1)
    assert (len(rows.low), len(columns.low)) == (len(grid.layers), len(grid.classes))


def test_filters_of_mini_sets_and_back(grid):
    sets = [set(filters_of(grid, part).tolist()) for part in range(len(grid.parts.columns["size"]))]
    assert sorted(map(sorted, sets)) == [[0], [1], [5], [6]]
    for part, filters in enumerate(sets):
        assert parts_with(grid, list(filters)).tolist() == [part]
    assert parts_with(grid, []).tolist() == []


def test_strips_are_means_over_the_filters_of_a_mini_set():
    anomalies = table(**{"class": [0], "dump": [1], "score": [5]})
    filters = table(dump=[1, 1, 1], filter=[0, 2, 5])
    grid = full_grid(anomalies, filters, np.array([0, 4, 7]))
    change = np.arange(21.0).reshape(3, 7)
    change[2, 0] = np.nan
    change[0, 5] = np.nan
    sets = [filters_of(grid, part) for part in range(2)]
    with np.errstate(invalid="ignore"):
        wanted = [
            [np.nanmean(row[s]) if np.isfinite(row[s]).any() else np.nan for row in change] for s in sets
        ]
    np.testing.assert_allclose(strips(grid, change, [0, 1]), wanted)
    np.testing.assert_allclose(strips(grid, change, [1]), wanted[1:])
    assert strips(grid, change, []).shape == (0, 3)


def test_pixels_fall_on_lines_or_in_gaps():
    lines = blocks([0, 1], [1, 1])
    found = nearest_lines(lines, 0, lines.end, 100)
    centres = (np.arange(100) + 0.5) * lines.end / 100
    assert found.tolist() == [-1 if lines.at(x) is None else lines.at(x) for x in centres]
    assert set(nearest_lines(lines, 5, 6, 4)) == {-1}


def test_groups_of_columns_keep_the_largest_value():
    values = np.array([[1.0, np.nan, 5.0, 2.0], [np.nan, np.nan, 0.0, -3.0]])
    edges, low, high = columns_of(-0.5, 3.5, 4, 2)
    assert (edges.tolist(), low, high) == ([0, 2, 4], -0.5, 3.5)
    np.testing.assert_array_equal(raster(values, [0, 1, -1], edges), [[1, 5], [np.nan, 0], [np.nan] * 2])
    edges, low, high = columns_of(0.9, 2.2, 4, 100)
    assert (edges.tolist(), low, high) == ([1, 2, 3], 0.5, 2.5)
    np.testing.assert_array_equal(raster(values, [0], edges), [[np.nan, 5]])


@given(
    st.lists(
        st.tuples(st.floats(-2, 9), st.floats(0.01, 5), st.floats(-2, 9), st.floats(0.01, 5)), max_size=6
    )
)
def test_rectangles_cover_the_pixels_they_touch(boxes):
    array = np.array(boxes, float).reshape(-1, 4)
    left, top = array[:, 0], array[:, 2]
    right, bottom = left + array[:, 1], top + array[:, 3]
    count = covered(left, right, top, bottom, (0, 8, 0, 6), (8, 6))
    wanted = np.zeros((6, 8), int)
    for x0, x1, y0, y1 in zip(left, right, top, bottom, strict=True):
        for y in range(6):
            for x in range(8):
                wanted[y, x] += x0 < x + 1 and x1 > x and y0 < y + 1 and y1 > y
    np.testing.assert_array_equal(count, wanted)


def test_shades_are_between_the_limits_and_clear_where_nothing_is_known():
    assert shaded([0.0, 0.5, 1.0, 2.0, -1.0, np.nan], 0, 1).tolist() == [1, 128, 255, 255, 1, 0]
