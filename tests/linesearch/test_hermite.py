"""The fits against polynomials found by solving their linear equations."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gdlab.linesearch import hermite
from tests.linesearch import reference

pytestmark = pytest.mark.usefixtures("float64")
numbers = st.floats(-1e3, 1e3)
widths = st.floats(1e-6, 1e6)


@given(widths, numbers, numbers, numbers, numbers)
def test_cubic(h, phi_a, dphi_a, phi_b, dphi_b):
    wanted = reference.fit(3, h, phi_a, dphi_a, phi_b, dphi_b)
    size = 1 + abs(phi_a) + abs(phi_b) + h * (abs(dphi_a) + abs(dphi_b))
    np.testing.assert_allclose(hermite.cubic(h, phi_a, dphi_a, phi_b, dphi_b), wanted, atol=1e-13 * size)


@given(widths, numbers, numbers, numbers)
def test_quadratic(h, phi_a, dphi_a, phi_b):
    wanted = reference.fit(2, h, phi_a, dphi_a, phi_b)
    size = 1 + abs(phi_a) + abs(phi_b) + h * abs(dphi_a)
    found = hermite.quadratic(h, phi_a, dphi_a, phi_b)
    np.testing.assert_allclose([float(c) for c in found], wanted, atol=1e-13 * size)


@given(numbers, numbers, numbers)
def test_minimiser(c1, c2, c3):
    # Away from the parabolas that a cubic hardly differs from: there the roots NumPy finds are inexact.
    assume(abs(c3) > 1e-3 * (abs(c1) + abs(c2)))
    assume(abs(c2 * c2 - 3 * c1 * c3) > 1e-6 * (c2 * c2 + 3 * abs(c1 * c3)))
    # XLA flushes subnormal numbers to zero, and a discriminant of zero has no minimum.
    assume(abs(c2 * c2 - 3 * c1 * c3) > 1e-300)
    wanted = reference.local_minimum([0.0, c1, c2, c3])
    found = hermite.minimiser(*jnp.array([c1, c2, c3]))
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("coefficients", "wanted"),
    [
        ((-2.0, 1.0, 0.0), 1.0),  # a parabola that opens upwards
        ((-2.0, -1.0, 0.0), np.nan),  # and downwards
        ((-1.0, 0.0, 0.0), np.nan),  # a straight line
        ((0.0, 0.0, 0.0), np.nan),
        ((0.0, 0.0, 1.0), np.nan),  # a saddle
        ((1.0, 0.0, 1.0), np.nan),  # monotone
        ((-1.0, 1.0, 1e-14), 0.5),  # nearly a parabola: no digits lost
        ((-np.inf, 1.0, 1.0), np.nan),
        ((np.nan, 1.0, 1.0), np.nan),
    ],
)
def test_special_cases(coefficients, wanted):
    np.testing.assert_allclose(hermite.minimiser(*jnp.array(coefficients)), wanted, rtol=1e-13)


def test_evaluate():
    u = np.linspace(-1, 2, 7)
    wanted = np.polynomial.polynomial.polyval(u, [1.0, -2.0, 3.0, 0.5])
    np.testing.assert_allclose(hermite.evaluate((1.0, -2.0, 3.0, 0.5), u), wanted, rtol=1e-14)
