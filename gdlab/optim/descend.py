"""A whole descent as one compiled program, for those who want the minimum and not the record.

`minimize` has the habits of `scipy.optimize.minimize` and takes any pytree, any optax transformation, and
`jax.jit` and `jax.vmap` around it. It is compiled once for an error function and the shapes of its arguments.
"""

import types
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import io_callback

from gdlab.linesearch import two_phase
from gdlab.optim.limited_memory import CONJUGATE_SEARCH, SEARCH, lbfgs, limited_memory_conjugate_gradient
from gdlab.optim.nonlinear_cg import conjugate_gradient, fast_conjugate_gradient
from gdlab.optim.search_state import TELLING_STATES, ends_with_search, search_state
from gdlab.optim.searching import check_parameters
from gdlab.records import CONVERGED, OK

METHODS = {
    "cg": partial(fast_conjugate_gradient, keep_trace=False),
    "cg_paper": partial(conjugate_gradient, line_search=partial(two_phase, keep_trace=False)),
    "cg_limited_memory": partial(
        limited_memory_conjugate_gradient, line_search=partial(CONJUGATE_SEARCH, keep_trace=False)
    ),
    "lbfgs": partial(lbfgs, line_search=partial(SEARCH, keep_trace=False)),
}
GRADIENT, TARGET, EVALUATIONS, ITERATIONS, NO_MORE, NOT_FINITE, CALLBACK, GOING = range(8)
MESSAGES = (
    "the gradient is at most tol everywhere",
    "the error is at most target",
    "max_evaluations are spent",
    "max_iterations are made",
    "nothing lower is found along the descent direction: the digits of the error are exhausted, or its "
    "gradient is not its slope",
    "the error or its gradient is not finite",
    "the callback has stopped it",
    "still going",
)
MOST = 1 << 31  # iterations and calls are counted in 32 bits
PATIENCE = 50  # iterations without a lower error or a smaller gradient: only round-off moves it then


class Minimum(NamedTuple):
    """Where a descent ended; () each, or [B] behind `jax.vmap`, unless said.

    x            parameters, a pytree like the start
    fun, jac     the error there, and its gradient, a pytree like x
    nit, nfev    iterations made; (value, gradient) calls, the one at the start included
    status       why it ended, an index of `MESSAGES`: 0 and 1 are what was asked for
    history      {"fun", "grad_norm", "nfev"} [max_iterations + 1]: the error and |g| after so many
                 iterations, calls made until then; NaN and 0 behind the last. None without `history`
    aux          what `fun` handed out besides the error at x, None without `has_aux`
    """

    x: Any
    fun: Any
    jac: Any
    nit: Any
    nfev: Any
    status: Any
    history: dict[str, Any] | None
    aux: Any = None

    @property
    def success(self) -> Any:
        """Whether it ended where it was asked to: a small gradient, or a small error."""
        return (self.status == GRADIENT) | (self.status == TARGET)

    @property
    def message(self) -> str:
        """The status in words; of several descents, that of each. Outside of `jax.jit` alone."""
        codes = np.asarray(self.status)
        return MESSAGES[int(codes)] if codes.ndim == 0 else "; ".join(MESSAGES[int(c)] for c in codes.ravel())


class _Going(NamedTuple):
    x: Any
    opt_state: Any
    fun: Any
    jac: Any
    nit: Any
    nfev: Any
    status: Any
    lowest: Any
    smallest: Any
    stalled: Any
    history: Any


