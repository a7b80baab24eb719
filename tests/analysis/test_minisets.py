"""Mini-sets against the paper's Algorithm 1 and against every partition of small sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis.minisets import mini_sets, minimum_set_partition

families = st.lists(st.sets(st.integers(0, 12), max_size=8), max_size=7)


def _algorithm_1(sets):
    """DeepTracker's Algorithm 1, line by line."""
    result = []
    for target in sets:
        rest, new = set(target), []
        for mini in result:
            new += [mini & rest, mini - rest]
            rest = rest - mini
        result = [part for part in [*new, rest] if part]
    return {frozenset(part) for part in result}


def _partitions(elements):
    """Every partition of a list of elements."""
    if not elements:
        yield []
        return
    head, *tail = elements
    for rest in _partitions(tail):
        yield [{head}, *rest]
        for i, block in enumerate(rest):
            yield [*rest[:i], block | {head}, *rest[i + 1 :]]


def _assembles(parts, sets):
    return all(set().union(*(part for part in parts if part <= one)) == one for one in sets)


@given(families)
def test_the_same_parts_as_algorithm_1(sets):
    parts = minimum_set_partition(sets)
    assert set(parts) == _algorithm_1(sets)
    assert len(parts) == len(set(parts))
    assert sum(map(len, parts)) == len(set().union(*sets)) and all(parts)  # disjoint, and none is empty
    assert _assembles(parts, sets)


@given(st.lists(st.sets(st.integers(0, 5), max_size=5), max_size=4))
def test_no_partition_has_fewer_parts(sets):
    parts = minimum_set_partition(sets)
    elements = sorted(set().union(*sets))
    fewest = min(len(blocks) for blocks in _partitions(elements) if _assembles(blocks, sets))
    assert len(parts) == fewest


def test_order_and_kinds_of_elements():
    sets = [["a", "b", "c", "c"], ("c", "d"), frozenset("ad")]
    assert minimum_set_partition(sets) == [
        frozenset("b"), frozenset("c"), frozenset("a"), frozenset("d"),
    ]  # fmt: skip
    assert minimum_set_partition(np.array([[1, 2], [2, 3]])) == [{1}, {2}, {3}]
    assert minimum_set_partition([]) == [] and minimum_set_partition([[], set()]) == []


@given(st.lists(st.tuples(st.sampled_from([3, 5, 11, 40]), st.integers(2, 19)), max_size=40, unique=True))
def test_every_layer_has_the_mini_sets_of_its_own_filters(pairs):
    first = [2, 7, 7, 12, 20]  # the second layer has no filters
    dump, filters = np.array(pairs, int).reshape(-1, 2).T
    found = mini_sets(dump, filters, first)
    columns, members = found.columns, np.split(found.attrs["filters"], found.columns["stop"][:-1])
    members = members if len(columns["stop"]) else []
    assert found.attrs["dumps"].tolist() == sorted(set(dump.tolist()))
    for layer in range(4):
        inside = (filters >= first[layer]) & (filters < first[layer + 1])
        sets = {d: set(filters[inside & (dump == d)].tolist()) for d in found.attrs["dumps"].tolist()}
        own = [i for i in range(len(members)) if columns["layer"][i] == layer]
        assert {frozenset(members[i].tolist()) for i in own} == _algorithm_1(sets.values())
        for i in own:
            there = [set(members[i].tolist()) <= one for one in sets.values()]
            assert found.attrs["member"][i].tolist() == there
            assert columns["appearances"][i] == sum(there) and columns["size"][i] == len(members[i])
    lowest = [part.min() for part in members]
    assert lowest == sorted(lowest) and all((np.diff(part) > 0).all() for part in members)
    assert columns["layer"].tolist() == sorted(columns["layer"].tolist())


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="filter 7: allowed: 0 to 6"):
        mini_sets([0, 1], [3, 7], [0, 4, 7])
    with pytest.raises(ValueError, match="filter -1"):
        mini_sets([0], [-1], [0, 4])
    with pytest.raises(ValueError, match="equally many"):
        mini_sets([0, 1], [3], [0, 4])
    for first in ([0, 4, 2], [0]):
        with pytest.raises(ValueError, match="first="):
            mini_sets([0], [1], first)
