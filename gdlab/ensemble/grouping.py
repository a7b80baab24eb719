"""Which runs may be trained as one program: those that differ in seeds and in numbers that JAX can trace.

Everything else, a network's size as well as an option that is looked at before anything is compiled, is
part of the program itself and parts the runs into several groups.
"""

import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.execution.group import SEED, make_group, members_of, one_of
from gdlab.plan.assembly import assemble, training
from gdlab.store.config import training_keys
from gdlab.store.migrations import migrated

SECTIONS = ("optimizer", "weight_decay", "schedule", "problem")
ALONE = "no other run differs from it in numbers and seeds alone"


class Compatible(NamedTuple):
    """Runs of one program: their keys among the plans, and the keys of the config that differ."""

    jobs: tuple
    varied: tuple


def compatible(plans, jobs, assembled=assemble):
    """Part `jobs`, keys of `plans`, into what can be trained together.

    assembled: Plan -> Assembly, which may remember.
    Returns ([Compatible], {job: why it is to be trained alone}). Raises what `assembled` raises: a plan that
    cannot be used at all.
    """
    together, alone = {}, {}
    for job in jobs:
        reason = obstacle(plans[job])
        if reason is None:
            together.setdefault(structure(plans[job].config), []).append(job)
        else:
            alone[job] = reason
    found = []
    for members in together.values():
        parted, left = _part(plans, members, {}, assembled)
        found += parted
        alone |= left
    return found, alone


def obstacle(plan):
    """Why a run cannot be a member of any group; None where it can."""
    if plan.train.devices != 1:
        return "several devices share its mini-batches (train.devices)"
    return None


def structure(config, fixed=()):
    """What must agree within a group, as text: all that alters the training but numbers that may vary.

    fixed: keys that may not.
    """
    flat = training_keys(migrated(config))
    return json.dumps({key: _masked(key, value, fixed) for key, value in flat.items()}, sort_keys=True)


def differing(configs):
    """The keys in which configs of one structure differ, sorted."""
    flat = [training_keys(migrated(config)) for config in configs]
    return tuple(sorted(key for key in flat[0] if len({json.dumps(one[key]) for one in flat}) > 1))


def _masked(key, value, fixed):
    section, _, name = key.partition(".")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    varies = key == SEED or (section in SECTIONS and "." not in name and number)
    return "*" if varies and key not in fixed else value


def _part(plans, jobs, refused, assembled):
    """([Compatible], {job: reason}) of jobs of one structure; refused: {key that may not vary: why}."""
    if len(jobs) == 1:
        reasons = [f"{key} cannot vary within a program: {why}" for key, why in refused.items()]
        return [], {jobs[0]: "; ".join(reasons) or ALONE}
    varied = differing([plans[job].config for job in jobs])
    new = untraceable(assembled(plans[jobs[0]]), varied)
    if not new:
        return [Compatible(tuple(jobs), varied)], {}
    refused = {**refused, **new}
    parts: dict[str, list] = {}
    for job in jobs:
        parts.setdefault(structure(plans[job].config, tuple(refused)), []).append(job)
    found, alone = [], {}
    for part in parts.values():
        parts, left = _part(plans, part, refused, assembled)
        found += parts
        alone |= left
    return found, alone


def untraceable(assembly, varied):
    """{key: why} of the keys that something looks at before it is compiled; empty where all can be traced."""
    with assembly.plan.in_precision():
        reason = _refusal(assembly, varied)
        if reason is None:
            return {}
        each = {key: _refusal(assembly, (key,)) for key in varied}
    found = {key: why for key, why in each.items() if why is not None}
    return found or dict.fromkeys(varied, reason)


def _refusal(assembly, varied):
    """Why the program of a group cannot be traced; None where it can, and has a single run's state."""
    group = make_group(assembly, varied=varied, width=2)
    members = members_of([assembly.plan] * 2, varied)
    steps = assembly.steps(0, 1, group.length)[0]
    if SEED in varied and steps.index is not None:
        steps = steps._replace(index=np.stack([steps.index] * 2))
    try:
        state = jax.eval_shape(group.init, members)
        jax.eval_shape(group.chunk, state, assembly.data, members, steps, 1, jnp.ones(2, bool))
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    single = jax.eval_shape(training(assembly).init, assembly.key, assembly.data)
    shapes = [_shapes(one) for one in (single, jax.eval_shape(lambda s: one_of(s, 0), state))]
    return None if shapes[0] == shapes[1] else "its optimizer would have another state than in a run alone"


def _shapes(state):
    leaves, form = jax.tree.flatten(state)
    return [(leaf.shape, leaf.dtype) for leaf in leaves], form
