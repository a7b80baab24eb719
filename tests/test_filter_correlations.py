"""Correlations of filters: against NumPy on activations computed anew, and in the record of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gdlab import store
from gdlab.execution.replay import Replay
from gdlab.monitors.evaluation import sample
from gdlab.monitors.filter_correlations import MOST_FILTERS, filters_of, make_correlations, pearson
from gdlab.plan import assembly
from gdlab.plan import monitoring as watchers
from gdlab.plan.builder import ConfigError
from gdlab.plan.options import plan_of
from tests import recording
from tests.composing import composed

CONVOLUTIONS = ("model=vgg", "model.filters=[3,5]", "model.depth=1", "optimizer=sgd")
EXAMPLES = 40


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return convolved(tmp_path_factory.mktemp("runs") / "run", correlations=5)


def convolved(folder, *overrides, **settings):
    examples = {"correlation_examples": EXAMPLES} if settings.get("correlations") else {}
    settings = {**examples, "validate": 6, **settings}
    experiment = ("experiment=digits_cg", "train.steps=12", *CONVOLUTIONS, *overrides)
    return recording.record(folder, *experiment, **settings)


def drawn(made, members):
    """Parameters of an assembly for so many members, [members, ...] each, without compiling its `init`."""
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: random.standard_normal((members, *leaf.shape)).astype(np.float32) / 3,
        assembly.template(made),
    )


def naive(values):
    """Pearson by np.corrcoef on float64, of activations [n, h, w, F]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.corrcoef(np.asarray(values, float).reshape(-1, values.shape[-1]).T))


def test_rows_stand_at_the_asked_for_iterations_and_at_the_end(run):
    assert np.array(run.array("correlation/step")).tolist() == [0, 5, 10, 12]
    assert run.array("correlation/conv1_1").shape == (4, 3, 3)
    assert run.array("correlation/conv2_1").shape == (4, 5, 5)
    assert np.array(run.array("validation"))[:, 0].tolist() == [0, 6, 12]


@pytest.mark.parametrize("relu", [False, True])
def test_rows_equal_numpys_on_activations_computed_anew(run, tmp_path, relu):
    run = convolved(tmp_path / "run", correlations=5, correlation_relu=True) if relu else run
    replay = Replay(run.path)
    problem, dataset = replay.assembly.problem, replay.assembly.dataset
    x = sample(dataset, "test", EXAMPLES, seed=0)["x"]
    for row, iteration in enumerate((0, 5, 10, 12)):
        found = problem.activations(replay.params(iteration), x)
        for layer in ("conv1_1", "conv2_1"):
            values = np.maximum(found[layer], 0) if relu else found[layer]
            r = run.array(f"correlation/{layer}")[row]
            np.testing.assert_allclose(r, naive(np.asarray(values)), atol=1e-5)


def test_the_images_are_the_same_whatever_the_seed(run, tmp_path):
    made = [
        watchers.correlations(assembly.assemble(plan_of(config)))[0]
        for config in (composed("experiment=digits_cg", *CONVOLUTIONS, f"seed={seed}") for seed in (0, 3))
        if not config["record"].update(correlations=5, correlation_examples=7)
    ]
    np.testing.assert_array_equal(made[0].x, made[1].x)
    assert made[0].x.shape == (7, 8, 8, 1)


def test_correlations_change_no_bit_of_the_training(run, tmp_path):
    without = convolved(tmp_path / "run")
    assert not any(name.startswith("correlation") for name in without.arrays)
    same = [run.columns("scalars").index(name) for name in ("loss", "loss_end", "grad_norm", "update_norm")]
    np.testing.assert_array_equal(run.array("scalars")[:, same], without.array("scalars")[:, same])


def test_a_stopped_run_goes_on_without_a_row_twice(run, tmp_path, monkeypatch):
    from gdlab.execution import session

    original = session.Session._until_stop

    def stopping(session):
        if session.step >= 6:
            raise KeyboardInterrupt
        return original(session)

    monkeypatch.setattr(session.Session, "_until_stop", stopping)
    with pytest.raises(KeyboardInterrupt):
        convolved(tmp_path / "run", correlations=5, checkpoint_seconds=1e-3)
    monkeypatch.undo()
    assert store.open_run(tmp_path / "run").rows("scalars") < 12
    again = convolved(tmp_path / "run", correlations=5)
    assert np.array(again.array("correlation/step")).tolist() == [0, 5, 10, 12]
    np.testing.assert_array_equal(again.array("correlation/conv2_1"), run.array("correlation/conv2_1"))


compiled = jax.jit(pearson)
finite = st.integers(-(2**15), 2**15).map(lambda number: number / 64)


