"""Batch normalisation without running averages: parameters and data alone decide every result."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import problems
from gdlab.data import Dataset
from gdlab.execution.replay import Replay
from gdlab.models import lenet5, mlp, modified_lenet, tiny_cnn, vgg
from gdlab.problems import networks
from tests.recording import record

EPSILON = 1e-5  # of flax.linen.BatchNorm


class _Chain(nn.Module):
    """Dense, batch normalisation, tanh, twice; then dense. One block is a module of its own."""

    rate: float = 0.0

    @nn.compact
    def __call__(self, x, train=False):
        x = x.reshape(x.shape[0], -1)
        x = nn.Dense(6, name="dense1")(x)
        x = nn.tanh(nn.BatchNorm(use_running_average=not train, momentum=0.0, name="norm1")(x))
        x = nn.Dropout(self.rate, deterministic=not self.has_rng("dropout"))(x)
        x = _Block(name="block")(x, train)
        return nn.Dense(4, name="dense2")(x)


class _Block(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(5, name="dense")(x)
        return nn.tanh(nn.BatchNorm(use_running_average=not train, momentum=0.0, name="norm")(x))


class _Unhashable(nn.Module):
    sizes: np.ndarray = None

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(int(self.sizes[0]))(x.reshape(x.shape[0], -1))
        return nn.BatchNorm(use_running_average=not train, momentum=0.0)(x)


def _data(n=12, shape=(3, 2)):
    rng = np.random.default_rng(0)
    train = {"x": rng.standard_normal((n, *shape)).astype(np.float32), "y": np.arange(n, dtype=np.int32) % 4}
    return Dataset("toy", train, None, ("a", "b", "c", "d"))


@pytest.fixture
def problem(float64):
    return problems.classification(model=_Chain(), data=_data())


@pytest.fixture
def params(problem):
    return jax.tree.map(
        lambda leaf: leaf + 0.1 * np.random.default_rng(leaf.size).standard_normal(leaf.shape),
        problem.init(jax.random.key(0)),
    )


def _normalised(x, params, statistics=None):
    """(x normalised as the paper writes it, (mean, variance) used)."""
    mean, variance = statistics or (x.mean(axis=0), x.var(axis=0))
    scaled = (x - mean) / np.sqrt(variance + EPSILON)
    return scaled * params["scale"] + params["bias"], (mean, variance)


def _forward(params, x, statistics=(None, None)):
    """Logits [B, 4] and the statistics of both layers, in NumPy."""
    params = jax.tree.map(np.asarray, params)
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    x = x @ params["dense1"]["kernel"] + params["dense1"]["bias"]
    x, first = _normalised(x, params["norm1"], statistics[0])
    block = params["block"]
    x = np.tanh(x) @ block["dense"]["kernel"] + block["dense"]["bias"]
    x, second = _normalised(x, block["norm"], statistics[1])
    return np.tanh(x) @ params["dense2"]["kernel"] + params["dense2"]["bias"], (first, second)


def test_without_statistics_the_batch_s_own_are_taken(problem, params):
    x = _data().train["x"]
    expected, (first, second) = _forward(params, x)
    np.testing.assert_allclose(problem.predict(params, jnp.asarray(x)), expected, rtol=1e-9)
    found = problem.statistics(params, jnp.asarray(x))
    np.testing.assert_allclose(found["norm1"]["mean"], first[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["norm1"]["var"], first[1], rtol=1e-9)
    np.testing.assert_allclose(found["block"]["norm"]["var"], second[1], rtol=1e-9)


def test_statistics_of_a_batch_make_predict_what_training_computes(problem, params):
    batch = _data().train
    x = jnp.asarray(batch["x"])
    statistics = problem.statistics(params, x)
    np.testing.assert_allclose(
        problem.predict(params, x, statistics), problem.predict(params, x), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(
        problem.loss(params, batch, statistics=statistics), problem.loss(params, batch), rtol=1e-12
    )
    theirs, ours = problem.activations(params, x), problem.activations(params, x, statistics)
    assert set(ours) == set(theirs) >= {"dense1", "norm1", "block/dense", "block/norm", "dense2"}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), ours, theirs)


def test_given_statistics_make_examples_independent(problem, params):
    calibration, x = _data().train["x"], np.random.default_rng(5).standard_normal((3, 3, 2))
    statistics = problem.statistics(params, jnp.asarray(calibration))
    together = problem.predict(params, jnp.asarray(x), statistics)
    alone = [problem.predict(params, jnp.asarray(x[i : i + 1]), statistics)[0] for i in range(3)]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-10)
    expected, _ = _forward(params, x, _forward(params, calibration)[1])
    np.testing.assert_allclose(together, expected, rtol=1e-9)


def test_the_loss_is_a_pure_function(problem, params):
    batch = _data().train
    loss = jax.jit(problem.loss)
    value, grads = jax.value_and_grad(problem.loss)(params, batch)
    for _ in range(2):
        assert problem.loss(params, batch) == value and loss(params, batch) == loss(params, batch)
    assert set(params) == {"dense1", "norm1", "block", "dense2"}  # no statistics among the parameters
    # The gradient flows through the batch's mean and variance too.
    direction = jax.tree.map(lambda g: jnp.ones_like(g), grads)
    ahead, behind = (
        problem.loss(jax.tree.map(lambda p, d, h=h: p + h * d, params, direction), batch)
        for h in (1e-5, -1e-5)
    )
    slope = sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (grads, direction)), strict=True))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-5)


def test_dropout_is_on_exactly_with_a_key_whatever_the_statistics(float64):
    problem = problems.classification(model=_Chain(rate=0.5), data=_data())
    params, batch = problem.init(jax.random.key(0)), _data().train
    statistics = problem.statistics(params, jnp.asarray(batch["x"]))
    for options in ({}, {"statistics": statistics}):
        first, again, other = (
            problem.loss(params, batch, key=jax.random.key(n), **options) for n in (1, 1, 2)
        )
        assert first == again != other
        assert problem.loss(params, batch, **options) == problem.loss(params, batch, **options)


def test_blocks_are_pooled(problem, params, monkeypatch):
    x = np.random.default_rng(3).standard_normal((240, 3, 2))
    whole = problem.statistics(params, jnp.asarray(x))
    monkeypatch.setattr(networks, "BLOCK", 60)
    pooled = problem.statistics(params, jnp.asarray(x))
    # Exact where nothing is normalised before, as good as the blocks are large behind that.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), pooled["norm1"], whole["norm1"])
    parts = [_forward(params, x[start : start + 60])[1][1] for start in range(0, 240, 60)]
    mean, var = np.mean([m for m, _ in parts], axis=0), np.mean([v for _, v in parts], axis=0)
    var = var + np.mean([m**2 for m, _ in parts], axis=0) - mean**2
    second = pooled["block"]["norm"]
    np.testing.assert_allclose(second["mean"], mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(second["var"], var, rtol=1e-9)
    np.testing.assert_allclose(second["var"], whole["block"]["norm"]["var"], rtol=0.1)
    assert not np.allclose(second["var"], whole["block"]["norm"]["var"], rtol=1e-6)
    # 241 examples are five blocks of 48, and the last one is left out.
    longer = problem.statistics(params, jnp.asarray(np.concatenate([x, x[:1]])))
    parts = [_forward(params, x[start : start + 48])[1][0][0] for start in range(0, 240, 48)]
    np.testing.assert_allclose(longer["norm1"]["mean"], np.mean(parts, axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "network", [lenet5, modified_lenet, tiny_cnn, vgg], ids=lambda factory: factory.__name__
)
def test_gdlab_s_networks_follow_the_convention(network):
    data = _data(6, (32, 32, 1))._replace(classes=tuple("0123456789"))
    problem = problems.classification(model=network(batch_norm=True, dropout=0.5), data=data)
    params, x = jax.jit(problem.init)(jax.random.key(0)), jnp.asarray(data.train["x"])

    @jax.jit
    def both(params, x):
        return problem.predict(params, x), problem.predict(params, x, problem.statistics(params, x))

    np.testing.assert_allclose(*both(params, x), rtol=1e-4, atol=1e-5)
    assert "bias" not in next(part for name, part in params.items() if name.startswith("conv"))
    assert (
        "statistics" not in params and problems.classification(model=network(), data=data).statistics is None
    )


def test_networks_without_it_have_no_statistics(float64):
    data = _data()
    problem = problems.classification(model=mlp((4,)), data=data)
    assert problem.statistics is None
    params = problem.init(jax.random.key(0))
    with pytest.raises(ValueError, match="Dense has no batch normalisation"):
        problem.predict(params, jnp.asarray(data.train["x"]), {})


def test_a_module_that_cannot_be_hashed_works_too(float64):
    problem = problems.classification(model=_Unhashable(np.array([4])), data=_data())
    params, x = problem.init(jax.random.key(0)), jnp.asarray(_data().train["x"])
    logits = problem.predict(params, x)
    np.testing.assert_allclose(logits.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(problem.predict(params, x, problem.statistics(params, x)), logits, rtol=1e-9)


def test_statistics_under_vmap_over_parameters(problem, params):
    """As a loss surface asks for them: recomputed at each of many interpolated parameters."""
    x = jnp.asarray(_data().train["x"])
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf, leaf + 0.1]), params)
    logits = jax.vmap(lambda p: problem.predict(p, x, problem.statistics(p, x)))(many)
    for i in range(3):
        expected, _ = _forward(jax.tree.map(lambda leaf, i=i: leaf[i], many), x)
        np.testing.assert_allclose(logits[i], expected, rtol=1e-9, atol=1e-12)


def test_a_training_with_batch_norm_and_dropout_replays_bit_for_bit(tmp_path):
    model = ("model=vgg", "model.filters=[3]", "model.depth=1", "model.batch_norm=true", "model.dropout=0.5")
    train = ("experiment=digits_cg", "optimizer=adam", "train.steps=12", "train.batches=40")
    run = record(tmp_path / "run", *train, *model, "train.descent_length=1")
    assert run.state == "finished"
    replay = Replay(tmp_path / "run")
    assert len(list(replay.steps(0, 12))) == 12
    report = replay.report()
    assert report.compared == 12 and report.different == 0
