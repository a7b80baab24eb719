"""Polynomials through values and slopes at two step widths, and where they are smallest.

A fit between the anchors a and b is written in powers of u = (eta - a) / (b - a). With the bracket
scaled to [0, 1] every coefficient is of the size of the function's own differences, so nothing
over- or underflows in float32 however narrow the bracket gets.
"""

import jax.numpy as jnp


def cubic(h, phi_a, dphi_a, phi_b, dphi_b):
    """Cubic with pi(a) = phi_a, pi'(a) = dphi_a, pi(b) = phi_b, pi'(b) = dphi_b, where h = b - a.

    All arguments are scalars (or broadcast). Returns the coefficients (c0, c1, c2, c3) of powers
    of u. Source: Hermite interpolation, Becker et al. 2019, eqs. 10 and 11.
    """
    rise, start, end = phi_b - phi_a, h * dphi_a, h * dphi_b
    return phi_a, start, 3 * rise - 2 * start - end, start + end - 2 * rise


def quadratic(h, phi_a, dphi_a, phi_b):
    """Parabola with pi(a) = phi_a, pi'(a) = dphi_a, pi(b) = phi_b, as (c0, c1, c2, c3 = 0) of u.

    Source: Becker et al. 2019, Table 2.
    """
    start = h * dphi_a
    c2 = phi_b - phi_a - start
    return phi_a, start, c2, jnp.zeros_like(c2)


def quadratic_by_slopes(h, phi_a, dphi_a, dphi_b):
    """Parabola with pi(a) = phi_a, pi'(a) = dphi_a, pi'(b) = dphi_b, as (c0, c1, c2, c3 = 0) of u.

    Its minimum is where the secant through both slopes is 0.
    """
    c2 = h * (dphi_b - dphi_a) / 2
    return phi_a, h * dphi_a, c2, jnp.zeros_like(c2)


def minimiser(c1, c2, c3):
    """Where c1 u + c2 u^2 + c3 u^3 has its local minimum; NaN where it has none.

    The root of the derivative is taken in the form without cancellation: by the usual formula
    where c2 <= 0, by its reciprocal where c2 > 0 (which also serves parabolas, c3 = 0).
    """
    discriminant = c2 * c2 - 3 * c1 * c3
    root = jnp.sqrt(jnp.maximum(discriminant, 0))
    reciprocal = c2 > 0
    numerator = jnp.where(reciprocal, -c1, root - c2)
    denominator = jnp.where(reciprocal, c2 + root, 3 * c3)
    exists = (discriminant > 0) & (denominator != 0)
    u = numerator / jnp.where(exists, denominator, 1)
    return jnp.where(exists & jnp.isfinite(u), u, jnp.nan)


def evaluate(coefficients, u):
    """Value of the polynomial with `coefficients` [4] at u (any shape)."""
    c0, c1, c2, c3 = coefficients
    return c0 + u * (c1 + u * (c2 + u * c3))
