"""The training loop: many iterations as one compiled program that stops by itself.

A chunk runs up to `length` iterations of any optax optimizer and hands back what each of them did.
It is a while loop whose trip count is an argument, so the same executable serves whole chunks, remainders
and single iterations, in training, resume and replay: that is what makes their results equal to the last bit
(a loop whose trip count is known at compile time is unrolled where it is 1). No files, no clocks.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.optim.search_state import TELLING_STATES, ends_with_search, search_state, with_search_state
from gdlab.records import DIVERGED, IDLE, OK, StepInfo
from gdlab.training.devices import on_all, split

TERMS = "metric/"  # before the names of the arrays of what an error is made of
# What gdlab's searches tell of an iteration by themselves: fields of their state and of a StepInfo.
_TOLD = ("slope", "step_size", "step_size_max", "restarted", "status", "evaluations", "line_search")


class TrainState(NamedTuple):
    """Everything an iteration depends on besides data and key: parameters, optimizer state, counters.

    step    int32, k
    ended   int32 status code of the current descent, OK while it goes on
    """

    params: Any
    opt_state: Any
    step: Any
    ended: Any


class Steps(NamedTuple):
    """Inputs of a chunk, one row per iteration.

    index [T, b] int32 rows of the training data, or None for all of them; new_descent [T] bool;
    descent [T] int32 counts the descents (it also numbers the random keys).
    """

    index: Any
    new_descent: Any
    descent: Any


class Training(NamedTuple):
    """One training as three functions, made by `make_training`.

    init(key, data) -> TrainState
    chunk(state, data, key, steps, count) -> (TrainState, StepInfo [T], collected [T], done ())
        runs `count` <= T iterations, or fewer where the descent ends; rows from `done` on are zero.
    value(params, batch, key) -> (), the error function alone
    length: T
    """

    init: Any
    chunk: Any
    value: Any
    length: int


def make_training(
    problem, optimizer, *, length, several_descents=False, loss_end=True, reach=2.0, collect=None, mesh=None
):
    """Compile-ready training of `problem` by `optimizer`.

    Args:
      problem: a gdlab Problem.
      optimizer: any optax transformation. One with a line search (gdlab's conjugate gradients, those of
        optax; see `gdlab.optim.search_state`) reuses its value and gradient while the batch stays the same.
      length: T, the largest number of iterations of one chunk, at least 1.
      several_descents: whether batches change on the way; then a descent that ended idles until the
        next one begins, otherwise the chunk stops.
      loss_end: for optimizers without a line search, evaluate J(theta_{k+1}) on the batch of
        iteration k too (one forward evaluation more); NaN otherwise.
      reach: step_size_max of steps without a line search, in steps (SPEC A6).
      collect: (theta_k, theta_{k+1} - theta_k, theta_{k+1}) -> pytree, gathered per iteration; None: nothing.
      mesh: of devices that share each batch, see `gdlab.training.devices`; the data must lie on all of them.
    """
    iterate, ready = make_iteration(
        problem,
        optimizer,
        several_descents=several_descents,
        loss_end=loss_end,
        reach=reach,
        collect=collect,
        mesh=mesh,
    )

    def value(params, batch, key):
        return problem.loss(params, batch, key=key)

    def init(key, data):
        return start(problem, optimizer, key)

    def chunk(state, data, key, steps, count):
        def body(carry):
            state, infos, collected, at, _ = carry
            state, info, extra = iterate(state, data, key, steps, at)
            infos, collected = write((infos, collected), (info, extra), at)
            return state, infos, collected, at + 1, ends(info.status, several_descents)

        state = ready(state, data, key, steps)
        buffers = jax.eval_shape(iterate, state, data, key, steps, jnp.int32(0))[1:]
        infos, collected = jax.tree.map(lambda b: jnp.zeros((length, *b.shape), b.dtype), buffers)
        carry = (state, infos, collected, jnp.int32(0), jnp.bool_(False))
        state, infos, collected, done, _ = jax.lax.while_loop(lambda c: (c[3] < count) & ~c[4], body, carry)
        return state, infos, collected, done

    shared = {} if mesh is None else {"out_shardings": on_all(mesh)}
    return Training(jax.jit(init, **shared), jax.jit(chunk, **shared), jax.jit(value), length)


def start(problem, optimizer, key):
    """The TrainState before the first iteration."""
    params = problem.init(key)
    return TrainState(params, optimizer.init(params), jnp.int32(0), jnp.int32(OK))


def ends(status, several_descents):
    """Whether an iteration's status ends the whole training."""
    return (status == DIVERGED) | (~jnp.bool_(several_descents) & (status != OK))


