"""Resilient backpropagation: every parameter has a step size of its own, and only signs of slopes count.

A step size grows while the partial derivative keeps its sign and shrinks when it changes. The four
variants differ in what happens at a change of sign:

  rprop_plus    take the last step back, and do not adapt in the next iteration (weight-backtracking)
  rprop_minus   nothing more
  irprop_plus   take the last step back only where the error has risen
  irprop_minus  do not move in this iteration

Source: Riedmiller and Braun 1993, Riedmiller 1994; Igel and Huesken 2003 (Algorithms 1 to 4, names as there).
`optax.rprop` hands out each step one iteration late (its first step is zero), so it is not used here.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.optim.checks import require


class ResilientState(NamedTuple):
    """step_sizes, last_grad, last_updates: pytrees like the parameters; last_value () the error before."""

    step_sizes: Any
    last_grad: Any
    last_updates: Any
    last_value: Any


def rprop_plus(learning_rate=0.01, shrink=0.5, grow=1.2, min_step_size=1e-6, max_step_size=50.0):
    """Rprop with weight-backtracking. Source: Igel and Huesken 2003, Algorithm 1.

    Args:
      learning_rate: first step size of every parameter, > 0.
      shrink, grow: factors of a step size after a change of sign and without, 0 < shrink < 1 < grow.
      min_step_size, max_step_size: what step sizes are kept within, 0 < min <= max.

    Returns:
      An optax.GradientTransformationExtraArgs.

    Raises:
      ValueError: an option outside its range.
    """
    return _resilient(learning_rate, shrink, grow, min_step_size, max_step_size, _take_back, forget=True)


def rprop_minus(learning_rate=0.01, shrink=0.5, grow=1.2, min_step_size=1e-6, max_step_size=50.0):
    """Rprop without weight-backtracking; options as `rprop_plus`. Igel and Huesken 2003, Algorithm 2."""
    return _resilient(learning_rate, shrink, grow, min_step_size, max_step_size, _go_on, forget=False)


def irprop_plus(learning_rate=0.01, shrink=0.5, grow=1.2, min_step_size=1e-6, max_step_size=50.0):
    """Improved Rprop with weight-backtracking; options as `rprop_plus`. Igel and Huesken 2003, Algorithm 3.

    Its `update` needs `value=`, the error at the parameters.
    """
    return _resilient(
        learning_rate, shrink, grow, min_step_size, max_step_size, _take_back_if_worse, forget=True
    )


def irprop_minus(learning_rate=0.01, shrink=0.5, grow=1.2, min_step_size=1e-6, max_step_size=50.0):
    """Improved Rprop without backtracking; options as `rprop_plus`. Igel and Huesken 2003, Algorithm 4."""
    return _resilient(learning_rate, shrink, grow, min_step_size, max_step_size, _stay, forget=True)


# What a parameter does at a change of sign: (its ordinary step, its last step, whether the error rose).


def _take_back(step, last, risen):
    del step, risen
    return -last


def _go_on(step, last, risen):
    del last, risen
    return step


def _take_back_if_worse(step, last, risen):
    del step
    return jnp.where(risen, -last, jnp.zeros_like(last))


def _stay(step, last, risen):
    del last, risen
    return jnp.zeros_like(step)


def _resilient(learning_rate, shrink, grow, min_step_size, max_step_size, at_change, forget):
    """`forget`: count the derivative after a change of sign as zero: the next iteration adapts nothing."""
    require("rprop option learning_rate", learning_rate, "learning_rate > 0", lambda v: v > 0)
    require("rprop option shrink", shrink, "0 < shrink < 1", lambda v: 0 < v < 1)
    require("rprop option grow", grow, "grow > 1", lambda v: v > 1)
    require("rprop option min_step_size", min_step_size, "0 < min_step_size <= max_step_size",
            lambda v: 0 < v <= max_step_size)  # fmt: skip

    def init(params):
        zeros = optax.tree.zeros_like(params)
        dtype = optax.tree.dtype(params, "promote")
        return ResilientState(
            optax.tree.full_like(params, learning_rate), zeros, zeros, jnp.full((), jnp.inf, dtype)
        )

    def update(grads, state, params=None, *, value=None, **extra):
        del params, extra
        if value is None and at_change is _take_back_if_worse:
            raise ValueError(
                "irprop_plus needs update(grads, state, params, value=): the error at the parameters"
            )
        value = state.last_value if value is None else jnp.asarray(value, state.last_value.dtype)
        risen = value > state.last_value

        def one(grad, size, last_grad, last):
            sign = grad * last_grad
            size = jnp.where(sign > 0, size * grow, jnp.where(sign < 0, size * shrink, size))
            size = jnp.clip(size, min_step_size, max_step_size).astype(grad.dtype)
            step = -jnp.sign(grad) * size
            moved = jnp.where(sign < 0, at_change(step, last, risen), step)
            return moved, size, jnp.where((sign < 0) & forget, jnp.zeros_like(grad), grad)

        rows = jax.tree.map(one, grads, state.step_sizes, state.last_grad, state.last_updates)
        updates, sizes, kept = jax.tree.transpose(
            jax.tree.structure(grads), jax.tree.structure((0, 0, 0)), rows
        )
        return updates, ResilientState(sizes, kept, updates, value)

    return optax.GradientTransformationExtraArgs(init, update)
