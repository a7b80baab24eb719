"""Schedules against their formulas, in a training and from an earlier run."""

import jax
import numpy as np
import optax
import pytest

from gdlab import schedules, store
from gdlab.analysis.step_sizes import moving_average
from gdlab.plan import assembly
from gdlab.plan.builder import ConfigError
from gdlab.plan.options import plan_of
from gdlab.plan.parts import learning_rate, make_optimizer
from gdlab.records import STEP_COLUMNS
from tests import recording
from tests.composing import composed

STEPS, RATE = 40, 0.2
K = np.arange(STEPS + 1)
FORMULAS = {
    "constant": np.full(STEPS + 1, RATE),
    "cosine": RATE * (1 + np.cos(np.pi * K / STEPS)) / 2,
    "exponential": RATE * 0.01 ** (K / STEPS),
    "piecewise": RATE * np.where(K < 20, 1, np.where(K < 30, 0.1, 0.01)),
    "warmup_cosine": np.where(K < 4, RATE * K / 4, RATE * (1 + np.cos(np.pi * (K - 4) / 36)) / 2),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_yaml_gives_the_formula(name):
    given = (f"optimizer.learning_rate={RATE}", f"train.steps={STEPS}")
    rate = learning_rate(plan_of(composed("optimizer=sgd", f"schedule={name}", *given)))
    found = [rate(k) for k in K]
    np.testing.assert_allclose(found, FORMULAS[name], rtol=1e-5, atol=1e-7)


def rates_of(folder, *overrides):
    """Step size over gradient norm in every iteration: what plain gradient descent multiplies by."""
    overrides = ("problem=beale", "optimizer=sgd", f"train.steps={STEPS}", *overrides)
    run = recording.record(folder, *overrides, "precision=float64", "optimizer.learning_rate=0.001")
    steps = run.table("steps").columns
    return (steps["update_norm"] / steps["grad_norm"])[:-1]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_training_follows_its_schedule(tmp_path, name):
    found = rates_of(tmp_path / "run", f"schedule={name}")
    np.testing.assert_allclose(found, 0.001 / RATE * FORMULAS[name][:-1], rtol=1e-5, atol=1e-9)


def test_two_boundaries_that_fall_together_both_count():
    rate = schedules.piecewise(learning_rate=1.0, steps=4, boundaries=(0.5, 0.55), factor=0.5)
    assert [float(rate(k)) for k in range(4)] == [1, 1, 0.25, 0.25]


def test_a_run_shapes_the_learning_rate_of_another(tmp_path):
    first = recording.record(tmp_path / "first", "problem=beale", "optimizer=adam", "train.steps=25")
    sizes = moving_average(first.table("steps").columns["update_norm"][:-1], 5)
    found = rates_of(
        tmp_path / "run", "schedule=from_run", f"schedule.path={first.path}", "schedule.window=5"
    )
    wanted = 0.001 * sizes / sizes.mean()
    np.testing.assert_allclose(found[:25], wanted, rtol=1e-5)
    np.testing.assert_allclose(found[25:], wanted[-1], rtol=1e-5)
    assert np.mean(found[:25]) == pytest.approx(0.001, rel=1e-5)


def test_a_replay_finds_the_schedule_again(tmp_path):
    from gdlab.execution.probing import run_probe

    rates_of(tmp_path / "run", "schedule=cosine", "weight_decay=decoupled")
    table = run_probe(tmp_path / "run", "segments", {"start": 3, "stop": 6})
    assert table.attrs["replay"]["different"] == 0


def stepless(folder, rows=0):
    """A run whose steps are all zero, or that has none."""
    spec = store.ArraySpec("f8", (len(STEP_COLUMNS),), STEP_COLUMNS)
    with store.RunWriter.create(folder, config={"seed": 0}, identity={}, arrays={"scalars": spec}) as writer:
        if rows:
            writer.append({"scalars": np.zeros((rows, len(STEP_COLUMNS)))})
        writer.set_status("finished")
    return folder


@pytest.mark.parametrize("rows", [0, 3])
def test_a_run_without_steps_is_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="no steps that a learning rate could follow"):
        schedules.from_run(learning_rate=0.1, path=stepless(tmp_path / "run", rows))