@given(arrays.arrays(np.float32, (7, 4), elements=finite))
def test_pearson_of_anything(values):
    r = np.asarray(compiled(jnp.asarray(values)))
    exact = values.astype(float)
    spread = np.ptp(exact, axis=0)
    constant = spread == 0
    np.testing.assert_array_equal(np.diag(r), np.where(constant, 0, 1))
    assert (r[constant] == 0).all() and (r == r.T).all() and (np.abs(r) <= 1).all()
    # float32 knows a filter's spread only as well as it knows its values.
    known = spread > 1e-3 * np.abs(exact).max(axis=0)
    np.testing.assert_allclose(r[np.ix_(known, known)], naive(exact)[np.ix_(known, known)], atol=2e-3)


def test_signs_large_numbers_and_what_is_not_finite():
    ramp = np.linspace(-1, 1, 9, dtype=np.float32)
    columns = [ramp, -3 * ramp, 1e30 * ramp, 1e-30 * ramp + 0, np.full(9, 0.1, np.float32), ramp**2]
    r = np.asarray(pearson(jnp.asarray(np.stack(columns, axis=1))))
    np.testing.assert_allclose(r[0], [1, -1, 1, 1, 0, 0], atol=1e-6)
    for bad in (np.nan, np.inf):
        columns[1] = np.where(ramp == 1, bad, ramp)
        r = np.asarray(pearson(jnp.asarray(np.stack(columns, axis=1))))
        assert np.isnan(r[1]).all() and np.isnan(r[:, 1]).all() and r[0, 2] == pytest.approx(1)
    columns[1] = np.full(9, np.inf)
    assert np.isnan(np.asarray(pearson(jnp.asarray(np.stack(columns, axis=1))))[1]).all()


def test_members_side_by_side_equal_single_ones():
    config = composed("experiment=digits_cg", *CONVOLUTIONS)
    made = assembly.assemble(plan_of(config))
    x = jnp.asarray(made.dataset.test["x"][:30])
    compute = make_correlations(made.problem)
    several = drawn(made, 3)
    together, single = jax.jit(jax.vmap(compute, (0, None)))(several, x), jax.jit(compute)
    for number in range(3):
        params = jax.tree.map(lambda leaf, number=number: leaf[number], several)
        for layer, r in single(params, x).items():
            np.testing.assert_allclose(together[layer][number], r, atol=1e-5)


def test_which_layers_are_compared():
    made = assembly.assemble(plan_of(composed("experiment=digits_cg", *CONVOLUTIONS)))
    params, x = assembly.template(made), made.dataset.test["x"][:1]
    assert filters_of(made.problem, params, x) == {"conv1_1": 3, "conv2_1": 5}
    assert filters_of(made.problem, params, x, dense=True) == {"conv1_1": 3, "conv2_1": 5, "dense1": 10}
    wide = composed(
        "experiment=digits_cg", "model=mlp", f"model.features=[{MOST_FILTERS + 1},{MOST_FILTERS},10]"
    )
    made = assembly.assemble(plan_of(wide))
    assert list(filters_of(made.problem, assembly.template(made), x, dense=True).values()) == [
        MOST_FILTERS,
        10,
    ]


def test_batch_normalisation_is_given_statistics_of_training_examples():
    config = composed("experiment=digits_cg", *CONVOLUTIONS, "model.batch_norm=true")
    config["record"].update(correlations=5, correlation_examples=EXAMPLES)
    made = assembly.assemble(plan_of(config))
    problem, dataset = made.problem, made.dataset
    params = jax.tree.map(lambda leaf: leaf[0], drawn(made, 1))
    statistics = jax.jit(problem.statistics)(params, jnp.asarray(dataset.train["x"][:2000]))
    x = sample(dataset, "test", EXAMPLES, seed=0)["x"]
    found = jax.jit(problem.activations)(params, x, statistics)
    r = watchers.correlations(made)[0].rows(params, 0)["correlation/conv2_1"][0]
    np.testing.assert_allclose(r, naive(np.asarray(found["conv2_1"])), atol=1e-5)


def test_what_cannot_be_correlated_is_refused_with_the_reason(tmp_path):
    cases = (
        (("experiment=rosenbrock",), "no test images"),
        (("experiment=galaxy_batch",), "dense layers: not asked for"),
        (("experiment=digits_cg",), "dense layers: not asked for"),
    )
    for overrides, text in cases:
        with pytest.raises(ConfigError, match=text):
            recording.record(tmp_path / "run", *overrides, correlations=5)
    for name, value in (("correlations", 0), ("correlations", True), ("correlation_examples", 0),
                        ("correlation_relu", "yes"), ("correlation_dense", 1)):  # fmt: skip
        config = composed("experiment=digits_cg")
        config["record"][name] = value
        with pytest.raises(ConfigError, match=f"record.{name}={value!r}: allowed"):
            plan_of(config)
    assert not (tmp_path / "run").exists()


def test_auto_is_twenty_times():
    config = composed("experiment=digits_cg", *CONVOLUTIONS, "train.steps=1000")
    config["record"]["correlations"] = "auto"
    assert watchers.correlations(assembly.assemble(plan_of(config)))[1] == 50
