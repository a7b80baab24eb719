"""Test functions of few dimensions: curved valleys, bad scaling and false minima.

Each function is a factory: no argument gives the problem exactly as published, `start` another
place to begin. The residuals f_i, the start x0 and the minimum f are those of the cited paper; the
error is the sum of f_i^2. Minima that have no closed form are given here to all digits of float64,
the paper prints six.
"""

import jax.numpy as jnp
import numpy as np

from gdlab.problems.analytic import MGH, choose_start, from_function, least_squares
from gdlab.records import Problem


def freudenstein_roth(*, start=None) -> Problem:
    """Freudenstein and Roth: n = 2, x0 = (0.5, -2), f = 0 at (5, 4).

    The classical start leads most methods to the false minimum f = 48.9842... at (11.41..., -0.8968...).
    """

    def residuals(x):
        return jnp.stack(
            [
                -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1],
                -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1],
            ]
        )

    return least_squares(
        residuals,
        choose_start("freudenstein_roth", start, [0.5, -2.0]),
        optimum=0.0,
        optimal_params=[5.0, 4.0],
        source=f"Freudenstein, Roth 1963; {MGH}, problem 2",
    )


def powell_badly_scaled(*, start=None) -> Problem:
    """Powell badly scaled: n = 2, x0 = (0, 1), f = 0 at (1.098...e-5, 9.106...)."""

    def residuals(x):
        return jnp.stack([1e4 * x[0] * x[1] - 1, jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001])

    return least_squares(
        residuals,
        choose_start("powell_badly_scaled", start, [0.0, 1.0]),
        optimum=0.0,
        optimal_params=[1.0981593296997e-05, 9.1061467398665],
        source=f"Powell 1970; {MGH}, problem 3",
    )


def brown_badly_scaled(*, start=None) -> Problem:
    """Brown badly scaled: n = 2, x0 = (1, 1), f = 0 at (1e6, 2e-6)."""

    def residuals(x):
        return jnp.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])

    return least_squares(
        residuals,
        choose_start("brown_badly_scaled", start, [1.0, 1.0]),
        optimum=0.0,
        optimal_params=[1e6, 2e-6],
        source=f"Brown (unpublished); {MGH}, problem 4",
    )


def beale(*, start=None) -> Problem:
    """Beale: n = 2, x0 = (1, 1), f = 0 at (3, 0.5)."""

    def residuals(x, y):
        powers = jnp.stack([x[1], x[1] ** 2, x[1] ** 3])
        return y - x[0] * (1 - powers)

    return least_squares(
        residuals,
        choose_start("beale", start, [1.0, 1.0]),
        data=(np.array([1.5, 2.25, 2.625]),),
        optimum=0.0,
        optimal_params=[3.0, 0.5],
        source=f"Beale 1958; {MGH}, problem 5",
    )


def jennrich_sampson(*, start=None) -> Problem:
    """Jennrich and Sampson: n = 2, m = 10, x0 = (0.3, 0.4), f = 124.362... at x1 = x2 = 0.2578..."""

    def residuals(x, i):
        return 2 + 2 * i - (jnp.exp(i * x[0]) + jnp.exp(i * x[1]))

    return least_squares(
        residuals,
        choose_start("jennrich_sampson", start, [0.3, 0.4]),
        data=(np.arange(1.0, 11.0),),
        optimum=124.362182355615,
        optimal_params=[0.257825213670364, 0.257825213670364],
        source=f"Jennrich, Sampson 1968; {MGH}, problem 6",
    )


def helical_valley(*, start=None) -> Problem:
    """Helical valley: n = 3, x0 = (-1, 0, 0), f = 0 at (1, 0, 0).

    The angle is cut at x1 = 0, x2 < 0, as in the paper, so that the start lies far from the cut.
    """

    def residuals(x):
        right = jnp.arctan2(x[1], x[0])
        left = jnp.arctan2(-x[1], -x[0]) + jnp.pi
        turns = jnp.where(x[0] > 0, right, left) / (2 * jnp.pi)
        return jnp.stack([10 * (x[2] - 10 * turns), 10 * (jnp.hypot(x[0], x[1]) - 1), x[2]])

    return least_squares(
        residuals,
        choose_start("helical_valley", start, [-1.0, 0.0, 0.0]),
        optimum=0.0,
        optimal_params=[1.0, 0.0, 0.0],
        source=f"Fletcher, Powell 1963; {MGH}, problem 7",
    )


def wood(*, start=None) -> Problem:
    """Wood: n = 4, x0 = (-3, -1, -3, -1), f = 0 at (1, 1, 1, 1)."""

    def residuals(x):
        return jnp.stack(
            [
                10 * (x[1] - x[0] ** 2),
                1 - x[0],
                90**0.5 * (x[3] - x[2] ** 2),
                1 - x[2],
                10**0.5 * (x[1] + x[3] - 2),
                10**-0.5 * (x[1] - x[3]),
            ]
        )

    return least_squares(
        residuals,
        choose_start("wood", start, [-3.0, -1.0, -3.0, -1.0]),
        optimum=0.0,
        optimal_params=np.ones(4),
        source=f"Colville 1968; {MGH}, problem 14",
    )


def himmelblau(*, start=None) -> Problem:
    """Himmelblau: n = 2, four minima f = 0, one of them at (3, 2); x0 = (0, 0), near its maximum."""

    def fn(x):
        return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2

    return from_function(
        fn,
        choose_start("himmelblau", start, [0.0, 0.0]),
        optimum=0.0,
        optimal_params=[3.0, 2.0],
        source="Himmelblau 1972, Applied Nonlinear Programming, McGraw-Hill (start chosen here)",
    )
