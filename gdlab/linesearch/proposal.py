"""The next step width of a line search: the minimum of an interpolant, kept within an allowed interval."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab.linesearch import hermite
from gdlab.records import BISECT, CUBIC, QUADRATIC


class Fit(NamedTuple):
    """A proposal, scalars (): the kind of interpolant (a code of `gdlab.records.KINDS`), its four
    coefficients in powers of u = (eta - a) / (b - a), its minimiser, the interval allowed; eta: the next
    step width."""

    kind: Any
    coefficients: tuple
    minimiser: Any
    lower: Any
    upper: Any
    eta: Any


def propose(a, b, current, start, shrinking, limits, noise, *, onward):
    """Next step width: the interpolant's minimiser, limited to the allowed interval.

    a, b: the anchors; current, start: (eta, phi, dphi) each; shrinking: whether in phase two; limits: (alpha,
    beta, gamma); noise: by how much values may differ by round-off, None where every digit counts; onward:
    phase one does not walk back where the slope falls (version 2).
    """
    alpha, beta, gamma = limits
    h = b.eta - a.eta
    coefficients, use_parabola = _interpolant(a, b, h, start, shrinking, noise)
    minimiser = a.eta + h * hermite.minimiser(*coefficients[1:])
    usable = jnp.isfinite(minimiser) & jnp.isfinite(b.phi) & jnp.isfinite(b.dphi)
    bisect = shrinking & ~usable
    nearest = alpha * current.eta
    if onward:
        nearest = jnp.where(current.dphi < 0, current.eta, nearest)
    lower = jnp.where(shrinking, a.eta + gamma * h, nearest)
    # Never infinitely far: a bracket must have a middle.
    farthest = jnp.minimum(beta * current.eta, jnp.finfo(h.dtype).max)
    upper = jnp.where(shrinking, b.eta - gamma * h, farthest)
    # Without a minimum ahead the function keeps falling: go as far as allowed.
    ahead = usable & (minimiser >= 0)
    if onward:
        ahead = ahead & (shrinking | (minimiser >= nearest))
    wanted = jnp.where(ahead, minimiser, jnp.where(bisect, a.eta + h / 2, upper))
    eta = jnp.clip(wanted, lower, upper)
    kind = jnp.where(bisect, BISECT, jnp.where(use_parabola, QUADRATIC, CUBIC))
    return Fit(kind, coefficients, minimiser, lower, upper, eta)


def _interpolant(a, b, h, start, shrinking, noise):
    """(coefficients of the polynomial between two points, whether it is a parabola)."""
    use_parabola = shrinking & (b.phi > (start.phi if noise is None else start.phi + noise))
    fits = zip(
        hermite.quadratic(h, a.phi, a.dphi, b.phi),
        hermite.cubic(h, a.phi, a.dphi, b.phi, b.dphi),
        strict=True,
    )
    coefficients = tuple(jnp.where(use_parabola, q, c) for q, c in fits)
    if noise is None:
        return coefficients, use_parabola
    # Values that differ by round-off alone tell nothing; the slopes still do.
    same = ~use_parabola & (jnp.abs(b.phi - a.phi) <= noise)
    by_slopes = hermite.quadratic_by_slopes(h, a.phi, a.dphi, b.dphi)
    coefficients = tuple(jnp.where(same, s, c) for s, c in zip(by_slopes, coefficients, strict=True))
    return coefficients, use_parabola | same
