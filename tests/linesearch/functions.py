"""Random functions of one variable to search along: valleys with ripples, walls and poles.

    phi(x) = offset - s x + q x^2 / 2 + a (1 - cos(w x)) + e (exp(x / 4) - 1) - m log(1 - x / c)

Each is written twice, for JAX (which differentiates it itself) and for NumPy with its derivative by
hand. Beyond the pole c it is NaN; far out it overflows.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Ripple(NamedTuple):
    """Parameters; phi'(0) = e / 4 + m / c - s."""

    offset: float
    s: float
    q: float
    a: float
    w: float
    e: float
    m: float
    c: float


def with_jax(p):
    """eta -> (phi, phi') as gdlab's search takes it."""

    def phi(x):
        smooth = p.offset - p.s * x + p.q * x**2 / 2 + p.a * (1 - jnp.cos(p.w * x))
        return smooth + p.e * jnp.expm1(x / 4) - p.m * jnp.log1p(-x / p.c)

    return jax.value_and_grad(phi)


def with_numpy(p, x):
    """(phi(x), phi'(x))."""
    with np.errstate(all="ignore"):
        smooth = p.offset - p.s * x + p.q * x**2 / 2 + p.a * (1 - np.cos(p.w * x))
        value = smooth + p.e * np.expm1(x / 4) - p.m * np.log1p(-x / p.c)
        slope = -p.s + p.q * x + p.a * p.w * np.sin(p.w * x) + p.e / 4 * np.exp(x / 4) + p.m / (p.c - x)
    return value, slope


def rosenbrock_with_numpy(theta, direction, x):
    """(phi(x), phi'(x)) of Rosenbrock's function along a direction."""
    t1, t2 = theta + x * direction
    gradient = np.array([-400 * t1 * (t2 - t1**2) - 2 * (1 - t1), 200 * (t2 - t1**2)])
    return 100 * (t2 - t1**2) ** 2 + (1 - t1) ** 2, gradient @ direction


def random_ripple(rng):
    """A function that falls at 0; every other one without a pole, every third one without a valley."""
    downhill = 10.0 ** rng.uniform(-2, 2)
    m = rng.choice([0.0, 0.1])
    c = 10.0 ** rng.uniform(0, 2)
    e = rng.choice([0.0, 0.3])
    return Ripple(
        offset=rng.normal(),
        s=downhill + m / c + e / 4,
        q=rng.choice([0.0, 1.0, 1.0]) * downhill * 10.0 ** rng.uniform(-2, 3),
        a=rng.uniform(0, 1),
        w=rng.uniform(0, 4),
        e=e,
        m=m,
        c=c,
    )
