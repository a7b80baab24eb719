"""Test functions in any number of dimensions: few lines, thousands of parameters.

Each function is a factory, as in `valleys`; `n` is the number of parameters. Residuals f_i, start
x0 and minimum f are those of More, Garbow and Hillstrom 1981; the error is the sum of f_i^2. All
are array expressions, so n changes the time they take, not the time they take to compile.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.problems.analytic import MGH, check_dimension, choose_start, from_function, least_squares
from gdlab.records import Problem

_CHEBYQUAD_MINIMA = dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 9), 0.0) | {
    8: 3.51687372567793e-3,
    10: 6.50395480088231e-3,
}
_PENALTY_2_MINIMA = {4: 9.376293007355e-6, 10: 2.936605374567e-4}


def rosenbrock(n: int = 2, *, start=None) -> Problem:
    """Rosenbrock's valley, 100 (x2 - x1^2)^2 + (1 - x1)^2; x0 = (-1.2, 1), f = 0 at (1, 1).

    For n > 2 (even) the extended function: the sum over the pairs (x1, x2), (x3, x4), ...
    """
    check_dimension("rosenbrock", n, least=2, multiple=2)

    def fn(x):
        x1, x2 = x[0::2], x[1::2]
        return jnp.sum(100 * (x2 - x1**2) ** 2 + (1 - x1) ** 2)

    return from_function(
        fn,
        choose_start("rosenbrock", start, np.tile([-1.2, 1.0], n // 2)),
        optimum=0.0,
        optimal_params=np.ones(n),
        source=f"Rosenbrock 1960; {MGH}, problems 1 and 21",
    )


def powell_singular(n: int = 4, *, start=None) -> Problem:
    """Powell singular: x0 = (3, -1, 0, 1), f = 0 at 0, where the Hessian is singular.

    For n > 4 (a multiple of 4) the extended function: the sum over groups of four.
    """
    check_dimension("powell_singular", n, least=4, multiple=4)

    def residuals(x):
        a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
        return jnp.concatenate([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])

    return least_squares(
        residuals,
        choose_start("powell_singular", start, np.tile([3.0, -1.0, 0.0, 1.0], n // 4)),
        optimum=0.0,
        optimal_params=np.zeros(n),
        source=f"Powell 1962; {MGH}, problems 13 and 22",
    )


def penalty_1(n: int = 4, *, start=None) -> Problem:
    """Penalty function I, a = 1e-5: x0 = (1, 2, ..., n); f = 2.24997...e-5 for n = 4.

    Also f = 7.08765...e-5 for n = 10. Every n has its minimum here: a gradient of zero makes all x_j
    equal to the largest root of 4 n x^3 + (2a - 1) x - 2a.
    """
    check_dimension("penalty_1", n)
    a = 1e-5
    root = max(np.roots([4.0 * n, 0.0, 2 * a - 1, -2 * a]).real)

    def residuals(x):
        return jnp.append(a**0.5 * (x - 1), jnp.sum(x**2) - 0.25)

    return least_squares(
        residuals,
        choose_start("penalty_1", start, np.arange(1.0, n + 1)),
        optimum=float(n * a * (root - 1) ** 2 + (n * root**2 - 0.25) ** 2),
        optimal_params=np.full(n, root),
        source=f"Gill, Murray, Pitfield 1972; {MGH}, problem 23",
    )


def penalty_2(n: int = 4, *, start=None) -> Problem:
    """Penalty function II, a = 1e-5: x0 = 1/2; f = 9.37629...e-6 for n = 4, 2.93660...e-4 for n = 10.

    No minimum is given for other n.
    """
    check_dimension("penalty_2", n, least=2)
    i = np.arange(2.0, n + 1)

    def residuals(x, y, weights, end):
        e = jnp.exp(x / 10)
        pairs, tail = e[1:] + e[:-1] - y, e[1:] - end
        ring = jnp.sum(weights * x**2, keepdims=True) - 1
        return jnp.concatenate([x[:1] - 0.2, 1e-5**0.5 * pairs, 1e-5**0.5 * tail, ring])

    return least_squares(
        residuals,
        choose_start("penalty_2", start, np.full(n, 0.5)),
        data=(np.exp(i / 10) + np.exp((i - 1) / 10), np.arange(float(n), 0, -1), np.exp(-0.1)),
        optimum=_PENALTY_2_MINIMA.get(n),
        source=f"Gill, Murray, Pitfield 1972; {MGH}, problem 24",
    )


def variably_dimensioned(n: int = 10, *, start=None) -> Problem:
    """Variably dimensioned: x0 = 1 - j/n, f = 0 at (1, ..., 1)."""
    check_dimension("variably_dimensioned", n)

    def residuals(x, j):
        total = jnp.sum(j * (x - 1))
        return jnp.concatenate([x - 1, jnp.stack([total, total**2])])

    return least_squares(
        residuals,
        choose_start("variably_dimensioned", start, 1 - np.arange(1, n + 1) / n),
        data=(np.arange(1.0, n + 1),),
        optimum=0.0,
        optimal_params=np.ones(n),
        source=f"{MGH}, problem 25",
    )


def trigonometric(n: int = 10, *, start=None) -> Problem:
    """Trigonometric: x0 = 1/n, f = 0, for one at the origin.

    For n = 10 the classical start leads most methods to the false minimum f = 2.79506...e-5.
    """
    check_dimension("trigonometric", n)

    def residuals(x, i):
        return n - jnp.sum(jnp.cos(x)) + i * (1 - jnp.cos(x)) - jnp.sin(x)

    return least_squares(
        residuals,
        choose_start("trigonometric", start, np.full(n, 1 / n)),
        data=(np.arange(1.0, n + 1),),
        optimum=0.0,
        optimal_params=np.zeros(n),
        source=f"Spedicato 1975; {MGH}, problem 26",
    )


def brown_almost_linear(n: int = 10, *, start=None) -> Problem:
    """Brown almost-linear: x0 = 1/2, f = 0 at (1, ..., 1); f = 1 at (0, ..., 0, n + 1)."""
    check_dimension("brown_almost_linear", n, least=2)

    def residuals(x):
        return jnp.append(x[:-1] + jnp.sum(x) - (n + 1), jnp.prod(x) - 1)

    return least_squares(
        residuals,
        choose_start("brown_almost_linear", start, np.full(n, 0.5)),
        optimum=0.0,
        optimal_params=np.ones(n),
        source=f"Brown 1969; {MGH}, problem 27",
    )


def discrete_boundary_value(n: int = 10, *, start=None) -> Problem:
    """Discrete boundary value problem: x0 = t (t - 1) at t = j / (n + 1), f = 0; easy."""
    check_dimension("discrete_boundary_value", n)
    h = 1 / (n + 1)
    t = np.arange(1, n + 1) * h

    def residuals(x, t):
        padded = jnp.pad(x, 1)
        return 2 * x - padded[:-2] - padded[2:] + h**2 * (x + t + 1) ** 3 / 2

    return least_squares(
        residuals,
        choose_start("discrete_boundary_value", start, t * (t - 1)),
        data=(t,),
        optimum=0.0,
        source=f"More, Cosnard 1979; {MGH}, problem 28",
    )


def discrete_integral_equation(n: int = 10, *, start=None) -> Problem:
    """Discrete integral equation: x0 = t (t - 1) at t = j / (n + 1), f = 0."""
    check_dimension("discrete_integral_equation", n)
    h = 1 / (n + 1)
    t = np.arange(1, n + 1) * h

    def residuals(x, t):
        cube = (x + t + 1) ** 3
        below = jnp.cumsum(t * cube)
        right = (1 - t) * cube
        above = jnp.sum(right) - jnp.cumsum(right)
        return x + h * ((1 - t) * below + t * above) / 2

    return least_squares(
        residuals,
        choose_start("discrete_integral_equation", start, t * (t - 1)),
        data=(t,),
        optimum=0.0,
        source=f"More, Cosnard 1979; {MGH}, problem 29",
    )


def broyden_tridiagonal(n: int = 10, *, start=None) -> Problem:
    """Broyden tridiagonal: x0 = -1, f = 0."""
    check_dimension("broyden_tridiagonal", n)

    def residuals(x):
        padded = jnp.pad(x, 1)
        return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1

    return least_squares(
        residuals,
        choose_start("broyden_tridiagonal", start, np.full(n, -1.0)),
        optimum=0.0,
        source=f"Broyden 1965; {MGH}, problem 30",
    )


def broyden_banded(n: int = 10, *, start=None) -> Problem:
    """Broyden banded: x0 = -1, f = 0; the band holds five parameters below the diagonal and one above."""
    check_dimension("broyden_banded", n)

    def residuals(x):
        q = jnp.pad(x * (1 + x), (5, 1))
        below = sum(q[shift : shift + n] for shift in range(5))
        return x * (2 + 5 * x**2) + 1 - below - q[6 : 6 + n]

    return least_squares(
        residuals,
        choose_start("broyden_banded", start, np.full(n, -1.0)),
        optimum=0.0,
        source=f"Broyden 1971; {MGH}, problem 31",
    )


def chebyquad(n: int = 8, *, start=None) -> Problem:
    """Chebyquad, m = n: x0 = j / (n + 1); f = 3.51687...e-3 for n = 8, 6.50395...e-3 for n = 10.

    f = 0 for n = 1 ... 7 and 9; no minimum is given for other n. The x are the abscissae of a
    quadrature on [0, 1] with equal weights: residual i compares its mean of the shifted Chebyshev
    polynomial T_i with the integral.
    """
    check_dimension("chebyquad", n)
    i = np.arange(1, n + 1)
    integrals = np.where(i % 2 == 0, -1 / np.maximum(i**2 - 1.0, 1.0), 0.0)

    def residuals(x, integrals):
        y = 2 * x - 1

        def recurrence(pair, _):
            before, now = pair
            return (now, 2 * y * now - before), jnp.mean(now)

        _, means = jax.lax.scan(recurrence, (jnp.ones_like(y), y), length=n)
        return means - integrals

    return least_squares(
        residuals,
        choose_start("chebyquad", start, i / (n + 1)),
        data=(integrals,),
        optimum=_CHEBYQUAD_MINIMA.get(n),
        source=f"Fletcher 1965; {MGH}, problem 35",
    )
