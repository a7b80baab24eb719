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

from gdlab.records import DIVERGED, IDLE, OK
from gdlab.training.devices import on_all, split
from gdlab.training.iteration import evaluated, has_search, plain_step, search_step, stored_value

TERMS = "metric/"  # before the names of the arrays of what an error is made of


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
            return search_step(optimizer, value_fn, state, fresh, several_descents)
        return plain_step(optimizer, value_fn, state, fresh, loss_end, reach)

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
        return evaluated(state, at_hand(problem.loss, state, data, key, steps, 0))

    return iterate, ready


def _idle(state, one, *inputs):
    """An iteration of a descent that has ended: nothing moves, the error stays."""
    info = jax.eval_shape(one, state, *inputs)[1]
    info = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), info)
    loss = stored_value(state.opt_state)[0]
    info = info._replace(loss=loss, loss_end=loss, status=jnp.full_like(info.status, IDLE))
    return state._replace(step=state.step + 1), info


def write(buffers, row, at):
    """`buffers` (a pytree [T, ...]) with `row` at place `at`."""
    return jax.tree.map(lambda buffer, x: jax.lax.dynamic_update_index_in_dim(buffer, x, at, 0), buffers, row)


def _batch(data, index, at):
    return data if index is None else jax.tree.map(lambda array: array[index[at]], data)
