"""Weights sum to one, and the streamed parameters are those of the one formula, written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from gdlab.analysis.surfaces.plane import Plane, pca_plane, project, random_plane, through
from gdlab.analysis.surfaces.rows import Rows
from gdlab.analysis.surfaces.surroundings import Surroundings
from gdlab.analysis.surfaces.weights import BEHIND, DISTANCES, METHODS, weights

options = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS),
        "distance": st.sampled_from(DISTANCES),
        "behind": st.sampled_from(BEHIND),
        "temperature": st.sampled_from([1e-3, 1.0, 50.0]),
    }
)


def spiral(n=40, p=9, seed=0):
    """A curved path [n, p] that leaves its plane."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 5, n)
    curve = np.stack([t * np.cos(t), t * np.sin(t), np.sin(3 * t)], axis=1)
    return curve @ np.linalg.qr(rng.standard_normal((p, 3)))[0].T + 2


def around(array, **given):
    return Surroundings(Rows.of(array), **{"plane": "pca", "shapes": [(array.shape[1],)], **given})


PATH = spiral()
PLANE = around(PATH)
PLANE._measure_off_plane()
GRID = np.random.default_rng(1).uniform(-7, 7, (12, 2))


@given(options, st.integers(0, 100))
def test_weights_sum_to_one_and_are_the_formula(chosen, seed):
    points = np.random.default_rng(seed).uniform(-7, 7, (6, 2))
    points[0] = PLANE.geometry.coordinates[seed % 40]
    points[1] = PLANE.geometry.centre
    theta = PLANE.parameters(points, offset=True, **chosen)
    nd = None
    if chosen["method"] == "averaged_nd" and chosen["distance"] == "manhattan":
        at = PLANE.centre + (points - PLANE.geometry.centre) @ PLANE.plane.directions
        nd = np.abs(at[:, None] - PATH[None]).sum(axis=2)
    weight = weights(chosen.pop("method"), points, PLANE.geometry, nd=nd, **chosen)
    assert (weight >= 0).all()
    np.testing.assert_allclose(weight.sum(axis=1), 1, rtol=1e-12)
    every = np.concatenate([PATH, PLANE.centre[None]])
    places = np.concatenate([PLANE.geometry.coordinates, PLANE.geometry.centre[None]])
    for g, row, found in zip(points, weight, theta, strict=True):
        expected = sum(
            w * (t + (g - q) @ PLANE.plane.directions) for w, t, q in zip(row, every, places, strict=True)
        )
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_distances_in_many_dimensions_are_those_of_the_vectors():
    at = PLANE.centre + (GRID - PLANE.geometry.centre) @ PLANE.plane.directions
    weight = weights("averaged_nd", GRID, PLANE.geometry)[:, :-1]
    expected = np.exp(-cdist(at, PATH))
    np.testing.assert_allclose(weight, expected / expected.sum(axis=1, keepdims=True), rtol=1e-9)
    # Mahalanobis: the covariance of probabilistic PCA, as a matrix.
    values, vectors = np.linalg.eigh(np.cov(PATH.T))
    values[:-2] = values[:-2].mean()
    inverse = vectors @ np.diag(1 / values) @ vectors.T
    weight = weights("averaged_nd", GRID, PLANE.geometry, distance="mahalanobis")[:, :-1]
    expected = np.exp(-cdist(at, PATH, "mahalanobis", VI=inverse))
    np.testing.assert_allclose(weight, expected / expected.sum(axis=1, keepdims=True), rtol=1e-6)


def test_a_cold_average_is_the_nearest_point():
    cold = PLANE.parameters(GRID, method="averaged", temperature=1e-6, offset=True)
    np.testing.assert_allclose(cold, PLANE.parameters(GRID, method="sampled"), atol=1e-9)


def test_the_centre_has_no_weight_behind_the_path():
    path, centre = PLANE.geometry.coordinates, PLANE.geometry.centre
    for rule in BEHIND:
        weight = weights("sampled_pca", GRID, PLANE.geometry, behind=rule)
        for g, row in zip(GRID, weight, strict=True):
            nearest = np.argmin(np.linalg.norm(path - g, axis=1))
            product = (centre - path[nearest]) * (g - path[nearest])
            side = product[1] if rule == "y" else product.sum()
            to_path, to_centre = np.linalg.norm(g - path[nearest]), np.linalg.norm(g - centre)
            share = 0 if side < 0 else to_path / (to_path + to_centre)
            assert row[-1] == pytest.approx(share) and row[nearest] == pytest.approx(1 - share)
    assert (weight[:, -1] == 0).any() and (weight[:, -1] > 0).any()


