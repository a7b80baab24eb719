"""An analytic problem is a formula and a point to start from.

Test functions are the wind tunnel of optimization: no data, no network, a minimum that is known
in advance. This file turns a plain function of an array into a `Problem`; the functions the
literature agrees on are in `valleys`, `curve_fitting` and `any_dimension`.

Formulas see a floating-point array and must return its dtype, so that one formula serves float32
and float64: constants are handed over as `data` and arrive in the dtype of the parameters.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.records import Problem

MGH = "More, Garbow, Hillstrom 1981, Testing Unconstrained Optimization Software, ACM TOMS 7(1), 17-41"


def from_function(
    fn: Callable,
    start,
    *,
    optimum: float | None = None,
    optimal_params=None,
    source: str | None = None,
) -> Problem:
    """Makes a problem of `fn(params) -> ()`, a scalar function of an array or of a pytree.

    start           numbers (any shape), a dict of such, or a function (key) -> params
    optimum         the known minimum of `fn`; None where it is not known
    optimal_params  a minimiser, shaped like `start`

    `init` gives `start` in JAX's default float (float64 where x64 is on) and needs its key only
    where `start` is a function. Raises ValueError where `start` is not finite numbers.

    >>> bowl = from_function(lambda x: (x**2).sum(), [3.0, 4.0], optimum=0.0)
    >>> float(bowl.loss(bowl.init(None)))
    25.0
    """
    values = None if callable(start) else _numbers(start)

    def init(key=None):
        return start(key) if values is None else jax.tree.map(lambda leaf: jnp.asarray(leaf, float), values)

    def loss(params, batch=None, *, key=None):
        return fn(params)

    minimiser = None if optimal_params is None else _numbers(optimal_params)
    return Problem(init, loss, optimum=optimum, optimal_params=minimiser, source=source)


def least_squares(
    residuals: Callable,
    start: Sequence[float] | np.ndarray,
    *,
    data: Sequence[np.ndarray] = (),
    optimum: float | None = None,
    optimal_params=None,
    source: str | None = None,
) -> Problem:
    """Makes a problem of the sum of squares of `residuals(theta[n], *data) -> [m]`.

    Each array of `data` reaches `residuals` in the dtype of theta. The rest is `from_function`'s.
    """

    def fn(theta):
        r = residuals(theta, *(jnp.asarray(array, theta.dtype) for array in data))
        return jnp.sum(r * r)

    return from_function(fn, start, optimum=optimum, optimal_params=optimal_params, source=source)


def choose_start(name: str, start, classical) -> np.ndarray:
    """The user's start point [n] where one is given, else the classical one; float64.

    Raises ValueError where it does not have the n numbers of the classical one.
    """
    classical = np.asarray(classical, np.float64)
    if start is None:
        return classical
    chosen = np.asarray(_numbers(list(start)), np.float64)
    if chosen.shape != classical.shape:
        raise ValueError(
            f"{name}: start has shape {chosen.shape}, but the problem has {classical.size} parameters; "
            f"the classical start is {classical.tolist()}"
        )
    return chosen


def check_dimension(name: str, n: int, *, least: int = 1, multiple: int = 1, most: int | None = None) -> int:
    """Returns n where the function `name` is defined in n dimensions; raises ValueError where not."""
    whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
    if whole and n >= least and n % multiple == 0 and (most is None or n <= most):
        return int(n)
    allowed = f"a whole number of at least {least}" + (f" and at most {most}" if most is not None else "")
    if multiple > 1:
        allowed += f", a multiple of {multiple}"
    nearest = max(least, round(n / multiple) * multiple) if whole else least
    nearest = nearest if most is None else min(nearest, most)
    raise ValueError(f"{name}: n = {n!r} is not allowed; it must be {allowed} (the nearest is {nearest})")


def _numbers(start):
    """`start` as float64 arrays, in its own structure where it is a mapping; finite or refused."""
    if isinstance(start, Mapping):
        return {name: _numbers(value) for name, value in start.items()}
    if np.iscomplexobj(start):
        raise ValueError("a point must be real numbers: give real and imaginary part as two of them")
    try:
        array = np.asarray(start, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"a point must be numbers, a dict of numbers or a function of a key, not {start!r}"
        ) from error
    if not np.isfinite(array).all():
        raise ValueError(f"a point must be finite numbers, not {array.tolist()}")
    return array
