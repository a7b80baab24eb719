"""A whole descent as one compiled program, for those who want the minimum and not the record."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.optim.nonlinear_cg import fast_conjugate_gradient
from gdlab.optim.search_state import TELLING_STATES
from gdlab.records import OK


class Descent(NamedTuple):
    """Where a descent ended: parameters, J and |g| there, iterations and evaluations spent, status code."""

    params: Any
    value: Any
    grad_norm: Any
    iterations: Any
    evaluations: Any
    status: Any


def minimize(
    value_fn: Callable,
    params: Any,
    *,
    optimizer: optax.GradientTransformationExtraArgs | None = None,
    steps: int = 1000,
    target: float = -jnp.inf,
    gradient_tolerance: float = 0.0,
) -> Descent:
    """Follow a line-search descent until it has arrived.

    Stops at `steps` iterations, at J <= target, at |g| <= gradient_tolerance, or when the line search
    can do no more. Call it under `jax.jit` to compile once for many starts, or `vmap` it over them.

    Args:
      value_fn: params -> (), the error function.
      params: start, any pytree.
      optimizer: one of `conjugate_gradient` or `lbfgs`; default: `fast_conjugate_gradient` without a trace.
      steps: at most this many iterations.
      target: error to stop at.
      gradient_tolerance: Euclidean norm of the gradient to stop at, >= 0.

    Raises:
      ValueError: an optimizer without such a line search.

    Returns:
      A Descent. `evaluations` counts (value, slope) calls, the one at the start included.
    """
    optimizer = optimizer or fast_conjugate_gradient(keep_trace=False)
    value, grad = jax.value_and_grad(value_fn)(params)
    state = optimizer.init(params)
    if not isinstance(state, TELLING_STATES):
        raise ValueError(
            f"minimize: the optimizer has a {type(state).__name__} and no line search, whose end would end "
            "the descent; allowed: gdlab.optim.conjugate_gradient, fast_conjugate_gradient, lbfgs"
        )

    def going(carry):
        _, state, value, grad, step, _ = carry
        arrived = (value <= target) | (optax.tree.norm(grad) <= gradient_tolerance)
        return (step < steps) & ~arrived & (state.status == OK)

    def iterate(carry):
        params, state, value, grad, step, evaluations = carry
        updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=value_fn)
        params = optax.apply_updates(params, updates)
        return params, state, state.value, state.grad, step + 1, evaluations + state.evaluations

    start = (params, state, jnp.asarray(value, state.value.dtype), grad, jnp.int32(0), jnp.int32(1))
    params, state, value, grad, step, evaluations = jax.lax.while_loop(going, iterate, start)
    return Descent(params, value, optax.tree.norm(grad), step, evaluations, state.status)