def minimize(
    fun: Callable,
    x0: Any,
    args: tuple = (),
    *,
    method: str | optax.GradientTransformation = "cg",
    tol: float = 1e-5,
    target: float = -np.inf,
    max_evaluations: int = 10_000,
    max_iterations: int = 1000,
    callback: Callable | None = None,
    has_aux: bool = False,
    history: bool = True,
) -> Minimum:
    """Follow a descent until it has arrived.

    Args:
      fun: (x, *args) -> (), the error; with `has_aux` -> ((), anything). The same function object is not
        compiled again, a new `lambda` is: what changes between calls belongs into `args`.
      x0: start, any pytree of real floating-point arrays.
      args: further arguments of `fun`, pytrees of arrays.
      method: "cg", `gdlab.fast_conjugate_gradient`; "cg_paper", the paper's conjugate gradients;
        "cg_limited_memory", `gdlab.optim.limited_memory_conjugate_gradient`; "lbfgs", `gdlab.optim.lbfgs`;
        or any optax transformation, as `optax.adam(1e-3)` or a chain. Where something stands behind a search
        and may change its step, each iteration needs one call more.
      tol: ends where every component of the gradient is at most so large, >= 0.
      target: ends where the error is at most so large.
      max_evaluations: no iteration is begun after so many calls of `fun`, at least 1; the last one may need
        more, a line search of gdlab 50 at most.
      max_iterations: at most so many iterations, at least 0.
      callback: (x, fun, nit) on the host, after every iteration; what is true, or StopIteration, ends the
        descent. Not under `jax.vmap`.
      has_aux: whether `fun` hands out something besides the error.
      history: keep error, gradient norm and calls of every iteration.

    Returns:
      A Minimum.

    Raises:
      ValueError: an option outside its range, an unknown method, parameters that are no real floating-point
        numbers, a `fun` that gives something else than an error.
    """
    _check(method, {"tol": tol, "target": target}, max_evaluations, max_iterations, args, callback)
    x0 = jax.tree.map(jnp.asarray, x0)
    if not jax.tree.leaves(x0):
        raise ValueError("x0 holds no array: there is nothing to minimise over")
    check_parameters("minimize", x0)
    if isinstance(fun, types.MethodType):  # two of one object are equal, whatever it has become meanwhile
        fun = partial(fun)
    limits = tuple(jnp.asarray(limit) for limit in (tol, target, max_evaluations))
    options = {"has_aux": has_aux, "iterations": max_iterations, "keep": history}
    return _minimize(fun, x0, tuple(args), limits, method, callback, **options)


@partial(jax.jit, static_argnums=(0, 4, 5), static_argnames=("has_aux", "iterations", "keep"))
def _minimize(fun, x0, args, limits, method, callback, *, has_aux, iterations, keep):
    optimizer = METHODS[method]() if isinstance(method, str) else method
    optimizer = optax.with_extra_args_support(optimizer)
    error = _error_of(fun, args, has_aux)

    def step(at):
        return _step(optimizer, error, limits, callback, iterations, at)

    value, jac = jax.value_and_grad(error)(x0)
    trail = None
    if keep:
        trail = jnp.full((2, iterations + 1), jnp.nan, value.dtype), jnp.zeros(iterations + 1, jnp.int32)
    norm = optax.tree.norm(jac)
    begun = _Going(
        x0, optimizer.init(x0), value, jac, jnp.int32(0), jnp.int32(1), jnp.int32(GOING), value, norm,
        jnp.int32(0), _noted(trail, 0, value, norm, 1),
    )  # fmt: skip
    begun = begun._replace(status=_judged(begun, limits, OK, iterations))
    end = jax.lax.while_loop(lambda at: at.status == GOING, step, begun)
    told = None
    if keep:
        told = {"fun": end.history[0][0], "grad_norm": end.history[0][1], "nfev": end.history[1]}
    aux = fun(end.x, *args)[1] if has_aux else None
    return Minimum(end.x, end.fun, end.jac, end.nit, end.nfev, end.status, told, aux)


def _error_of(fun, args, has_aux):
    """x -> the error alone; what `fun` gives instead of one real number is refused as it is traced."""

    def error(x):
        found = fun(x, *args)
        pair = isinstance(found, tuple) and len(found) == 2
        value = found[0] if has_aux and pair else found
        number = isinstance(value, float | np.floating | np.ndarray | jax.Array)
        if has_aux != pair or not number or not _is_real_number(value):
            kind = "one real number, shape ()" + (", and something besides, as a pair" if has_aux else "")
            hint = "" if has_aux or not pair else " (has_aux=True takes the first of two)"
            raise ValueError(f"minimize: fun returned {_named(found)}; allowed: {kind}{hint}")
        return value

    return error


def _is_real_number(value):
    return np.ndim(value) == 0 and jnp.issubdtype(jnp.result_type(value), jnp.floating)


def _named(found):
    if hasattr(found, "dtype"):
        return f"an array of shape {np.shape(found)} and type {found.dtype}"
    return "nothing" if found is None else f"a {type(found).__name__}"


