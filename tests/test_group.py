"""Several runs in one program: each as if it were trained alone, and found again bit for bit."""

import jax
import numpy as np
import pytest

from gdlab.execution.group import SEED, alone, make_group, members_of, one_of
from gdlab.plan.assembly import assemble, training
from gdlab.plan.options import plan_of
from tests.composing import composed

STEPS = 12
MOMENTUM = [
    {"optimizer.learning_rate": 0.01 * i + 0.01, "optimizer.momentum": 0.5 + 0.1 * i} for i in range(3)
]
CASES = {
    "numbers": ("digits_momentum", (), MOMENTUM),
    "numbers and seeds": ("digits_momentum", (), [{**one, "seed": i} for i, one in enumerate(MOMENTUM)]),
    "adam": ("digits_adam", (), [{"optimizer.b1": b, "optimizer.eps": 1e-8 * b} for b in (0.5, 0.95)]),
    "decay": (
        "digits_sgd",
        ("weight_decay=decoupled", "schedule=cosine"),
        [{"weight_decay.rate": rate, "optimizer.learning_rate": 0.1 * rate} for rate in (0.1, 0.3)],
    ),
}


def configs_of(name):
    experiment, overrides, members = CASES[name]
    texts = [[f"{key}={value}" for key, value in one.items()] for one in members]
    base = (f"experiment={experiment}", f"train.steps={STEPS}", *overrides)
    return [composed(*base, *text) for text in texts], tuple(members[0])


def steps_of(assemblies, varied, length):
    rows = [assembly.steps(0, STEPS, length)[0] for assembly in assemblies]
    if SEED not in varied:
        return rows[0]
    return rows[0]._replace(index=np.stack([row.index for row in rows]))


def trained(configs, varied):
    """(assemblies, TrainState, StepInfo) of a group, all members active."""
    assemblies = [assemble(plan_of(config)) for config in configs]
    group = make_group(assemblies[0], varied=varied, width=len(configs))
    members = members_of([plan_of(config) for config in configs], varied)
    state, infos, _, done = group.chunk(
        group.init(members),
        assemblies[0].data,
        members,
        steps_of(assemblies, varied, group.length),
        STEPS,
        np.ones(len(configs), bool),
    )
    assert int(done) == STEPS
    return assemblies, state, infos


@pytest.mark.parametrize("name", ["numbers and seeds", "adam", "decay"])
def test_a_member_is_trained_as_the_same_run_alone(name):
    configs, varied = configs_of(name)
    assemblies, state, infos = trained(configs, varied)
    finals = []
    for i in (0, len(configs) - 1):
        assembly = assemblies[i]
        single = training(assembly)
        start = single.init(assembly.key, assembly.data)
        steps = assembly.steps(0, STEPS, single.length)[0]
        after, expected, _, _ = single.chunk(start, assembly.data, assembly.key, steps, STEPS)
        assert jax.tree.structure(after) == jax.tree.structure(one_of(state, i))
        for field in ("loss", "loss_end", "grad_norm", "update_norm", "slope"):
            found = np.asarray(getattr(infos, field))[:STEPS, i]
            np.testing.assert_allclose(found, getattr(expected, field)[:STEPS], rtol=2e-4, err_msg=field)
        for one, other in zip(jax.tree.leaves(after), jax.tree.leaves(one_of(state, i)), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
        finals.append(float(expected.loss_end[STEPS - 1]))
    assert len(set(finals)) == len(finals)  # what varies does alter the training


@pytest.mark.parametrize("name", ["numbers", "numbers and seeds"])
def test_the_program_filled_with_copies_gives_a_member_bit_for_bit(name):
    configs, varied = configs_of(name)
    assemblies, state, infos = trained(configs, varied)
    for i in (0, 2):
        assembly = assemblies[i]
        found = alone(assembly, varied=varied, width=len(configs), index=i)
        at, losses = found.init(assembly.key, assembly.data), []
        for first, count in ((0, 5), (5, 1), (6, STEPS - 6)):
            steps = assembly.steps(first, count, found.length)[0]
            at, rows, _, done = found.chunk(at, assembly.data, assembly.key, steps, count)
            losses += np.asarray(rows.loss)[: int(done)].tolist()
        np.testing.assert_array_equal(losses, np.asarray(infos.loss)[:STEPS, i])
        for one, other in zip(jax.tree.leaves(at), jax.tree.leaves(one_of(state, i)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_loop_stops_where_an_active_member_ends_and_goes_on_past_the_others():
    configs = [composed("experiment=digits_sgd", f"optimizer.learning_rate={r}") for r in (0.01, 1e38)]
    assembly, varied = assemble(plan_of(configs[0])), ("optimizer.learning_rate",)
    group = make_group(assembly, varied=varied, width=2)
    members = members_of([plan_of(config) for config in configs], varied)
    steps = assembly.steps(0, 20, group.length)[0]
    state = group.init(members)
    _, infos, _, done = group.chunk(state, assembly.data, members, steps, 20, np.array([True, True]))
    assert int(done) < 20 and np.asarray(infos.status)[int(done) - 1].tolist() == [0, 3]
    _, infos, _, done = group.chunk(state, assembly.data, members, steps, 20, np.array([True, False]))
    assert int(done) == 20 and np.isfinite(infos.loss[:20, 0]).all()
