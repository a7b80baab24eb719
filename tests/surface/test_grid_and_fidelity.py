"""Grids hold what they should in the order they should; numbers about pictures match their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from gdlab.analysis.surfaces import fidelity, grid

sides = st.integers(1, 24)


@given(sides, sides)
def test_every_point_comes_once_and_evenly(nx, ny):
    order = grid.order(nx, ny)
    assert sorted(order.tolist()) == list(range(nx * ny))
    for step in (2, 4, 8):
        rows, columns = np.divmod(order, nx)
        coarse = (rows % step == 0) & (columns % step == 0)
        # Nothing finer comes before the last point of a coarser grid.
        assert coarse[: coarse.sum()].all()


def test_lines_reach_beyond_the_path_and_meet_its_ends():
    path = np.array([0.3, -1.0, 4.0, 2.2])
    lines = grid.lines(path, 17)
    assert len(lines) == 19 and {0.3, 2.2} < set(lines)
    even = [line for line in lines if line not in (0.3, 2.2)]
    np.testing.assert_allclose(even, np.linspace(1.5 - 3.0, 1.5 + 3.0, 17))
    # An end that is a line already is not doubled, and stays exact.
    again = grid.lines(np.array([1e-12, 2.0, -2.0, 0.5]), 5)
    assert len(again) == 5 + 1 and 1e-12 in again and 0.0 not in again
    np.testing.assert_array_equal(grid.lines(np.array([0.5, 9.0]), 3, half_range=1), [-1, 0, 0.5, 1])
    with pytest.raises(ValueError, match="stays at 2"):
        grid.lines(np.full(3, 2.0), 5)


def test_refinement_adds_lines_where_it_bends():
    x = np.linspace(-1, 1, 9)
    picture = np.abs(x)[None, :] + np.zeros((9, 1))
    bends = grid.bending(picture)
    assert bends.argmax(axis=1).tolist() == [4] * 9 and bends[:, 4] == pytest.approx(0.25)
    np.testing.assert_allclose(grid.refined(x, bends.max(axis=0), 0.2), np.union1d(x, [-0.125, 0.125]))
    np.testing.assert_array_equal(grid.refined(x, np.zeros(9), 1.0), x)
    assert (grid.bending(np.full((4, 4), np.nan)) == 0).all()


@given(st.integers(0, 50))
def test_interpolation_is_scipy_s(seed):
    rng = np.random.default_rng(seed)
    x, y = np.cumsum(rng.uniform(0.1, 1, 6)), np.cumsum(rng.uniform(0.1, 1, 4))
    value = rng.standard_normal((4, 6))
    points = rng.uniform([x[0], y[0]], [x[-1], y[-1]], (20, 2))
    expected = RegularGridInterpolator((y, x), value)(points[:, ::-1])
    np.testing.assert_allclose(fidelity.interpolate(x, y, value, points), expected, atol=1e-12)
    np.testing.assert_allclose(fidelity.resampled(x, y, value, x, y), value)
    assert np.isnan(fidelity.interpolate(x, y, value, [[x[-1] + 1, y[0]]])).all()


def test_structural_similarity_is_its_definition():
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((11, 12)), rng.standard_normal((11, 12))
    extent = max(one.max(), other.max()) - min(one.min(), other.min())
    c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    values = []
    for i in range(11 - 6):
        for j in range(12 - 6):
            a, b = one[i : i + 7, j : j + 7], other[i : i + 7, j : j + 7]
            both = np.cov(a.ravel(), b.ravel())
            top = (2 * a.mean() * b.mean() + c1) * (2 * both[0, 1] + c2)
            values.append(top / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (both[0, 0] + both[1, 1] + c2)))
    assert fidelity.structural_similarity(one, other) == pytest.approx(np.mean(values))
    assert fidelity.structural_similarity(one, one) == pytest.approx(1)
    assert fidelity.structural_similarity(np.ones((3, 3)), np.ones((3, 3))) == 1
    with pytest.raises(ValueError, match="different shapes"):
        fidelity.structural_similarity(one, one[:5])


def test_extremes_and_roughness():
    value = np.zeros((7, 7))
    value[2, 2], value[4, 4], value[0, 6] = -1, 2, 5
    assert fidelity.local_extremes(value) == (1, 1)
    value[4, 5] = np.nan
    assert fidelity.local_extremes(value) == (1, 0)
    assert fidelity.local_extremes(np.zeros((2, 9))) == (0, 0)
    x, y = np.meshgrid(np.arange(6.0), np.arange(5.0))
    assert fidelity.roughness(2 * x - y) == pytest.approx(0, abs=1e-15)
    assert fidelity.roughness(x**2) == pytest.approx(np.mean([2] * 20 + [0] * 18) / 25)


def test_error_against_known_losses():
    x, y = np.arange(3.0), np.arange(4.0)
    value = x[None] + 10 * y[:, None]
    points = np.array([[0.5, 0.5], [1.25, 2.0], [9, 9]])
    mean, largest = fidelity.mean_error(x, y, value, points, [5.5, 22.25, 0])
    assert (mean, largest) == (pytest.approx(0.5), pytest.approx(1))