def test_a_path_counts_from_the_working_directory(tmp_path, monkeypatch):
    first = recording.record(tmp_path / "first", "problem=beale", "optimizer=adam", "train.steps=5")
    monkeypatch.chdir(tmp_path)
    near, far = (schedules.from_run(learning_rate=1.0, path=path, window=1) for path in ("first", first.path))
    assert float(near(2)) == float(far(2)) > 0
    with pytest.raises(FileNotFoundError, match=f"'other'.*no such run.*{tmp_path.name}"):
        schedules.from_run(learning_rate=1.0, path="other")
    with pytest.raises(store.NotARun):
        schedules.from_run(learning_rate=1.0, path=".")


@pytest.mark.parametrize(
    ("name", "options", "allowed"),
    [
        ("cosine", {"final": 2}, "0 <= final <= 1"),
        ("exponential", {"final": 0.0}, "0 < final <= 1"),
        ("piecewise", {"boundaries": [0.7, 0.5]}, "ascending shares"),
        ("piecewise", {"boundaries": [1.5]}, "0 < boundaries <= 1"),
        ("piecewise", {"factor": 0.0}, "factor > 0"),
        ("warmup_cosine", {"warmup": True}, "0 <= warmup <= 1"),
        ("from_run", {"path": None}, "give the folder"),
        ("from_run", {"path": ".", "window": 0}, "an integer >= 1"),
    ],
)
def test_wrong_options_are_answered(name, options, allowed):
    live = {} if name == "from_run" else {"steps": 10}
    with pytest.raises(ValueError, match=allowed):
        getattr(schedules, name)(learning_rate=0.1, **live, **options)


@pytest.mark.parametrize("group", ["schedule=cosine", "weight_decay=coupled"])
def test_a_line_search_takes_neither(group):
    with pytest.raises(ConfigError, match=r"has no learning rate; .*optimizer=sgd"):
        assembly.assemble(plan_of(composed("problem=beale", group)))


def test_a_first_step_size_cannot_be_scheduled():
    with pytest.raises(ConfigError, match=r"learning_rate.*not a number"):
        assembly.assemble(plan_of(composed("problem=beale", "optimizer=rprop_plus", "schedule=cosine")))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "name", ["sgd", "momentum", "adagrad", "adadelta", "adam", "adamax", "nadam", "amsgrad"]
)
def test_every_plain_optimizer_takes_a_schedule(name):
    config = composed("problem=beale", f"optimizer={name}", "schedule=exponential", "precision=float64")
    optimizer = assembly.assemble(plan_of(config)).optimizer
    params = np.array([1.0, -2.0])
    state = optimizer.init(params)
    plain = composed("problem=beale", f"optimizer={name}", "precision=float64")
    plain = assembly.assemble(plan_of(plain)).optimizer
    plain_state = plain.init(params)
    for k in range(5):  # the same steps, scaled by the schedule
        grads = jax.numpy.asarray(np.random.default_rng(k).normal(size=2))
        updates, state = optimizer.update(grads, state, params)
        whole, plain_state = plain.update(grads, plain_state, params)
        np.testing.assert_allclose(updates, whole * 0.01 ** (k / 100), rtol=1e-6)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_rate_that_varies_within_a_group_has_the_same_schedule(name):
    """A group of runs traces its learning rates: no schedule may ask what they are."""
    plan = plan_of(composed("optimizer=sgd", f"schedule={name}", f"train.steps={STEPS}"))

    def rates(learning_rate):
        optimizer = make_optimizer(plan, {"optimizer.learning_rate": learning_rate})
        state, found = optimizer.init(jax.numpy.zeros(())), []
        for _ in range(STEPS + 1):
            update, state = optimizer.update(jax.numpy.ones(()), state)
            found.append(-update)
        return jax.numpy.stack(found)

    np.testing.assert_allclose(jax.jit(rates)(RATE), FORMULAS[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rate", [0.2, 0.002, 0.0])
@pytest.mark.parametrize(("warmup", "final"), [(0.1, 0.0), (0.05, 0.1), (0.0, 0.3)])
def test_the_warm_up_is_optax_s_to_the_bit(rate, warmup, final):
    mine = schedules.warmup_cosine(learning_rate=rate, steps=STEPS, warmup=warmup, final=final)
    length = round(warmup * STEPS)
    first = 0.0 if length else rate
    theirs = optax.warmup_cosine_decay_schedule(first, rate, length, STEPS, end_value=final * rate)
    np.testing.assert_array_equal([mine(k) for k in range(STEPS)], [theirs(k) for k in range(STEPS)])