def _step(optimizer, error, limits, callback, iterations, at):
    """One iteration on."""
    updates, opt_state = optimizer.update(
        at.jac, at.opt_state, at.x, value=at.fun, grad=at.jac, value_fn=error
    )
    x = optax.apply_updates(at.x, updates)
    found: Any = search_state(opt_state)
    own = isinstance(found, TELLING_STATES)
    calls, code = (found.evaluations, found.status) if own else (0, OK)
    if own and ends_with_search(opt_state):  # the search has evaluated where the step ends
        value, jac = found.value, found.grad
    else:
        (value, jac), calls = jax.value_and_grad(error)(x), calls + 1
    value = value.astype(at.fun.dtype)
    norm = optax.tree.norm(jac)
    better = (value < at.lowest) | (norm < at.smallest)
    moved = at._replace(
        x=x,
        opt_state=opt_state,
        fun=value,
        jac=jac,
        nit=at.nit + 1,
        nfev=at.nfev + calls,
        lowest=jnp.fmin(at.lowest, value),
        smallest=jnp.fmin(at.smallest, norm),
        stalled=jnp.where(better | jnp.bool_(not own), 0, at.stalled + 1),
        history=_noted(at.history, at.nit + 1, value, norm, at.nfev + calls),
    )
    status = _judged(moved, limits, code, iterations)
    if callback is not None:
        stop = io_callback(
            partial(_asked, callback), jax.ShapeDtypeStruct((), bool), x, value, moved.nit, ordered=True
        )
        status = jnp.where(stop & (status == GOING), CALLBACK, status)
    return moved._replace(status=status)


def _judged(at, limits, code, iterations):
    """The status after an iteration whose search ended with `code`."""
    tol, target, evaluations = limits
    largest = jnp.stack([jnp.max(jnp.abs(leaf), initial=0) for leaf in jax.tree.leaves(at.jac)]).max()
    finite = jnp.isfinite(at.fun) & jnp.isfinite(largest)
    rules = (
        (~finite, NOT_FINITE),
        (largest <= tol, GRADIENT),
        (at.fun <= target, TARGET),
        (code == CONVERGED, NO_MORE),
        (code != OK, NO_MORE),
        (at.stalled >= PATIENCE, NO_MORE),
        (at.nit >= iterations, ITERATIONS),
        (at.nfev >= evaluations, EVALUATIONS),
    )
    holds, codes = zip(*rules, strict=True)
    return jnp.select(list(holds), [jnp.int32(c) for c in codes], jnp.int32(GOING))


def _noted(history, at, value, norm, calls):
    if history is None:
        return None
    numbers, counts = history
    return numbers.at[:, at].set(jnp.stack([value, norm.astype(value.dtype)])), counts.at[at].set(calls)


def _asked(callback, x, value, nit):
    """Whether the callback wants to stop."""
    try:
        return np.asarray(bool(callback(x, float(value), int(nit))))
    except StopIteration:
        return np.asarray(True)


def _check(method, numbers, max_evaluations, max_iterations, args, callback):
    if isinstance(method, str) and method not in METHODS:
        raise ValueError(
            f"method={method!r}: allowed: {', '.join(METHODS)}, or an optax transformation such as "
            "optax.adam(1e-3)"
        )
    if not isinstance(method, str) and not hasattr(method, "update"):
        raise ValueError(
            f"method={method!r} is a {type(method).__name__}, not an optax transformation; allowed: "
            f"{', '.join(METHODS)}, or one"
        )
    counts = (("max_evaluations", max_evaluations, 1), ("max_iterations", max_iterations, 0))
    for name, value, least in counts:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not least <= value < MOST:
            raise ValueError(f"{name}={value!r}: allowed: a whole number, {least} to {MOST - 1:,}")
    for name, value in numbers.items():
        if isinstance(value, bool | str) or value is None or np.ndim(value):
            raise ValueError(f"{name}={value!r}: allowed: a number")
        least = 0 if name == "tol" else -np.inf
        if not isinstance(value, jax.core.Tracer) and not least <= float(value) < np.inf:
            raise ValueError(f"{name}={value!r}: allowed: a number >= {least}")
    if not (callback is None or callable(callback)):
        raise ValueError(f"callback={callback!r}: allowed: a function (x, fun, nit)")
    if not isinstance(args, tuple):
        raise ValueError(f"args is a {type(args).__name__}: allowed: a tuple, args=(data,) for one argument")
