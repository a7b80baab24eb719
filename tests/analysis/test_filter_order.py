"""The order of filters: against SciPy's clustering and dendrograms, and the same for every permutation."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from gdlab.analysis.filter_order import order_filters, ordered
from gdlab.analysis.run_similarity import distance, similarity
from tests.analysis.made_ensembles import symmetric


def correlations(seed, filters):
    return symmetric(np.random.default_rng(seed), 1, filters)[0]


def condensed(r):
    return squareform(np.maximum(1 - np.abs(r), 0), checks=False)


@given(st.integers(0, 10_000), st.integers(2, 12))
def test_clusters_are_scipys(seed, filters):
    r = correlations(seed, filters)
    found, theirs = order_filters(r), hierarchy.linkage(condensed((r + r.T) / 2), "average")
    np.testing.assert_allclose(found.linkage[:, 2], theirs[:, 2], atol=1e-8)
    np.testing.assert_allclose(hierarchy.cophenet(found.linkage), hierarchy.cophenet(theirs), atol=1e-8)
    assert not len(found.ties) and hierarchy.is_valid_linkage(found.linkage)


@given(st.integers(0, 10_000), st.integers(2, 12))
def test_the_dendrogram_is_scipys_of_this_linkage(seed, filters):
    found = order_filters(correlations(seed, filters))
    drawn = hierarchy.dendrogram(found.linkage, no_plot=True)
    assert drawn["leaves"] == found.order.tolist()
    theirs = sorted(map(tuple, np.hstack([np.array(drawn["icoord"]) / 10, drawn["dcoord"]])))
    np.testing.assert_allclose(sorted(map(tuple, np.hstack([found.icoord, found.dcoord]))), theirs)


def naive(r):
    """The order by the rules, from all pairs of filters anew at every merge; no ties in the choice."""
    a = np.abs((r + r.T) / 2)
    clusters = [([i], 0.0) for i in range(len(a))]
    while len(clusters) > 1:
        pairs = [(i, j) for i in range(len(clusters)) for j in range(i)]
        heights = [np.mean([1 - a[x, y] for x in clusters[i][0] for y in clusters[j][0]]) for i, j in pairs]
        i, j = pairs[int(np.argmin(heights))]
        two = sorted((clusters[i], clusters[j]), key=lambda c: (-len(c[0]), round(c[1], 9), -a[c[0]].mean()))
        clusters = [c for k, c in enumerate(clusters) if k not in (i, j)]
        clusters.append((two[0][0] + two[1][0], min(heights)))
    return clusters[0][0]


@given(st.integers(0, 10_000), st.integers(2, 9))
def test_the_order_follows_the_rules(seed, filters):
    r = correlations(seed, filters)
    assume(filters > 2)  # two filters are exchangeable
    assert order_filters(r).order.tolist() == naive(r)


@given(st.integers(0, 10_000), st.integers(2, 14), st.randoms(use_true_random=False))
def test_the_ordered_matrix_is_the_same_however_the_filters_come(seed, filters, random):
    r = correlations(seed, filters)
    permuted = random.sample(range(filters), filters)
    np.testing.assert_array_equal(ordered(r), ordered(r[np.ix_(permuted, permuted)]))


few = st.sampled_from([0.0, 0.25, 0.5, -0.5, 1.0])


@settings(max_examples=300)
@given(st.integers(2, 7), st.data())
def test_with_many_ties_too_unless_they_are_reported(filters, data):
    r = np.eye(filters)
    for i in range(filters):
        for j in range(i):
            r[i, j] = r[j, i] = data.draw(few)
    for i in data.draw(st.sets(st.integers(0, filters - 1), max_size=3)):
        r[i], r[:, i] = 0, 0  # constant filters
    permuted = data.draw(st.permutations(range(filters)))
    first, second = order_filters(r), order_filters(r[np.ix_(permuted, permuted)])
    assert bool(len(first.ties)) == bool(len(second.ties))
    if not len(first.ties):
        other = r[np.ix_(permuted, permuted)]
        np.testing.assert_array_equal(
            np.abs(r)[np.ix_(first.order, first.order)], np.abs(other)[np.ix_(second.order, second.order)]
        )


@given(st.integers(0, 10_000), st.integers(3, 12), st.randoms(use_true_random=False))
def test_the_similarity_of_permuted_filters_is_one(seed, filters, random):
    r = correlations(seed, filters)
    permuted = random.sample(range(filters), filters)
    signs = np.array([random.choice([-1, 1]) for _ in range(filters)])
    other = (signs[:, None] * r * signs)[np.ix_(permuted, permuted)]
    found = similarity([ordered(r), ordered(other)])
    np.testing.assert_allclose(found, 1, atol=1e-12)
    np.testing.assert_allclose(distance(found), 0, atol=1e-12)


def test_constant_filters_come_last_and_are_no_ties():
    r = correlations(3, 6)
    r[[1, 4]], r[:, [1, 4]] = 0, 0
    found = order_filters(r)
    assert set(found.order[-2:].tolist()) == {1, 4} and not len(found.ties)
    np.testing.assert_array_equal(found.linkage[-2:, 2], [1, 1])
    nothing = order_filters(np.zeros((5, 5)))
    assert not len(nothing.ties) and sorted(nothing.order.tolist()) == list(range(5))


def test_a_tie_that_the_rules_leave_open_is_reported():
    # A path of four filters: the middle one of the three edges stands out by its mean, then two are equal.
    r = np.eye(4)
    for i, j in ((0, 1), (1, 2), (2, 3), (3, 0)):
        r[i, j] = r[j, i] = 0.5
    assert len(order_filters(r).ties)


def test_small_and_wrong_matrices():
    one = order_filters(np.ones((1, 1)))
    assert one.order.tolist() == [0] and one.linkage.shape == (0, 4) and one.icoord.shape == (0, 4)
    for bad, text in (
        (np.ones((2, 3)), r"\(2, 3\)"),
        (np.ones((0, 0)), r"\(0, 0\)"),
        (np.full((2, 2), np.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=text):
            order_filters(bad)
