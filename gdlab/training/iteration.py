"""One iteration of any optax optimizer: with a line search, which keeps value and gradient, or without."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from gdlab.optim.search_state import TELLING_STATES, ends_with_search, search_state, with_search_state
from gdlab.records import DIVERGED, OK, StepInfo

# What gdlab's searches tell of an iteration by themselves: fields of their state and of a StepInfo.
_TOLD = ("slope", "step_size", "step_size_max", "restarted", "status", "evaluations", "line_search")


def has_search(opt_state):
    """Whether an optimizer's state is that of one with a line search, which keeps a value and a gradient."""
    return search_state(opt_state) is not None


def search_step(optimizer, value_fn, state, fresh, several_descents):
    """One iteration of an optimizer with a line search."""
    params, opt_state = state.params, state.opt_state
    loss, grads = stored = stored_value(opt_state)
    its_own = ends_with_search(opt_state)
    if several_descents or not its_own:
        # The values of the last accepted point hold as long as the batch stays the same.
        known = jnp.isfinite(loss) & ~fresh if its_own else jnp.bool_(False)
        loss, grads = jax.lax.cond(known, lambda: stored, lambda: _evaluate(value_fn, state, stored))
    tells = isinstance(search_state(opt_state), TELLING_STATES)
    # The searches of optax hand what they do not know on to the error function.
    begins = {"new_descent": fresh} if tells else {}
    updates, opt_state = optimizer.update(
        grads, opt_state, params, value=loss, grad=grads, value_fn=value_fn, **begins
    )
    found: Any = search_state(opt_state)
    if tells:
        told = {name: getattr(found, name) for name in _TOLD}
    else:
        # A step of 0 leaves the parameters as they are, though its direction be not finite.
        updates = jax.tree.map(lambda u: jnp.where(found.learning_rate == 0, 0, u), updates)
        told = _told_of_others(loss, optax.tree.vdot(grads, updates))
    after = optax.apply_updates(params, updates)
    info = StepInfo(
        loss=loss,
        loss_end=found.value if its_own else value_fn(after),
        grad_norm=optax.tree.norm(grads),
        update_norm=optax.tree.norm(updates),
        new_descent=fresh,
        **told,
    )
    return _moved(state, after, opt_state, info), info, updates, params


def plain_step(optimizer, value_fn, state, fresh, loss_end, reach):
    """One iteration of an optimizer without a line search: the step taken is the direction, eta = 1."""
    params = state.params
    loss, grads = jax.value_and_grad(value_fn)(params)
    updates, opt_state = optimizer.update(
        grads, state.opt_state, params, value=loss, grad=grads, value_fn=value_fn
    )
    update_norm = optax.tree.norm(updates)
    moved = _still_where_zero(params, optax.apply_updates(params, updates), update_norm)
    one = jnp.ones_like(loss)
    status = jnp.where(jnp.isfinite(loss) & jnp.isfinite(update_norm), OK, DIVERGED).astype(jnp.int32)
    info = StepInfo(
        loss=loss,
        loss_end=value_fn(moved) if loss_end else one * jnp.nan,
        grad_norm=optax.tree.norm(grads),
        update_norm=update_norm,
        slope=optax.tree.vdot(grads, updates).astype(loss.dtype),
        step_size=one,
        step_size_max=one * reach,
        restarted=jnp.bool_(False),
        new_descent=fresh,
        status=status,
        evaluations=jnp.int32(1),
        line_search=None,
    )
    return _moved(state, moved, opt_state, info), info, updates, params


def _still_where_zero(before, after, update_norm):
    """The parameters after a step; those before it where it is 0, as a learning rate may be, but for entries
    whose gradient is not finite: 0 times that is NaN."""

    def looked_at():
        pairs = list(zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))
        same = [a == b for a, b in pairs]
        zero = jnp.all(jnp.stack([jnp.all(s | jnp.isnan(b)) for s, (_, b) in zip(same, pairs, strict=True)]))
        zero &= jnp.any(jnp.stack([jnp.any(s) for s in same]))
        return jax.tree.map(lambda a, b: jnp.where(zero, a, b), before, after)

    return jax.lax.cond(jnp.isfinite(update_norm), lambda: after, looked_at)


def _moved(state, params, opt_state, info):
    """The TrainState after an iteration."""
    return state._replace(params=params, opt_state=opt_state, step=state.step + 1, ended=info.status)


def _told_of_others(loss, slope):
    """What is recorded of a line search of optax: its step as the direction, as without a search."""
    one = jnp.ones_like(loss)
    return {
        "slope": slope,
        "step_size": one,
        "step_size_max": one,
        "restarted": jnp.bool_(False),
        "status": jnp.where(jnp.isfinite(loss), OK, DIVERGED).astype(jnp.int32),
        "evaluations": jnp.int32(1),
        "line_search": None,
    }


def evaluated(state, value_fn):
    """The state with J and its gradient at its parameters, computed only where not yet known."""
    stored = stored_value(state.opt_state)
    value, grad = jax.lax.cond(
        jnp.isfinite(stored[0]), lambda: stored, lambda: _evaluate(value_fn, state, stored)
    )
    return state._replace(opt_state=with_search_state(state.opt_state, value=value, grad=grad))


def stored_value(opt_state):
    """(value, grad) that the state of a line search keeps, None for optimizers without one."""
    found = search_state(opt_state)
    return None if found is None else (found.value, found.grad)


def _evaluate(value_fn, state, like):
    value, grad = jax.value_and_grad(value_fn)(state.params)
    return value.astype(like[0].dtype), grad
