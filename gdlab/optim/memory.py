"""The inverse Hessian as the last differences of parameters and gradients know it.

The pairs are kept by `optax.scale_by_lbfgs`; here they multiply any vector, from any matrix to begin with. A
pair whose weight is 0 is none: to forget costs no pass over the memory.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gdlab.optim.searching import dot


def emptied(memory: Any, where: Any = True) -> Any:
    """The memory, an optax.ScaleByLBFGSState; `where` () holds, one that has heard of no point."""
    return memory._replace(
        count=jnp.where(where, 0, memory.count),
        weights_memory=jnp.where(where, 0, memory.weights_memory),
    )


def begun(memory: Any, where: Any) -> Any:
    """The memory; `where` () holds, one that has heard of its last point alone."""
    at = _newest(memory)

    def cleared(leaf):  # 0 times what is not finite would be no number
        return leaf.at[at].set(jnp.where(where, 0, leaf[at]))

    return memory._replace(
        count=jnp.where(where, 1, memory.count),
        diff_params_memory=jax.tree.map(cleared, memory.diff_params_memory),
        diff_updates_memory=jax.tree.map(cleared, memory.diff_updates_memory),
        weights_memory=jnp.where(where, 0, memory.weights_memory),
    )


def remembered(memory: Any, grads: Any, params: Any) -> Any:
    """The memory with the pair that leads to `params`, where the gradient is `grads`, in place of its oldest.

    The first point that it hears of makes no pair.
    """
    keep = optax.scale_by_lbfgs(len(memory.weights_memory))
    return keep.update(grads, memory, params)[1]


def newest_scale(memory: Any, dtype: Any) -> Any:
    """s . y / y . y () of the newest pair, the size of the inverse Hessian along y; 1 without a pair."""
    s, y = _pair(memory, _newest(memory))
    length = dot(y, y, dtype)
    return jnp.where(length > 0, dot(s, y, dtype) / length, 1)


def multiplied(memory: Any, vector: Any, begin: Callable, dtype: Any) -> Any:
    """P v, with P the update of a matrix by the pairs of `memory`, the oldest first.

    vector: a pytree like the parameters; begin: v -> the product with the matrix to begin with; sums in
    `dtype`. Source: Nocedal and Wright 2006, algorithm 7.4.
    """
    weights, size = memory.weights_memory.astype(dtype), len(memory.weights_memory)
    order = (memory.count - 1 + jnp.arange(size)) % size

    def back(v, at):
        s, y = _pair(memory, at)
        share = weights[at] * dot(s, v, dtype)
        return _plus(v, -share, y), share

    def forth(v, step):
        at, share = step
        s, y = _pair(memory, at)
        return _plus(v, share - weights[at] * dot(y, v, dtype), s), None

    inner, shares = jax.lax.scan(back, vector, order, reverse=True)
    return jax.lax.scan(forth, begin(inner), (order, shares))[0]


def _newest(memory):
    """The place of the newest pair."""
    return (memory.count - 2) % len(memory.weights_memory)


def _pair(memory, at):
    """(s, y) of the place `at`."""
    kept = memory.diff_params_memory, memory.diff_updates_memory
    return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, at, keepdims=False), kept)


def _plus(v, factor, w):
    return jax.tree.map(lambda x, y: x + factor.astype(x.dtype) * y, v, w)
