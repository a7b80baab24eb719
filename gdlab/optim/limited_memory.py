"""L-BFGS and limited-memory conjugate gradients with the two-phase line search, as optax transformations.

Both know the curvature from the last m differences of parameters and gradients. L-BFGS goes along -P_k g_k,
with P_k made of all of them. Limited-memory conjugate gradients go along d_k = -P_{k-1} g_k + beta_k d_{k-1}:
the older differences precondition, and the newest one, which L-BFGS would put into P_k, is what the conjugate
direction is made of. With exact searches both are the same (Nazareth 1979); with inexact ones the last
direction is kept as far as the formula says, and not as the secant condition does.

The search, its trace and what the state tells are those of `gdlab.optim.conjugate_gradient`. The memory is
emptied where its direction would not lead downhill, after a failed search and at the start of each descent.

Source: Liu and Nocedal 1989; Nocedal and Wright 2006, algorithms 7.4 and 7.5; Buckley and LeNir 1983; the
preconditioned formula: Hager and Zhang 2013.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.linesearch import two_phase
from gdlab.optim import memory as pairs
from gdlab.optim.preconditioning import at, checked
from gdlab.optim.searching import (
    Course,
    check_parameters,
    descended,
    dot,
    error_function,
    rows_of_trace,
    scaled,
    steepest_descent,
    unsearched,
)
from gdlab.records import LineSearchTrace

# The direction has its length from the memory: a step of 1 is tried first, and is nearly always accepted.
SEARCH = partial(two_phase, initial=1.0, sigma=0.9, rho=1e-4, beta=10.0, epsilon=1e-6)
CONJUGATE_SEARCH = partial(SEARCH, sigma=0.6)
# beta_k is at least so large a share of d.g / |d|^2, in the metric of P: Hager and Zhang 2013.
LEAST = 0.4


class LbfgsState(NamedTuple):
    """State of `lbfgs` and `limited_memory_conjugate_gradient`; scalars () unless said.

    memory        optax.ScaleByLBFGSState: its pairs diff_params_memory and diff_updates_memory, pytrees like
                  the parameters with a leading axis [m], weights_memory [m] = 1 / (s . y), 0 where there is
                  no pair
    direction     d_k, a pytree like the parameters
    value, grad   J and its gradient at the new parameters, on the batch of this iteration
    fresh         True until the first step and after a failure: the next direction is of steepest descent
    step_size, step_size_max, slope, evaluations, restarted, status: of the last iteration
    line_search   LineSearchTrace of the last iteration, or None
    """

    memory: Any
    direction: Any
    value: Any
    grad: Any
    fresh: Any
    step_size: Any
    step_size_max: Any
    slope: Any
    evaluations: Any
    restarted: Any
    status: Any
    line_search: LineSearchTrace | None


def lbfgs(
    memory_size: int = 10,
    line_search: Callable = SEARCH,
    *,
    has_aux: bool = False,
    preconditioner: Callable | None = None,
) -> optax.GradientTransformationExtraArgs:
    """L-BFGS with a line search.

    Args:
      memory_size: m, how many pairs are kept, at least 1; memory of 2 m parameter vectors.
      line_search: `two_phase`, its options bound by `functools.partial`; the step of 1 should come first.
      has_aux: whether `value_fn` returns (error, anything).
      preconditioner: as of `gdlab.optim.conjugate_gradient`: the matrix that the pairs update, in place of
        the identity times s.y / |y|^2.

    Returns:
      An optax.GradientTransformationExtraArgs with the `update` of `gdlab.optim.conjugate_gradient`.

    Raises:
      ValueError: as `gdlab.optim.conjugate_gradient`; a memory size below 1.
    """
    return _with_memory("lbfgs", _quasi_newton, memory_size, line_search, has_aux, preconditioner)


def limited_memory_conjugate_gradient(
    memory_size: int = 10,
    line_search: Callable = CONJUGATE_SEARCH,
    *,
    has_aux: bool = False,
    preconditioner: Callable | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Conjugate gradients that are preconditioned by the last differences of parameters and gradients.

    d_k = -P g_k + beta_k d_{k-1}, where P is made of the m pairs before the newest one, y = g_k - g_{k-1} and
    beta_k = (y.P g_k - y.P y (d_{k-1}.g_k) / (d_{k-1}.y)) / d_{k-1}.y, bounded below as its authors do.

    Args:
      memory_size: m, how many pairs are kept, at least 1; memory of 2 m parameter vectors.
      line_search: `two_phase`, its options bound by `functools.partial`; the step of 1 should come first.
      has_aux: whether `value_fn` returns (error, anything).
      preconditioner: as of `gdlab.optim.conjugate_gradient`: the matrix that the pairs update, in place of
        the identity times s.y / |y|^2.

    Returns:
      An optax.GradientTransformationExtraArgs with the `update` of `gdlab.optim.conjugate_gradient`.

    Raises:
      ValueError: as `gdlab.optim.conjugate_gradient`; a memory size below 1.
    """
    name = "limited_memory_conjugate_gradient"
    return _with_memory(name, _conjugate, memory_size, line_search, has_aux, preconditioner)


