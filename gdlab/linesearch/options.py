"""Which options a line search takes, and where it starts."""

import difflib
import numbers

import jax
import jax.numpy as jnp

VERSIONS = (1, 2)
INITIAL = ("inverse_norm", "previous", "previous_length")


def check_options(sigma, rho, alpha, beta, gamma, max_evaluations, version, epsilon):
    """Refuse options outside their ranges, before anything runs.

    Values that are traced by JAX (a whole range of sigmas under vmap) cannot be looked at and pass.

    Raises:
      ValueError: names the option, its value and what is allowed.
    """
    curvature = _number(sigma)
    known = "" if curvature is None else f" (sigma={curvature:g})"
    rules = (
        ("sigma", sigma, "0 < sigma < 1", "", lambda v: 0 < v < 1),
        ("rho", rho, "0 <= rho < sigma", known, lambda v: v >= 0 and (curvature is None or v < curvature)),
        ("alpha", alpha, "0 < alpha < 1", "", lambda v: 0 < v < 1),
        ("beta", beta, "beta > 1", "", lambda v: 1 < v < float("inf")),
        ("gamma", gamma, "0 < gamma < 1/2", "", lambda v: 0 < v < 0.5),
        ("epsilon", epsilon, "0 <= epsilon < 1", "", lambda v: 0 <= v < 1),
    )
    for name, value, allowed, detail, holds in rules:
        number = _number(value)
        if number is None and not isinstance(value, jax.core.Tracer):
            raise ValueError(f"line search option {name}={value!r} is not a number; allowed: {allowed}")
        if number is not None and not holds(number):
            raise ValueError(
                f"line search option {name}={number:g} is out of range; allowed: {allowed}{detail}"
            )
    if (
        not isinstance(max_evaluations, numbers.Integral)
        or isinstance(max_evaluations, bool)
        or max_evaluations < 1
    ):
        raise ValueError(f"line search option max_evaluations={max_evaluations!r} must be an integer >= 1")
    if isinstance(version, bool) or version not in VERSIONS:
        raise ValueError(f"line search option version={version!r} is out of range; allowed: 1, 2")


def first_step(initial, slope, squared_norm, previous):
    """Step width of the first evaluation; see `two_phase` for the rules."""
    if not isinstance(initial, str):
        number = _number(initial)
        if number is not None and not 0 < number < float("inf"):
            raise ValueError(
                f"line search option initial={initial!r} must be > 0, or one of {', '.join(INITIAL)}"
            )
        if number is None and not isinstance(initial, jax.core.Tracer):
            raise ValueError(f"line search option initial={initial!r} is neither a number > 0 nor a name")
        return initial
    if initial not in INITIAL:
        near = difflib.get_close_matches(initial, INITIAL, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"line search option initial={initial!r} is unknown{hint}; allowed: a number > 0, "
            + ", ".join(INITIAL)
        )
    if squared_norm is None:
        raise ValueError(f"initial={initial!r} needs squared_norm=|d|^2; or give initial= a step width > 0")
    if initial == "previous_length":
        first = 1 / jnp.maximum(jnp.sqrt(squared_norm), 1)
    else:
        first = 1 / (1 + squared_norm)
    first = jnp.maximum(first, jnp.finfo(slope.dtype).tiny)
    if initial == "inverse_norm" or previous is None:
        return first
    step, slope_before, length_before = previous
    same_decrease, same_length = step * slope_before / slope, length_before / jnp.sqrt(squared_norm)
    wanted = same_decrease if initial == "previous" else same_length
    return jnp.where((step > 0) & jnp.isfinite(wanted) & (wanted > 0), wanted, first)


def _number(value):
    """A value that can be looked at now as a float; None where JAX is tracing it or it is no number."""
    scalar = isinstance(value, numbers.Real) or getattr(value, "ndim", None) == 0
    if not scalar or isinstance(value, bool | jax.core.Tracer):
        return None
    return float(value)
