"""Anomaly filters, dead ones and ones that never settle, against sorting and against constructed cases."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gdlab.analysis import filters

# Few different values, so that ties are common.
changes = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 5), st.integers(1, 8)),
    elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, np.nan, np.inf, -1e-8]),
)


@given(changes, st.integers(1, 10))
def test_the_top_k_are_those_of_a_sorted_list(change, k):
    found = filters.anomaly_filters(change, k).columns
    expected = []
    for dump, row in enumerate(change.tolist()):
        ranked = sorted((-value, i) for i, value in enumerate(row) if value > 0)[:k]
        expected += [(dump, i, -value, rank) for rank, (value, i) in enumerate(ranked)]
    rows = zip(*(found[name].tolist() for name in ("dump", "filter", "change", "rank")), strict=True)
    assert list(rows) == expected


def test_only_the_given_dumps_each_once_in_order():
    change = np.arange(12.0).reshape(4, 3)
    found = filters.anomaly_filters(change, 1, dumps=[3, 1, 3])
    assert found.columns["dump"].tolist() == [1, 3] and found.columns["filter"].tolist() == [2, 2]
    assert found.attrs["dumps"].tolist() == [1, 3]
    assert len(filters.anomaly_filters(change, 5, dumps=[]).columns["dump"]) == 0
    assert len(filters.anomaly_filters(change, 50, dumps=[2]).columns["dump"]) == 3  # k beyond the filters


class _Node(NamedTuple):
    name: str
    first: int
    filters: int
    kind: str


def test_splitting_by_layer():
    nodes = [
        _Node("stage", 0, 7, "group"), _Node("a", 0, 4, "conv"), _Node("b", 4, 3, "conv"),
        _Node("c", 7, 2, "dense"),
    ]  # fmt: skip
    positions, first = filters.layer_starts(nodes)
    assert positions.tolist() == [1, 2, 3] and first.tolist() == [0, 4, 7, 9]
    assert filters.split([0, 3, 4, 6, 7, 8], first).tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="filter 9: allowed: 0 to 8"):
        filters.split([9], first)
    with pytest.raises(ValueError, match="layer 'c' begins at filter 8; allowed: 7"):
        filters.layer_starts([*nodes[:3], _Node("c", 8, 2, "dense")])


def _dead_from(gradient, turned, start):
    """By definition: no gradient in any dump from `start` on, the same direction in all of them."""
    return all(g == 0 for g in gradient[start:]) and not any(t > 1e-6 for t in turned[start + 1 :])


@given(
    hnp.arrays(float, (5, 6), elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, np.nan])),
    hnp.arrays(float, (5, 6), elements=st.sampled_from([0.0, 0.0, 1e-7, 0.1, np.nan])),
    st.integers(1, 5),
)
def test_dead_filters_by_definition(gradient, turned, least):
    since = filters.dead_since(gradient, turned)
    for j in range(6):
        starts = [s for s in range(6) if _dead_from(gradient[:, j], turned[:, j], s)]
        assert since[j] == starts[0]
    found = filters.dead_filters(gradient, turned, least)
    assert found.columns["filter"].tolist() == [j for j in range(6) if 5 - since[j] >= least]
    assert found.columns["since"].tolist() == since[5 - since >= least].tolist()


def test_decaying_weights_without_a_gradient_are_dead_and_moving_ones_are_not():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(4, 9))]
    gradients = []
    for k in range(20):
        gradient = rng.normal(size=(4, 9))
        gradient[0] = 0  # filter 0 never gets a gradient; filter 1 none from iteration 8 on
        gradient[1] *= k < 8
        gradients.append(gradient)
        weights.append(0.9 * weights[-1] - 0.1 * gradient)  # weight decay shrinks all of them
    norms = np.array([np.linalg.norm(g, axis=1) for g in gradients])
    turned = np.full((20, 4), np.nan)
    for k in range(1, 20):
        a, b = (w.astype(np.float32) for w in (weights[k - 1], weights[k]))
        turned[k] = 1 - (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert filters.dead_since(norms, turned).tolist() == [0, 8, 20, 20]
    found = filters.dead_filters(norms, turned)
    assert found.columns["filter"].tolist() == [0, 1] and found.attrs == {"least": 5, "filters": 4}
    turned[5:, 0] = 0.01  # without a gradient, but turned by something else: not dead
    assert filters.dead_since(norms, turned)[0] == 19


def test_a_single_dump_shows_nobody_dead():
    assert len(filters.dead_filters(np.zeros((1, 3)), np.full((1, 3), np.nan)).columns["filter"]) == 0
    assert len(filters.dead_filters(np.zeros((0, 3)), np.zeros((0, 3))).columns["filter"]) == 0


@given(changes, st.sampled_from([0.1, 0.25, 0.6, 1.0]), st.sampled_from([0.01, 0.3, 1.0]))
def test_never_settling_by_definition(change, late, share):
    change[np.isinf(change)] = 3
    rows = change[len(change) - max(1, round(late * len(change))) :] if len(change) else change
    means = [
        np.mean(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan for column in rows.T
    ]
    np.testing.assert_allclose(filters.late_change(change, late), means, rtol=1e-6, atol=1e-12)
    means = filters.late_change(change, late)
    found = filters.never_settling(change, late, share)
    count = max(1, int(np.ceil(share * np.isfinite(means).sum())))
    ranked = sorted((-value, i) for i, value in enumerate(means) if value > 0)[:count]
    assert found.columns["filter"].tolist() == [i for _, i in ranked]
    if ranked and np.nanmedian(means) > 0:
        np.testing.assert_allclose(found.columns["ratio"], [-v / np.nanmedian(means) for v, _ in ranked])


def test_restless_filters_are_found_among_settling_ones():
    rng = np.random.default_rng(1)
    change = np.exp(-np.arange(100) / 15)[:, None] * rng.uniform(0.5, 1.5, (100, 300))
    change[:, [17, 250]] = 0.2
    found = filters.never_settling(change)
    assert found.columns["filter"].tolist()[:2] == [17, 250] and len(found.columns["filter"]) == 3
    assert found.columns["ratio"][1] > 50


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 100))
def test_pooled_statistics_are_those_of_all_weights(sizes, seed):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(rng.normal(), 1, (3, size)) for size in sizes]
    mean = np.stack([w.mean(axis=1) for w in weights], axis=1)
    std = np.stack([w.std(axis=1) for w in weights], axis=1)
    together = np.concatenate(weights, axis=1)
    found = filters.pooled(mean, std, sizes)
    np.testing.assert_allclose(found, (together.mean(axis=1), together.std(axis=1)), atol=1e-12)
    assert np.isnan(filters.pooled(np.empty((2, 0)), np.empty((2, 0)), 3)).all()


def test_wrong_arguments_are_named():
    change = np.ones((3, 4))
    for k in (0, 2.5, True):
        with pytest.raises(ValueError, match="k="):
            filters.anomaly_filters(change, k)
    for dumps, wrong in (([3], 3), ([-1], -1)):
        with pytest.raises(ValueError, match=f"dump {wrong}: allowed: 0 to 2"):
            filters.anomaly_filters(change, 1, dumps)
    for late in (0, 1.5):
        with pytest.raises(ValueError, match="late="):
            filters.late_change(change, late)
    for share in (0, 1.5):
        with pytest.raises(ValueError, match="share="):
            filters.never_settling(change, share=share)
    with pytest.raises(ValueError, match="least=0"):
        filters.dead_filters(change, change, 0)
    with pytest.raises(ValueError, match="allowed: both"):
        filters.dead_since(change, change[1:])
