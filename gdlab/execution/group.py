"""Several runs as one program: the same iteration, vectorised over members that differ in numbers and seeds.

The optimizer is built inside the traced function, of numbers that JAX traces, so that a member's state is
that of the same run alone, and all that reads runs reads members. One loop runs around all of them; it stops
where a member ends, so that each is left exactly as it was then. With several devices each runs the program
of its own members: `width` counts the members of one device.

A member's last bits are those of its program, which depends on the width and on what varies. The same
program filled with copies of one member gives them again.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gdlab.plan.assembly import collected as gathered
from gdlab.plan.assembly import keeps_path, size
from gdlab.plan.parts import make_optimizer, make_problem
from gdlab.store.config import flatten
from gdlab.training.loop import Steps, Training, TrainState, ends, make_iteration, start, write

LENGTH = 128  # largest number of iterations of one call, fewer where their rows would take more than
BUFFER_BYTES = 32 << 20
SEED = "seed"
_AXIS = "member"
_STATE = TrainState(0, 0, None, 0)  # all members are at the same iteration


class Members(NamedTuple):
    """numbers: {key of the config: [W]}; key: random keys [W], or one where the seed does not vary."""

    numbers: Any
    key: Any


class Group(NamedTuple):
    """One program for W members, made by `make_group`; pytrees of members have W in front.

    init(members) -> TrainState
    chunk(state, data, members, steps, count, active [W])
        -> (TrainState, StepInfo [T, W], collected [T, W], done ())
        runs `count` <= T iterations, or fewer where an active member ends; steps.index [T, b], or
        [W, T, b] where the seed varies
    """

    init: Any
    chunk: Any
    varied: tuple
    width: int
    devices: int
    length: int


def make_group(assembly, *, varied, width, devices=1):
    """The program of a group.

    Args:
      assembly: of any of its members.
      varied: keys of the config in which members differ, "seed" or numbers such as "optimizer.momentum".
      width: members of each device.
      devices: how many devices share the group.
    """
    varied = tuple(sorted(varied))
    length = _length(assembly, width)
    member, ready = _member(assembly)
    own = Members(0, 0 if SEED in varied else None)
    rows = Steps(0 if SEED in varied else None, None, None)

    def init(members):
        def begin(members):
            problem = _problem(assembly, members.numbers)
            return start(problem, make_optimizer(assembly.plan, members.numbers), members.key)

        return _over(begin, (own,), _STATE, width)(members)

    def chunk(state, data, members, steps, count, active):
        iterate = _over(member, (_STATE, None, own, rows, None), (_STATE, 0, 0), width)
        state = _over(ready, (_STATE, None, own, rows), _STATE, width)(state, data, members, steps)

        def body(carry):
            state, infos, collected, at, _ = carry
            state, info, extra = iterate(state, data, members, steps, at)
            infos, collected = write((infos, collected), (info, extra), at)
            stop = (active & ends(info.status, assembly.several_descents)).any()
            if devices > 1:
                stop = jax.lax.pmax(stop.astype(jnp.int32), _AXIS) > 0
            return state, infos, collected, at + 1, stop

        buffers = jax.eval_shape(iterate, state, data, members, steps, jnp.int32(0))[1:]
        infos, collected = jax.tree.map(lambda b: jnp.zeros((length, *b.shape), b.dtype), buffers)
        carry = (state, infos, collected, jnp.int32(0), jnp.bool_(False))
        state, infos, collected, done, _ = jax.lax.while_loop(lambda c: (c[3] < count) & ~c[4], body, carry)
        return state, infos, collected, done

    if devices > 1:
        init, chunk = _shared(init, chunk, SEED in varied, devices)
    return Group(jax.jit(init), jax.jit(chunk), varied, width, devices, length)


def members_of(plans, varied):
    """The Members that `plans` describe, one after the other."""
    flat = [flatten(plan.config) for plan in plans]
    dtype = np.float64 if plans[0].precision == "float64" else np.float32
    numbers = {
        key: jnp.asarray(np.array([_number(one[key], dtype) for one in flat]))
        for key in sorted(varied)
        if key != SEED
    }
    if SEED in varied:
        return Members(numbers, jnp.stack([jax.random.key(one[SEED]) for one in flat]))
    return Members(numbers, jax.random.key(flat[0][SEED]))


def copies(state, count):
    """`count` times the TrainState of one member, side by side."""
    repeated = jax.tree.map(lambda leaf: jnp.repeat(leaf[None], count, axis=0), state)
    return repeated._replace(step=state.step)


def one_of(state, index):
    """The TrainState of one member, as a run alone has it."""
    return jax.tree.map(lambda leaf: leaf[index], state._replace(step=None))._replace(step=state.step)


def stacked(states):
    """The TrainStates of single members, side by side; all at the same iteration."""
    merged = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(one._replace(step=None) for one in states))
    return merged._replace(step=states[0].step)


def alone(assembly, *, varied, width, index):
    """The Training of one member: the program of its group, filled with copies of it, bit for bit the same.

    varied, width, index: what the run's identity says of its group.
    """
    group = make_group(assembly, varied=varied, width=width)
    members = members_of([assembly.plan] * width, varied)
    active = np.arange(width) == index

    def init(key, data):
        del key, data
        return one_of(group.init(members), index)

    def chunk(state, data, key, steps, count):
        del key
        if SEED in varied and steps.index is not None:
            steps = steps._replace(index=np.repeat(np.asarray(steps.index)[None], width, axis=0))
        state, infos, collected, done = group.chunk(copies(state, width), data, members, steps, count, active)
        infos, collected = jax.tree.map(lambda leaf: leaf[:, index], (infos, collected))
        return one_of(state, index), infos, collected, done

    def value(params, batch, key):
        return assembly.problem.loss(params, batch, key=key)

    return Training(init, chunk, jax.jit(value), group.length)


def _over(function, given, returned, width):
    """`function` of one member as a function of all of them; given, returned: axes as of `jax.vmap`.

    A single one is not vectorised: on a CPU a product of one pair of matrices is faster than a batch of one.
    """
    if width > 1:
        return jax.vmap(function, given, returned, axis_size=width)

    def mapped(change, axes, trees):
        def each(axis, tree):
            return tree if axis is None else jax.tree.map(change, tree)

        return jax.tree.map(each, axes, trees, is_leaf=lambda axis: axis is None)

    def one(*arguments):
        result = function(*mapped(lambda leaf: leaf[0], given, arguments))
        return mapped(lambda leaf: leaf[None], returned, result)

    return one


def _member(assembly):
    """(iterate, ready) of one member, as functions of its Members without W."""
    options = {
        "several_descents": assembly.several_descents,
        "loss_end": assembly.plan.record.loss_end,
        "reach": assembly.plan.record.reach,
        "collect": gathered(assembly),
    }

    def made(members):
        problem = _problem(assembly, members.numbers)
        return make_iteration(problem, make_optimizer(assembly.plan, members.numbers), **options)

    def iterate(state, data, members, steps, at):
        return made(members)[0](state, data, members.key, steps, at)

    def ready(state, data, members, steps):
        return made(members)[1](state, data, members.key, steps)

    return iterate, ready


def _problem(assembly, numbers):
    varies = any(key.startswith("problem.") for key in numbers)
    return make_problem(assembly.plan, assembly.dataset, numbers) if varies else assembly.problem


def _number(value, dtype):
    return np.int32(value) if isinstance(value, int) else dtype(value)


def _length(assembly, width):
    """T: as many iterations as keep the rows of all members within bounds."""
    row = 4 * 16 + (4 * size(assembly) if keeps_path(assembly) else 0)
    return int(np.clip(BUFFER_BYTES // (row * width), 8, LENGTH))


def _shared(init, chunk, seeds, devices):
    """Both functions, each device with its own members."""
    mesh = mesh_of_members(devices)
    each, all_of_it, rows = PartitionSpec(_AXIS), PartitionSpec(), PartitionSpec(None, _AXIS)
    state = TrainState(each, each, all_of_it, each)
    members = Members(each, each if seeds else all_of_it)
    steps = Steps(each if seeds else all_of_it, all_of_it, all_of_it)

    def shared(function, given, returned):
        return jax.shard_map(function, mesh=mesh, in_specs=given, out_specs=returned, check_vma=False)

    inputs = (state, all_of_it, members, steps)
    return (
        shared(init, (members,), state),
        shared(chunk, (*inputs, all_of_it, each), (state, rows, rows, all_of_it)),
    )


def mesh_of_members(devices):
    """The first `devices` devices as a Mesh along which members are dealt out."""
    return jax.make_mesh((devices,), (_AXIS,), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])


def everywhere(data, devices):
    """`data` where a group of so many devices needs it: on all of them."""
    if devices == 1 or data is None:
        return data
    return jax.device_put(data, NamedSharding(mesh_of_members(devices), PartitionSpec()))