def _with_memory(name, directed, memory_size, line_search, has_aux, preconditioner):
    """The transformation whose direction `directed` makes."""
    if isinstance(memory_size, bool) or not isinstance(memory_size, int) or memory_size < 1:
        raise ValueError(f"{name}: memory_size={memory_size!r}: allowed: a whole number, 1 or more")
    max_evaluations = rows_of_trace(name, line_search)
    multiply = checked(name, preconditioner)

    def init(params):
        check_parameters(name, params)
        empty = optax.scale_by_lbfgs(memory_size).init(params)
        return LbfgsState(memory=empty, **unsearched(params, max_evaluations))

    def update(
        grads, state, params=None, *, value=None, grad=None, value_fn=None, new_descent=False, **extra
    ):
        if params is None or value is None or value_fn is None:
            raise ValueError(f"{name} needs update(grads, state, params, value=, grad=, value_fn=)")
        check_parameters(name, params)
        error = error_function(name, value_fn, extra, has_aux)
        gradient = grads if grad is None else grad
        dtype = state.value.dtype
        value = jnp.asarray(value, dtype)
        begins = state.fresh | new_descent
        own = at(multiply, params)
        course, memory = _course(directed, grads, gradient, state, params, begins, own, dtype)
        previous = (jnp.where(begins, 0, state.step_size), state.slope, jnp.zeros((), dtype))
        steepest = partial(steepest_descent, grads if own is None else own(grads), gradient, dtype)
        step, fields = descended(
            line_search, course, error, params, value, gradient, steepest, previous, max_evaluations
        )
        return step, LbfgsState(memory=memory, **fields)

    return optax.GradientTransformationExtraArgs(init, update)


def _course(directed, grads, gradient, state, params, begins, own, dtype):
    """(Course of an iteration, the memory after it); own: the preconditioner, None without."""
    memory = pairs.emptied(state.memory, begins)
    product, after = directed(grads, state.direction, memory, params, own, dtype)
    direction = jax.tree.map(lambda d, p: -d.astype(p.dtype), product, params)
    slope = dot(gradient, direction, dtype)
    uphill = ~(slope < 0)
    # Without its pairs the first direction is the gradient, not longer than 1, or the preconditioned one.
    steepest, steepest_slope = steepest_descent(grads if own is None else own(grads), gradient, dtype)
    shorter = jnp.ones((), dtype)
    if own is None:
        shorter = jnp.minimum(1, 1 / jnp.asarray(optax.tree.norm(steepest), dtype))
    lowest, lowest_slope = scaled(shorter, steepest), shorter * steepest_slope
    direction = _select(uphill, lowest, direction)
    return (
        Course(direction, jnp.where(uphill, lowest_slope, slope), ~begins & uphill, begins | uphill),
        pairs.begun(after, uphill),
    )


def _quasi_newton(grads, last, memory, params, own, dtype):
    """(P g with P of all pairs, the memory with the newest one)."""
    del last
    if own is None:  # optax's own product, scaled by its newest pair
        size = len(memory.weights_memory)
        return optax.scale_by_lbfgs(size).update(grads, memory, params)
    after = pairs.remembered(memory, grads, params)
    return pairs.multiplied(after, grads, own, dtype), after


def _conjugate(grads, last, memory, params, own, dtype):
    """(P g - beta d_{k-1} with P of the pairs before the newest one, the memory with it)."""
    after = pairs.remembered(memory, grads, params)
    change = jax.tree.map(jnp.subtract, grads, memory.updates)
    along, ahead = dot(last, change, dtype), dot(last, grads, dtype)
    first = jnp.minimum(1, 1 / jnp.asarray(optax.tree.norm(grads), dtype))
    scale = jnp.where(memory.count > 0, pairs.newest_scale(after, dtype), first)
    begin = own or partial(scaled, scale)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), grads, change)
    product, other = _unstacked(jax.vmap(lambda v: pairs.multiplied(memory, v, begin, dtype))(both))
    factor = (dot(change, product, dtype) - dot(change, other, dtype) * ahead / along) / along
    factor = jnp.maximum(factor, LEAST * scale * ahead / dot(last, last, dtype))
    factor = jnp.where((memory.count > 0) & (along > 0) & jnp.isfinite(factor), factor, 0)
    return jax.tree.map(lambda p, d: p - factor.astype(p.dtype) * d, product, last), after


def _unstacked(both):
    return (jax.tree.map(lambda leaf, i=i: leaf[i], both) for i in range(2))


def _select(condition, x, y):
    return jax.tree.map(lambda u, v: jnp.where(condition, u, v), x, y)