def make_iteration(problem, optimizer, *, several_descents, loss_end, reach, collect=None, mesh=None):
    """What a chunk consists of, arguments as of `make_training`: (iterate, ready).

    iterate(state, data, key, steps, at) -> (TrainState, StepInfo (), collected): iteration `at` of `steps`,
    idle where its descent has ended; ready(state, data, key, steps) -> the state that a chunk begins with.
    """
    optimizer = optax.with_extra_args_support(optimizer)
    gather = collect or (lambda before, updates, after: None)

    def at_hand(function, state, data, key, steps, at):
        """`function` as of a Problem's loss, of the parameters alone: on the batch and the key of `at`."""
        batch = split(_batch(data, steps.index, at), mesh)
        number = steps.descent[at] if has_search(state.opt_state) else state.step
        step_key = None if key is None else jax.random.fold_in(key, number)
        return lambda params: function(params, batch, key=step_key)

    def one(state, data, key, steps, at):
        fresh = steps.new_descent[at]
        value_fn = at_hand(problem.loss, state, data, key, steps, at)
        if has_search(state.opt_state):
            return _search_step(optimizer, value_fn, state, fresh, several_descents)
        return _plain_step(optimizer, value_fn, state, fresh, loss_end, reach)

    def gathered(state, updates, after, *inputs):
        found = gather(state.params, updates, after)
        if problem.terms is None:
            return found
        terms = at_hand(problem.terms, state, *inputs)(state.params)
        return (found or {}) | {TERMS + name: value for name, value in terms.items()}

    def active(state, *inputs):
        moved, info, updates, _ = one(state, *inputs)
        return moved, info, gathered(state, updates, moved.params, *inputs)

    def idling(state, *inputs):
        still = jax.tree.map(jnp.zeros_like, state.params)
        return *_idle(state, one, *inputs), gathered(state, still, state.params, *inputs)

    def iterate(state, data, key, steps, at):
        inputs = (data, key, steps, at)
        if not (has_search(state.opt_state) and several_descents):
            return active(state, *inputs)
        idle = (state.ended != OK) & ~steps.new_descent[at]
        moved, *told = jax.lax.cond(idle, lambda s: idling(s, *inputs), lambda s: active(s, *inputs), state)
        return moved._replace(step=state.step + 1), *told  # not of the cond: the same of all members

    def ready(state, data, key, steps):
        if several_descents or not has_search(state.opt_state):
            return state
        return _evaluated(state, at_hand(problem.loss, state, data, key, steps, 0))

    return iterate, ready


def _evaluated(state, value_fn):
    """The state with J and its gradient at its parameters, computed only where not yet known."""
    stored = _stored_value(state.opt_state)
    value, grad = jax.lax.cond(
        jnp.isfinite(stored[0]), lambda: stored, lambda: _evaluate(value_fn, state, stored)
    )
    return state._replace(opt_state=with_search_state(state.opt_state, value=value, grad=grad))


def _search_step(optimizer, value_fn, state, fresh, several_descents):
    """One iteration of an optimizer with a line search."""
    params, opt_state = state.params, state.opt_state
    loss, grads = stored = _stored_value(opt_state)
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
    return TrainState(after, opt_state, state.step + 1, info.status), info, updates, params


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


def _plain_step(optimizer, value_fn, state, fresh, loss_end, reach):
    """One iteration of an optimizer without a line search: the step taken is the direction, eta = 1."""
    params = state.params
    loss, grads = jax.value_and_grad(value_fn)(params)
    updates, opt_state = optimizer.update(
        grads, state.opt_state, params, value=loss, grad=grads, value_fn=value_fn
    )
    moved = optax.apply_updates(params, updates)
    update_norm = optax.tree.norm(updates)
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
    return TrainState(moved, opt_state, state.step + 1, status), info, updates, params


def _idle(state, one, *inputs):
    """An iteration of a descent that has ended: nothing moves, the error stays."""
    info = jax.eval_shape(one, state, *inputs)[1]
    info = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), info)
    loss = _stored_value(state.opt_state)[0]
    info = info._replace(loss=loss, loss_end=loss, status=jnp.full_like(info.status, IDLE))
    return state._replace(step=state.step + 1), info


def _stored_value(opt_state):
    """(value, grad) that the state of a line search keeps, None for optimizers without one."""
    found = search_state(opt_state)
    return None if found is None else (found.value, found.grad)


def _evaluate(value_fn, state, like):
    value, grad = jax.value_and_grad(value_fn)(state.params)
    return value.astype(like[0].dtype), grad


def write(buffers, row, at):
    """`buffers` (a pytree [T, ...]) with `row` at place `at`."""
    return jax.tree.map(lambda buffer, x: jax.lax.dynamic_update_index_in_dim(buffer, x, at, 0), buffers, row)


def _batch(data, index, at):
    return data if index is None else jax.tree.map(lambda array: array[index[at]], data)


def has_search(opt_state):
    """Whether an optimizer's state is that of one with a line search, which keeps a value and a gradient."""
    return search_state(opt_state) is not None
