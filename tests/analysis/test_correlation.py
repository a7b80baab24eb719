"""The grids of layers and classes against sets, cell by cell and rectangle by rectangle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis import correlation
from gdlab.analysis.minisets import minimum_set_partition
from gdlab.records import Table

FIRST = [0, 3, 3, 8, 12]  # layer 1 has no filters

anomaly_lists = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=12)
filter_lists = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 11)), max_size=40, unique=True)


def _tables(anomalies, filters):
    (which, dump), (at, number) = (np.array(rows, int).reshape(-1, 2).T for rows in (anomalies, filters))
    return (
        Table({"class": which, "dump": dump}, {}, {}),
        Table({"dump": at, "filter": number}, {}, {}),
    )


def _layer(number):
    return max(j for j in range(4) if FIRST[j] <= number)


def _sets(anomalies, filters):
    """{dump: filters} of the dumps at which a class has an anomaly."""
    dumps = {dump for _, dump in anomalies}
    return {dump: {f for d, f in filters if d == dump} for dump in sorted(dumps)}


@given(anomaly_lists, filter_lists)
def test_the_abstract_grid_counts_distinct_filters(anomalies, filters):
    found = correlation.abstract_grid(*_tables(anomalies, filters), FIRST).columns
    sets = _sets(anomalies, filters)
    assert found["class"].tolist() == sorted({c for c, _ in anomalies})
    assert found["layer"].tolist() == sorted({_layer(f) for f in set().union(*sets.values())})
    for i, layer in enumerate(found["layer"]):
        for j, c in enumerate(found["class"]):
            union = set().union(*(sets[dump] for which, dump in anomalies if which == c))
            assert found["count"][i, j] == sum(_layer(f) == layer for f in union)


@given(anomaly_lists, filter_lists, st.integers(1, 4))
def test_the_full_grid_draws_every_mini_set_where_it_belongs(anomalies, filters, minimum):
    grid = correlation.full_grid(*_tables(anomalies, filters), FIRST, minimum)
    sets, columns, parts = _sets(anomalies, filters), grid.columns.columns, grid.parts.columns
    lines = sorted(set(anomalies))
    assert list(zip(columns["class"].tolist(), columns["dump"].tolist(), strict=True)) == lines
    assert grid.classes[columns["place"]].tolist() == columns["class"].tolist()

    expected = {}
    for layer in range(4):
        for part in minimum_set_partition({f for f in s if _layer(f) == layer} for s in sets.values()):
            crossed = [i for i, (_, dump) in enumerate(lines) if part <= sets[dump]]
            expected[part] = (layer, crossed)
    shown = {part: row for part, row in expected.items() if len(row[1]) >= minimum}
    assert grid.hidden == len(expected) - len(shown) and grid.minimum == minimum

    members = np.split(grid.filters, parts["stop"])[:-1]
    assert {frozenset(part.tolist()) for part in members} == set(shown) and len(members) == len(shown)
    assert grid.layers.tolist() == sorted({layer for layer, _ in shown.values()})
    rectangles = grid.rectangles.columns
    for i, part in enumerate(members):
        layer, crossed = shown[frozenset(part.tolist())]
        assert parts["layer"][i] == layer == grid.layers[parts["place"][i]]
        assert rectangles["column"][rectangles["part"] == i].tolist() == crossed
        assert parts["size"][i] == len(part) and parts["appearances"][i] == len(crossed)
        assert parts["classes"][i] == len({lines[c][0] for c in crossed})
        assert parts["dumps"][i] == len({lines[c][1] for c in crossed})
    assert len(rectangles["part"]) == sum(parts["appearances"]) and (np.diff(rectangles["part"]) >= 0).all()
    for i, layer in enumerate(grid.layers):
        for j, c in enumerate(grid.classes):
            union = set().union(
                *(p for p, (_, crossed) in shown.items() if any(lines[k][0] == c for k in crossed))
            )
            assert grid.counts[i, j] == sum(_layer(f) == layer for f in union)


@given(anomaly_lists, filter_lists, st.integers(1, 3), st.integers(1, 15))
def test_too_many_rectangles_raise_the_minimum_as_far_as_it_takes(anomalies, filters, minimum, most):
    tables = _tables(anomalies, filters)
    grid = correlation.full_grid(*tables, FIRST, minimum, most)
    assert len(grid.rectangles.columns["part"]) <= most and grid.minimum >= minimum
    if grid.minimum > minimum:
        looser = correlation.full_grid(*tables, FIRST, grid.minimum - 1)
        assert len(looser.rectangles.columns["part"]) > most


def test_nothing_gives_empty_grids():
    none = _tables([], [(0, 1)])
    assert correlation.abstract_grid(*none, FIRST).columns["count"].shape == (0, 0)
    grid = correlation.full_grid(*none, FIRST)
    assert grid.counts.shape == (0, 0) and len(grid.rectangles.columns["part"]) == 0
    # A class with an anomaly at a dump without anomaly filters keeps its line.
    grid = correlation.full_grid(*_tables([(2, 4)], []), FIRST, most=1)
    assert grid.classes.tolist() == [2] and grid.counts.shape == (0, 1)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="filter 12: allowed: 0 to 11"):
        correlation.abstract_grid(*_tables([(0, 0)], [(0, 12)]), FIRST)
    for name, value in (("minimum", 0), ("most", 0), ("minimum", True)):
        with pytest.raises(ValueError, match=f"{name}="):
            correlation.full_grid(*_tables([], []), FIRST, **{name: value})
