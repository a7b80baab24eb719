"""Counts of correlated filters and similarity of runs: against loops and NumPy's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis.correlated import filters_above, pairs_above
from gdlab.analysis.run_similarity import distance, similarity
from tests.analysis.made_ensembles import symmetric


@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0, 1))
def test_counts_equal_loops(seed, filters, threshold):
    r = symmetric(np.random.default_rng(seed), 3, filters)
    pairs, which = pairs_above(r, threshold), filters_above(r, threshold)
    for k, matrix in enumerate(r):
        high = [(i, j) for i in range(filters) for j in range(i) if abs(matrix[i, j]) > threshold]
        assert pairs[k] == len(high)
        assert which[k] == len({i for pair in high for i in pair})


def test_the_threshold_itself_is_not_above_and_nan_is_not_known():
    r = np.array([[[1, -0.75], [-0.75, 1]], [[1, np.nan], [np.nan, 1]]])
    np.testing.assert_array_equal(pairs_above(r, 0.75), [0, np.nan])
    np.testing.assert_array_equal(pairs_above(r, 0.7), [1, np.nan])
    np.testing.assert_array_equal(filters_above(r), [2, np.nan])
    assert pairs_above(np.empty((0, 3, 3))).shape == (0,)
    for bad in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match="allowed: 0 to 1"):
            pairs_above(r, bad)
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        filters_above(r[0])


@given(st.integers(0, 10_000), st.integers(3, 7))
def test_similarity_equals_numpys_corrcoef(seed, filters):
    matrices = symmetric(np.random.default_rng(seed), 4, filters)
    rows = [[abs(m[i, j]) for i in range(filters) for j in range(i + 1, filters)] for m in matrices]
    found = similarity(list(matrices))
    np.testing.assert_allclose(found, np.corrcoef(rows), atol=1e-9)
    assert (found == found.T).all() and (np.diag(distance(found)) == 0).all()
    assert (distance(found) >= 0).all() and (distance(found) <= 2).all()


def test_constant_matrices_are_like_nothing_but_themselves():
    some = symmetric(np.random.default_rng(0), 1, 4)[0]
    found = similarity([np.eye(4), some, np.full((4, 4), 0.3)])
    np.testing.assert_array_equal(found, np.eye(3))


def test_what_cannot_be_compared_is_refused():
    assert similarity([]).shape == (0, 0)
    np.testing.assert_array_equal(similarity([np.eye(3)]), [[1]])
    for matrices, text in (
        ([np.eye(3), np.eye(4)], r"\(3, 3\), \(4, 4\)"),
        ([np.eye(2)], r"\(2, 2\)"),
        ([np.full((3, 3), np.nan)], "not finite"),
    ):
        with pytest.raises(ValueError, match=text):
            similarity(matrices)
