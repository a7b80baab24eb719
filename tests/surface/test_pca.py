"""The streamed principal directions are those of scikit-learn, whatever the path's length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from gdlab.analysis.surfaces import pca, rows
from gdlab.analysis.surfaces.pca import principal
from gdlab.analysis.surfaces.rows import Rows


def path(n, p, dtype=np.float64, seed=0, offset=3.0):
    """A random walk [n, p] with a few strong directions, far from the origin."""
    rng = np.random.default_rng(seed)
    strong = np.cumsum(rng.standard_normal((n, 4)), axis=0) * [4, 2, 1, 0.5]
    walk = strong @ rng.standard_normal((4, p)) + 0.1 * rng.standard_normal((n, p)) + offset
    return walk.astype(dtype)


@pytest.mark.parametrize(("n", "p"), [(3, 50), (200, 7), (900, 40), (300, 800)])
@pytest.mark.parametrize(("dtype", "bits"), [(np.float64, 1e-8), (np.float32, 2e-4)])
def test_it_is_scikit_learn_s(n, p, dtype, bits, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_BYTES", 64 * p)
    array = path(n, p, dtype)
    found = principal(Rows.of(array), 2)
    expected = PCA(2, svd_solver="full").fit(array.astype(np.float64))
    np.testing.assert_allclose(found.directions, expected.components_, atol=bits)
    np.testing.assert_allclose(found.variance, expected.explained_variance_, rtol=bits)
    np.testing.assert_allclose(found.variance / found.total, expected.explained_variance_ratio_, rtol=bits)
    np.testing.assert_allclose(found.mean, expected.mean_, rtol=1e-5, atol=1e-6)
    assert found.residual <= pca.TOLERANCE[np.dtype(dtype).itemsize]


def test_both_routes_agree(monkeypatch):
    array = path(150, 60)
    exact = principal(Rows.of(array), 2)
    monkeypatch.setattr(pca, "EXACT_ROWS", 0)
    iterated = principal(Rows.of(array), 2)
    assert exact.passes == 1 < iterated.passes
    np.testing.assert_allclose(iterated.directions, exact.directions, atol=1e-8)
    other = principal(Rows.of(array), 2, seed=5)
    np.testing.assert_allclose(other.directions, exact.directions, atol=1e-8)


def test_a_direction_can_be_left_out():
    array = path(100, 30)
    first = principal(Rows.of(array), 1).directions[0]
    second = principal(Rows.of(array), 1, without=first)
    expected = PCA(2, svd_solver="full").fit(array)
    np.testing.assert_allclose(second.directions[0], expected.components_[1], atol=1e-8)
    assert second.total == pytest.approx(array.var(axis=0, ddof=1).sum() - expected.explained_variance_[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_path_that_does_not_move_is_refused(dtype):
    with pytest.raises(ValueError, match="does not move: its 5 points are equal"):
        principal(Rows.of(np.full((5, 10), 1 / 3, dtype)), 2)


def test_two_points_and_straight_lines_span_no_plane():
    ends = np.array([[0.0, 0, 1], [1, 2, 3]])
    for array in (ends, np.linspace(ends[0], ends[1], 9)):
        assert principal(Rows.of(array), 1).directions.shape == (1, 3)
        with pytest.raises(ValueError, match="fewer than 2 directions"):
            principal(Rows.of(array), 2)
    with pytest.raises(ValueError, match=r"1 finite point\(s\) has no direction"):
        principal(Rows.of(ends[:1]), 2)


@given(st.integers(2, 30), st.integers(1, 7), st.integers(0, 5))
def test_rows_are_the_array_s(n, thin, block):
    array = np.random.default_rng(n).standard_normal((n, 3))
    index = np.arange(0, n, thin)
    these = Rows(lambda a, b: array[a:b], index, 3, np.float64)
    before, rows.BLOCK_BYTES = rows.BLOCK_BYTES, 24 * block
    try:
        blocks = list(these.blocks())
    finally:
        rows.BLOCK_BYTES = before
    np.testing.assert_array_equal(np.concatenate([part for _, _, part in blocks]), array[index])
    assert [(a, b) for a, b, _ in blocks][-1][1] == len(these) == len(index)


def test_reading_changes_nothing_and_rows_that_are_not_finite_go(tmp_path):
    array = path(60, 5)
    array[50:, 2] = np.nan
    file = np.lib.format.open_memmap(tmp_path / "path.npy", "w+", array.dtype, array.shape)
    file[:] = array
    file.flush()
    mapped = np.load(tmp_path / "path.npy", mmap_mode="r")
    finite = Rows.of(mapped).finite()
    assert len(finite) == 50
    found = principal(finite, 2)
    expected = PCA(2, svd_solver="full").fit(array[:50])
    np.testing.assert_allclose(found.directions, expected.components_, atol=1e-8)
    np.testing.assert_array_equal(mapped, array)
