"""Test functions that fit a curve to data: sums of exponentials, rational functions, a differential equation.

Each function is a factory, as in `valleys`: residuals f_i, start x0, data and minimum f are those of
More, Garbow and Hillstrom 1981; the error is the sum of f_i^2. Few of these fits are exact, so the
minimum is mostly a small positive number.
"""

import jax.numpy as jnp
import numpy as np

from gdlab.problems.analytic import MGH, check_dimension, choose_start, least_squares
from gdlab.records import Problem

_WATSON_MINIMA = {6: 2.28767005355231e-3, 9: 1.39976013809404e-6, 12: 4.72238110482e-10}


def bard(*, start=None) -> Problem:
    """Bard: n = 3, m = 15, x0 = (1, 1, 1), f = 8.21487...e-3.

    A second infimum, 17.4286..., lies at infinity: (0.8406..., -inf, -inf).
    """
    u = np.arange(1.0, 16.0)
    y = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]

    def residuals(x, y, u, v, w):
        return y - (x[0] + u / (v * x[1] + w * x[2]))

    return least_squares(
        residuals,
        choose_start("bard", start, [1.0, 1.0, 1.0]),
        data=(np.array(y), u, 16 - u, np.minimum(u, 16 - u)),
        optimum=8.21487730657897e-3,
        optimal_params=[0.08241055974979, 1.13303609202972, 2.34369517864254],
        source=f"Bard 1970; {MGH}, problem 8",
    )


def gaussian(*, start=None) -> Problem:
    """Gaussian: n = 3, m = 15, x0 = (0.4, 1, 0), f = 1.12793...e-8; nearly solved at its start."""
    half = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]

    def residuals(x, t, y):
        return x[0] * jnp.exp(-x[1] * (t - x[2]) ** 2 / 2) - y

    return least_squares(
        residuals,
        choose_start("gaussian", start, [0.4, 1.0, 0.0]),
        data=((8 - np.arange(1.0, 16.0)) / 2, np.array([*half, 0.3989, *half[::-1]])),
        optimum=1.12793276961911e-8,
        optimal_params=[0.398956137838757, 1.00001908448781, 0.0],
        source=f"{MGH}, problem 9",
    )


def meyer(*, start=None) -> Problem:
    """Meyer: n = 3, m = 16, x0 = (0.02, 4000, 250), f = 87.9458...; very badly scaled."""
    y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744]
    y += [8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]

    def residuals(x, t, y):
        return x[0] * jnp.exp(x[1] / (t + x[2])) - y

    return least_squares(
        residuals,
        choose_start("meyer", start, [0.02, 4000.0, 250.0]),
        data=(45 + 5 * np.arange(1.0, 17.0), np.array(y)),
        optimum=87.9458551706836,
        optimal_params=[5.60963647102802e-3, 6181.34634628638, 345.223634624137],
        source=f"Meyer 1970; {MGH}, problem 10",
    )


def box_3d(*, start=None) -> Problem:
    """Box three-dimensional: n = 3, m = 10, x0 = (0, 10, 20), f = 0 at (1, 10, 1).

    Also f = 0 at (10, 1, -1) and wherever x1 = x2 and x3 = 0.
    """

    def residuals(x, t):
        return jnp.exp(-t * x[0]) - jnp.exp(-t * x[1]) - x[2] * (jnp.exp(-t) - jnp.exp(-10 * t))

    return least_squares(
        residuals,
        choose_start("box_3d", start, [0.0, 10.0, 20.0]),
        data=(0.1 * np.arange(1.0, 11.0),),
        optimum=0.0,
        optimal_params=[1.0, 10.0, 1.0],
        source=f"Box 1966; {MGH}, problem 12",
    )