@pytest.mark.parametrize("centre", ["extremes", "mean", "thesis"])
def test_where_the_centre_lies(centre):
    found = around(PATH, centre=centre)
    path = found.projection.coordinates
    extreme = [path[:, 0].argmin(), path[:, 0].argmax(), path[:, 1].argmin(), path[:, 1].argmax()]
    theta = PATH.mean(axis=0) if centre == "mean" else PATH[extreme].mean(axis=0)
    np.testing.assert_allclose(found.centre, theta)
    placed = (theta - PATH.mean(axis=0)) @ found.plane.directions.T
    box = (path.min(axis=0) + path.max(axis=0)) / 2
    np.testing.assert_allclose(found.geometry.centre, box if centre == "thesis" else placed, atol=1e-12)
    # Only a centre at its own projection gives itself back; the thesis's plane is shifted along itself.
    there = found.parameters(placed[None], method="pca")[0]
    assert np.allclose(there, theta) == (centre != "thesis")


def test_projection_and_explained_variance():
    plane = pca_plane(Rows.of(PATH))
    found = project(Rows.of(PATH), plane)
    np.testing.assert_allclose(found.coordinates, (PATH - PATH.mean(axis=0)) @ plane.directions.T, atol=1e-12)
    values = np.linalg.eigvalsh(np.cov(PATH.T))
    np.testing.assert_allclose(found.explained, values[-2:][::-1] / values.sum())
    rest = PATH - plane.origin - found.coordinates @ plane.directions
    np.testing.assert_allclose(found.off_plane(plane.gram), np.linalg.norm(rest, axis=1), atol=1e-9)


def test_coordinates_on_crooked_directions_are_those_of_least_squares():
    rng = np.random.default_rng(0)
    plane = Plane(rng.standard_normal(9), rng.standard_normal((2, 9)))
    expected = np.linalg.lstsq(plane.directions.T, (PATH - plane.origin).T)[0].T
    np.testing.assert_allclose(project(Rows.of(PATH), plane).coordinates, expected)


def test_planes_go_through_their_checkpoints():
    for chosen in ((0, 39), (0, 20, 39)):
        plane = through(PATH[list(chosen)], Rows.of(PATH))
        np.testing.assert_allclose(plane.gram, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(
            project(Rows.of(PATH[list(chosen)]), plane).off_plane(plane.gram), 0, atol=1e-6
        )
    with pytest.raises(ValueError, match="equal parameters"):
        through(PATH[[3, 3]], Rows.of(PATH))
    with pytest.raises(ValueError, match="lie on a line"):
        through(np.stack([PATH[0], PATH[9], (PATH[0] + PATH[9]) / 2]), Rows.of(PATH))
    with pytest.raises(ValueError, match="two or three checkpoints, not 1"):
        through(PATH[:1], Rows.of(PATH))


def test_random_directions_are_as_long_as_the_filters():
    shapes = [(4,), (3, 3, 1, 4), (5, 6)]
    theta = np.random.default_rng(0).standard_normal(4 + 36 + 30)
    plane = random_plane(theta, shapes, seed=3)
    np.testing.assert_array_equal(plane.directions[:, :4], 0)
    for direction in plane.directions:
        for begin, end, filters in ((4, 40, 4), (40, 70, 6)):
            lengths = [np.linalg.norm(v[begin:end].reshape(-1, filters), axis=0) for v in (direction, theta)]
            np.testing.assert_allclose(*lengths)
    assert abs(plane.gram[0, 1]) < 0.6 * plane.gram[0, 0]
    np.testing.assert_array_equal(random_plane(theta, shapes, seed=3).directions, plane.directions)
    assert (random_plane(theta, shapes, seed=4).directions != plane.directions)[:, 4:].all()
    only = random_plane(np.array([3.0, 4.0]), [(2,)])
    np.testing.assert_allclose(np.linalg.norm(only.directions, axis=1), 5)


def test_the_variance_off_the_plane_is_that_of_all_other_directions():
    """Tipping and Bishop 1999, equation 8: of p - 2 of them, also where the path has fewer points."""
    path = np.random.default_rng(0).standard_normal((6, 40)) * np.linspace(1, 3, 40)
    around = Surroundings(Rows.of(path), plane="pca", shapes=[(40,)])
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(path.T)))[::-1]
    assert around.geometry.off_variance == pytest.approx(eigenvalues[2:].mean(), rel=1e-9)
