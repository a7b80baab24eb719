"""Refuses an option outside its range before anything is compiled."""

import difflib
import inspect
import numbers

import jax
import numpy as np

_MOST = 1 << 31  # iterations and calls are counted in 32 bits


def require(what, value, allowed, holds):
    """Raise ValueError naming `what`, its value and what is `allowed` unless `holds(value)`.

    Values that are not plain numbers (arrays traced by JAX) cannot be looked at and pass.
    """
    if isinstance(value, bool | str) or value is None or callable(value):
        raise ValueError(f"{what}={value!r} is not a number; allowed: {allowed}")
    if isinstance(value, numbers.Real) and not holds(value):
        raise ValueError(f"{what}={value:g} is out of range; allowed: {allowed}")


def refuse_others(name, function, others, meant):
    """Raise TypeError where a call has `others` than the options of `function`, with the one that was meant:
    that of `meant`, {other: option}, or the nearest."""
    allowed = [
        key for key, one in inspect.signature(function).parameters.items() if one.kind == one.KEYWORD_ONLY
    ]
    for other in others:
        near = [meant[other]] if other in meant else difflib.get_close_matches(other, allowed, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise TypeError(f"{name} has no option '{other}'; allowed: {', '.join(allowed)}.{hint}")


def check_asked(methods, method, numbers, max_evaluations, max_iterations, args, callback):
    """Raise ValueError for what `minimize` cannot do; methods: {name: what makes its optimizer}."""
    if isinstance(method, str) and method not in methods:
        raise ValueError(
            f"method={method!r}: allowed: {', '.join(methods)}, or an optax transformation such as "
            "optax.adam(1e-3)"
        )
    if not isinstance(method, str) and not hasattr(method, "update"):
        raise ValueError(
            f"method={method!r} is a {type(method).__name__}, not an optax transformation; allowed: "
            f"{', '.join(methods)}, or one"
        )
    counts = (("max_evaluations", max_evaluations, 1), ("max_iterations", max_iterations, 0))
    for name, value, least in counts:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not least <= value < _MOST:
            raise ValueError(f"{name}={value!r}: allowed: a whole number, {least} to {_MOST - 1:,}")
    for name, value in numbers.items():
        if isinstance(value, bool | str) or value is None or np.ndim(value):
            raise ValueError(f"{name}={value!r}: allowed: a number")
    tol = numbers["tol"]
    if not isinstance(tol, jax.core.Tracer) and not 0 <= float(tol) < np.inf:
        raise ValueError(f"tol={tol!r}: allowed: a number >= 0")
    target = numbers["target"]
    if not isinstance(target, jax.core.Tracer) and np.isnan(float(target)):
        raise ValueError(f"target={target!r}: allowed: a number, -inf for none")
    if callback is not None and not callable(callback):
        raise ValueError(f"callback={callback!r}: allowed: a function (x, fun, nit), or None")
    if not isinstance(args, tuple):
        raise ValueError(f"args is a {type(args).__name__}: allowed: a tuple, args=(data,) for one argument")