def kowalik_osborne(*, start=None) -> Problem:
    """Kowalik and Osborne: n = 4, m = 11, x0 = (0.25, 0.39, 0.415, 0.39), f = 3.07505...e-4.

    A second infimum, 1.02734...e-3, lies at infinity: (inf, -14.07..., -inf, -inf).
    """
    y = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
    u = [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]

    def residuals(x, y, u):
        return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])

    return least_squares(
        residuals,
        choose_start("kowalik_osborne", start, [0.25, 0.39, 0.415, 0.39]),
        data=(np.array(y), np.array(u)),
        optimum=3.07505603849237e-4,
        optimal_params=[0.1928069346, 0.1912823287, 0.1230565069, 0.1360623308],
        source=f"Kowalik, Osborne 1968; {MGH}, problem 15",
    )


def brown_dennis(*, start=None) -> Problem:
    """Brown and Dennis: n = 4, m = 20, x0 = (25, 5, -5, -1), f = 85822.2..."""

    def residuals(x, t):
        line = x[0] + t * x[1] - jnp.exp(t)
        wave = x[2] + x[3] * jnp.sin(t) - jnp.cos(t)
        return line**2 + wave**2

    return least_squares(
        residuals,
        choose_start("brown_dennis", start, [25.0, 5.0, -5.0, -1.0]),
        data=(np.arange(1.0, 21.0) / 5,),
        optimum=85822.2016263563,
        optimal_params=[-11.5944399047622, 13.2036300512072, -0.403439488176859, 0.236778774455736],
        source=f"Brown, Dennis 1971; {MGH}, problem 16",
    )


def osborne_1(*, start=None) -> Problem:
    """Osborne 1: n = 5, m = 33, x0 = (0.5, 1.5, -1, 0.01, 0.02), f = 5.46489...e-5."""
    y = [0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751]
    y += [0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490]
    y += [0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406]

    def residuals(x, t, y):
        return y - (x[0] + x[1] * jnp.exp(-t * x[3]) + x[2] * jnp.exp(-t * x[4]))

    return least_squares(
        residuals,
        choose_start("osborne_1", start, [0.5, 1.5, -1.0, 0.01, 0.02]),
        data=(10 * np.arange(33.0), np.array(y)),
        optimum=5.46489469748293e-5,
        optimal_params=[0.37541005217, 1.93584690832, -1.46468714426, 0.01286753466, 0.02212269963],
        source=f"Osborne 1972; {MGH}, problem 17",
    )


def biggs_exp6(*, start=None) -> Problem:
    """Biggs EXP6: n = 6, m = 13, x0 = (1, 2, 1, 1, 1, 1), f = 0 at (1, 10, 1, 5, 4, 3).

    The classical start leads most methods to the false minimum f = 5.65565...e-3.
    """
    t = 0.1 * np.arange(1.0, 14.0)

    def residuals(x, t, y):
        return x[2] * jnp.exp(-t * x[0]) - x[3] * jnp.exp(-t * x[1]) + x[5] * jnp.exp(-t * x[4]) - y

    return least_squares(
        residuals,
        choose_start("biggs_exp6", start, [1.0, 2.0, 1.0, 1.0, 1.0, 1.0]),
        data=(t, np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)),
        optimum=0.0,
        optimal_params=[1.0, 10.0, 1.0, 5.0, 4.0, 3.0],
        source=f"Biggs 1971; {MGH}, problem 18",
    )


def watson(n: int = 6, *, start=None) -> Problem:
    """Watson: n = 2 ... 31, m = 31, x0 = 0; f = 2.28767...e-3 for n = 6.

    Also f = 1.39976...e-6 for n = 9 and 4.72238...e-10 for n = 12; no minimum is given for other n.
    """
    check_dimension("watson", n, least=2, most=31)
    j, t = np.arange(n), np.arange(1, 30)[:, None] / 29
    value = t**j
    slope = j * t ** np.maximum(j - 1, 0)

    def residuals(x, slope, value):
        body = slope @ x - (value @ x) ** 2 - 1
        return jnp.concatenate([body, x[:1], x[1:2] - x[:1] ** 2 - 1])

    return least_squares(
        residuals,
        choose_start("watson", start, np.zeros(n)),
        data=(slope, value),
        optimum=_WATSON_MINIMA.get(n),
        source=f"Kowalik, Osborne 1968; {MGH}, problem 20",
    )
