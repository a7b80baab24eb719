"""L-BFGS with the two-phase line search, as an optax transformation.

theta_{k+1} = theta_k - eta_k P_k g_k, where P_k, an approximation of the inverse Hessian, is made of the
last m differences of parameters and gradients. The product is optax's; the search, its trace and what the
state tells are those of `gdlab.optim.conjugate_gradient`. The memory is emptied where its direction would not
lead downhill, after a failed search and at the start of each descent.

Source: Liu and Nocedal 1989; Nocedal and Wright 2006, algorithms 7.4 and 7.5.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.linesearch import two_phase
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

NAME = "lbfgs"
# The direction has its length from the memory: a step of 1 is tried first, and is nearly always accepted.
SEARCH = partial(two_phase, initial=1.0, sigma=0.9, rho=1e-4, beta=10.0, epsilon=1e-6)


class LbfgsState(NamedTuple):
    """State of `lbfgs`; scalars () unless said.

    memory        optax.ScaleByLBFGSState: its pairs diff_params_memory and diff_updates_memory, pytrees like
                  the parameters with a leading axis [m], weights_memory [m] = 1 / (s . y)
    direction     d_k = -P_k g_k, a pytree like the parameters
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
    memory_size: int = 10, line_search: Callable = SEARCH, *, has_aux: bool = False
) -> optax.GradientTransformationExtraArgs:
    """L-BFGS with a line search.

    Args:
      memory_size: m, how many pairs are kept, at least 1; memory of 2 m parameter vectors.
      line_search: `two_phase`, its options bound by `functools.partial`; the step of 1 should come first.
      has_aux: whether `value_fn` returns (error, anything).

    Returns:
      An optax.GradientTransformationExtraArgs with the `update` of `gdlab.optim.conjugate_gradient`.

    Raises:
      ValueError: as `gdlab.optim.conjugate_gradient`; a memory size below 1.
    """
    if isinstance(memory_size, bool) or not isinstance(memory_size, int) or memory_size < 1:
        raise ValueError(f"lbfgs: memory_size={memory_size!r}: allowed: a whole number, 1 or more")
    max_evaluations = rows_of_trace(NAME, line_search)
    preconditioner = optax.scale_by_lbfgs(memory_size)

    def init(params):
        check_parameters(NAME, params)
        return LbfgsState(memory=preconditioner.init(params), **unsearched(params, max_evaluations))

    def update(
        grads, state, params=None, *, value=None, grad=None, value_fn=None, new_descent=False, **extra
    ):
        if params is None or value is None or value_fn is None:
            raise ValueError("lbfgs needs update(grads, state, params, value=, grad=, value_fn=)")
        check_parameters(NAME, params)
        error = error_function(NAME, value_fn, extra, has_aux)
        gradient = grads if grad is None else grad
        dtype = state.value.dtype
        value = jnp.asarray(value, dtype)
        begins = state.fresh | new_descent
        course, memory = _course(preconditioner, grads, gradient, state.memory, params, begins, dtype)
        previous = (jnp.where(begins, 0, state.step_size), state.slope, jnp.zeros((), dtype))
        steepest = partial(steepest_descent, grads, gradient, dtype)
        step, fields = descended(
            line_search, course, error, params, value, gradient, steepest, previous, max_evaluations
        )
        return step, LbfgsState(memory=memory, **fields)

    return optax.GradientTransformationExtraArgs(init, update)


def _course(preconditioner, grads, gradient, memory, params, begins, dtype):
    """(Course of an iteration, the memory after it)."""
    empty = preconditioner.init(params)
    memory = _select(begins, empty, memory)
    product, after = preconditioner.update(grads, memory, params)
    direction = jax.tree.map(lambda d, p: -d.astype(p.dtype), product, params)
    slope = dot(gradient, direction, dtype)
    uphill = ~(slope < 0)
    # Without its pairs the first direction is the gradient, not longer than 1.
    steepest, steepest_slope = steepest_descent(grads, gradient, dtype)
    shorter = jnp.minimum(1, 1 / jnp.asarray(optax.tree.norm(steepest), dtype))
    lowest, lowest_slope = scaled(shorter, steepest), shorter * steepest_slope
    emptied = preconditioner.update(grads, empty, params)[1]
    direction = _select(uphill, lowest, direction)
    return (
        Course(direction, jnp.where(uphill, lowest_slope, slope), ~begins & uphill, begins | uphill),
        _select(uphill, emptied, after),
    )


def _select(condition, x, y):
    return jax.tree.map(lambda u, v: jnp.where(condition, u, v), x, y)
