"""The six functions of More and Thuente 1994, section 5, each from four first step widths."""

from functools import partial
from operator import itemgetter

import jax
import jax.numpy as jnp
import pytest

from gdlab.linesearch import two_phase

FIRST = (1e-3, 1e-1, 1e1, 1e3)
FAST = {"sigma": 0.2, "rho": 1e-4, "beta": 10.0, "epsilon": 1e-6}


def ripples(eta, beta=0.01, count=39):
    """Their function 3: a valley at 1 whose walls have waves, of slope -0.01 to -1.99 on the left."""
    away = jnp.abs(eta - 1)
    valley = jnp.where(away >= beta, away, away**2 / (2 * beta) + beta / 2)
    return valley + 2 * (1 - beta) / (count * jnp.pi) * jnp.sin(count * jnp.pi / 2 * eta)


def yanai(left, right):
    """Their functions 4 to 6: two walls of different steepness."""
    height = lambda beta: (1 + beta**2) ** 0.5 - beta  # noqa: E731

    def phi(eta):
        falling, rising = jnp.sqrt((1 - eta) ** 2 + right**2), jnp.sqrt(eta**2 + left**2)
        return height(left) * falling + height(right) * rising

    return phi


# The function, their rho and sigma (rho below sigma where they have both the same).
FUNCTIONS = {
    1: (lambda eta: -eta / (eta**2 + 2), 1e-3, 0.1),
    2: (lambda eta: (eta + 0.004) ** 5 - 2 * (eta + 0.004) ** 4, 0.0999, 0.1),
    3: (ripples, 0.0999, 0.1),
    4: (yanai(1e-3, 1e-3), 0.000999, 1e-3),
    5: (yanai(0.01, 1e-3), 0.000999, 1e-3),
    6: (yanai(1e-3, 0.01), 0.000999, 1e-3),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("number", FUNCTIONS)
def test_more_and_thuente(number):
    """All but two of 24, whatever the setting.

    On function 3, from step widths far left of the valley, each wave all but ends in a stationary point. The
    paper's rule seeks the smallest one, so phase one goes on to where each cubic has it, a little further
    each time, and the evaluations are gone within the waves.
    """
    phi, rho, sigma = FUNCTIONS[number]
    along = jax.value_and_grad(phi)
    start, slope = along(jnp.zeros(()))
    for options in ({}, FAST, {"rho": rho, "sigma": sigma}):
        search = partial(two_phase, along, keep_trace=False, **options)
        searches = jax.jit(jax.vmap(lambda first, search=search: search(initial=first)))
        found_all = searches(jnp.asarray(FIRST))
        for at, first in enumerate(FIRST):
            found = jax.tree.map(itemgetter(at), found_all)
            assert found.step_size > 0 and found.phi < start
            lost = number == 3 and first < 1
            assert bool(found.accepted) is not lost, (options, first)
            if not lost:
                assert abs(float(found.dphi)) <= options.get("sigma", 0.05) * abs(float(slope))
                # With epsilon a slope between (2 rho - 1) phi'(0) and its curvature bound is as good.
                least = 0.0 if "epsilon" in options else options.get("rho", 0.0)
                assert found.phi <= start + least * found.step_size * slope
