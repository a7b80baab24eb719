"""An optax transformation that looks at itself: for loops that show neither gradients nor updates."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.recorder.observation import Observation, observe


class WatchState(NamedTuple):
    """State of `watch`. inner_state: of the transformation watched; seen: what its last update did."""

    inner_state: Any
    seen: Observation


def watch(
    optimizer: optax.GradientTransformation, *, clip: float | None = None, eps: float | None = None
) -> optax.GradientTransformationExtraArgs:
    """`optimizer`, with an Observation of its last update in its state.

    The updates are those of `optimizer` to the last bit. `Recorder.write(step, opt_state)` finds the
    observation wherever it lies in what it is given. The error is recorded where the loop hands it on
    (`optimizer.update(grads, state, params, value=loss)`), or by `recorder.write(step, opt_state,
    loss=loss)`.

    Args:
      optimizer: any optax transformation, or a chain; watch the whole chain, so that the updates are those
        that are added to the parameters.
      clip, eps: as of `observe`.
    """
    optimizer = optax.with_extra_args_support(optimizer)

    def observed(grads, updates, state, params, value):
        loss = jnp.float32(jnp.nan) if value is None else value
        return observe(
            loss=loss, params=params, grads=grads, updates=updates, opt_state=state, clip=clip, eps=eps
        )

    def init(params):
        state = optimizer.init(params)
        shape = jax.eval_shape(lambda p, s: observed(p, p, s, p, None), params, state)
        return WatchState(state, jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), shape))

    def update(updates, state, params=None, *, value=None, **extra):
        handed = extra if value is None else {**extra, "value": value}
        moved, inner = optimizer.update(updates, state.inner_state, params, **handed)
        if params is None:  # their norm is not known then, and the vector keeps its length
            params = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), updates)
        seen = observed(updates, moved, inner, params, value)
        return moved, WatchState(inner, seen)

    return optax.GradientTransformationExtraArgs(init, update)
