"""Points for distances: recovered where they are plane, aligned without being bent, the same for a seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import cdist

from gdlab.analysis.embedding import METHODS, aligned, classical, embed


def plane(seed, count):
    return np.random.default_rng(seed).standard_normal((count, 2))


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(2, 9))
def test_mds_recovers_points_of_a_plane(seed, count):
    points = plane(seed, count)
    distance = cdist(points, points)
    for found in (embed(distance), classical(distance)):
        np.testing.assert_allclose(cdist(found, found), distance, atol=1e-3)
    np.testing.assert_allclose(aligned(embed(distance), points), points, atol=2e-3)


def test_mds_is_no_worse_than_many_random_starts():
    from sklearn.manifold import smacof

    values = np.random.default_rng(0).standard_normal((15, 6))
    distance = 1 - np.corrcoef(values)
    found = embed(distance)

    def stress(points):
        return ((cdist(points, points) - distance) ** 2).sum() / 2

    best = min(smacof(distance, n_init=1, random_state=s, normalized_stress=False)[1] for s in range(4))
    assert stress(found) <= 1.1 * best


@given(st.integers(0, 1000), st.integers(2, 9))
def test_alignment_equals_scipys_and_bends_nothing(seed, count):
    points, onto = plane(seed, count), plane(seed + 1, count)
    found = aligned(points, onto)
    turn, _ = orthogonal_procrustes(points - points.mean(0), onto - onto.mean(0))
    wanted = (points - points.mean(0)) @ turn + onto.mean(0)
    np.testing.assert_allclose(((found - onto) ** 2).sum(), ((wanted - onto) ** 2).sum(), rtol=1e-6)
    np.testing.assert_allclose(cdist(found, found), cdist(points, points), atol=1e-9)


def test_alignment_with_some_points_missing():
    points = plane(0, 6)
    turned = points @ np.array([[0.0, -1.0], [1.0, 0.0]]) + 3
    turned[4] = np.nan
    found = aligned(points, turned)
    np.testing.assert_allclose(found[:4], turned[:4], atol=1e-9)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(aligned(points, np.full((6, 2), np.nan)), points)
    with pytest.raises(ValueError, match=r"\(6, 2\) cannot be aligned with \(5, 2\)"):
        aligned(points, turned[:5])


def test_tsne_keeps_neighbourhoods_and_its_seed():
    random = np.random.default_rng(0)
    groups = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 8, axis=0) + random.standard_normal((24, 2)) / 9
    distance = cdist(groups, groups)
    found = embed(distance, "tsne", seed=3)
    np.testing.assert_array_equal(found, embed(distance, "tsne", seed=3))
    nearest = np.argsort(cdist(found, found), axis=1)[:, 1:4]
    assert (nearest // 8 == np.arange(24)[:, None] // 8).all()
    before = plane(1, 24)
    moved = embed(distance, "tsne", seed=3, onto=before)
    np.testing.assert_allclose(cdist(moved, moved), cdist(found, found), atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_few_runs_and_runs_that_are_all_alike(method):
    assert embed(np.empty((0, 0)), method).shape == (0, 2)
    np.testing.assert_array_equal(embed(np.zeros((1, 1)), method), [[0, 0]])
    two = embed([[0, 0.5], [0.5, 0]], method)
    np.testing.assert_allclose(np.linalg.norm(two[0] - two[1]), 0.5)
    np.testing.assert_allclose(embed(np.zeros((3, 3)), method), np.zeros((3, 2)), atol=1e-9)
    assert np.isfinite(embed(np.zeros((6, 6)), method)).all()


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        ([[0, 1]], r"\(1, 2\)"),
        ([[0, np.nan], [np.nan, 0]], "not finite"),
        ([[0, -1], [-1, 0]], "negative"),
        ([[0, 1], [2, 0]], "symmetric"),
        ([[1, 1], [1, 0]], "diagonal"),
    ],
)
def test_what_is_no_distance_is_refused(distance, text):
    with pytest.raises(ValueError, match=text):
        embed(distance)
    with pytest.raises(ValueError, match="method='pca': allowed: mds, tsne"):
        embed(np.zeros((2, 2)), "pca")
