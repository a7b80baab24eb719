"""Minima where the last digits decide, against forty digits of arithmetic."""

import decimal

import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import optim

CENTRES, WEIGHTS, FLOOR = (0.3, -1.7, 2.9), (1.0, 30.0, 0.05), 1000.0
METHODS = (optim.fast_conjugate_gradient, optim.lbfgs, optim.limited_memory_conjugate_gradient)


def error(x):
    """A quartic bowl upon 1,000: near its minimum sixteen digits of the value say nothing."""
    away = x - jnp.asarray(CENTRES)
    return FLOOR + jnp.sum(jnp.asarray(WEIGHTS) * (away**2 + away**4)) + 0.1 * jnp.prod(x)


def exact_minimum(x):
    """Where the gradient of `error` vanishes, by Newton's method in forty digits, from `x`."""
    with decimal.localcontext(prec=40):
        number = decimal.Decimal
        c, w = [[number(v) for v in values] for values in (CENTRES, WEIGHTS)]
        x, tenth = [number(float(v)) for v in x], number(0.1)
        for _ in range(60):  # of one coordinate after the other
            for i in range(3):
                others = x[(i + 1) % 3] * x[(i + 2) % 3]
                away = x[i] - c[i]
                slope = w[i] * (2 * away + 4 * away**3) + tenth * others
                x[i] -= slope / (w[i] * (2 + 12 * away**2))
        return np.array([float(v) for v in x])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", METHODS)
def test_the_slopes_find_what_the_values_cannot(make):
    """Values of 1,000, known to 1e-13, place the minimum to 1e-6; its slopes do so to the last digits."""
    found = optim.minimize(error, jnp.zeros(3), method=make(), tol=1e-13)
    wanted = exact_minimum(found.x)
    np.testing.assert_allclose(found.x, wanted, rtol=0, atol=2e-12)
    assert abs(float(found.fun) - float(error(jnp.asarray(wanted)))) <= 4e-13
