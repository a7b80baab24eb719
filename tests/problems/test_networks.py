"""Problems with networks: values against NumPy formulas, gradients against differences, errors named."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax.flatten_util import ravel_pytree

from gdlab import problems
from gdlab.data import Dataset, galaxy
from gdlab.models import galaxy as galaxy_network
from gdlab.models import mlp
from gdlab.problems.scatter import scatter_ratio


@pytest.fixture(autouse=True)
def float64_and_explicit_broadcasting():
    with jax.enable_x64(True), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    train = {"x": rng.standard_normal((12, 3, 2)).astype(np.float32), "y": np.arange(12, dtype=np.int32) % 4}
    return Dataset("toy", train, None, ("a", "b", "c", "d"))


def test_classification_is_mean_cross_entropy(data):
    problem = problems.classification(model=mlp((5, 4)), data=data)
    params = problem.init(jax.random.key(0))
    assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(params))
    logits = np.asarray(problem.predict(params, jnp.asarray(data.train["x"])))
    assert logits.shape == (12, 4) and logits.dtype == np.float64
    expected = -scipy.special.log_softmax(logits, axis=1)[np.arange(12), data.train["y"]].mean()
    np.testing.assert_allclose(problem.loss(params, data.train), expected, rtol=1e-12)


def test_logits_are_those_of_the_weights(data):
    problem = problems.classification(model=mlp((5, 4), activation="relu"), data=data)
    params = jax.tree.map(np.asarray, problem.init(jax.random.key(1)))
    x = data.train["x"].reshape(12, 6).astype(np.float64)
    hidden = np.maximum(x @ params["dense1"]["kernel"] + params["dense1"]["bias"], 0)
    expected = hidden @ params["dense2"]["kernel"] + params["dense2"]["bias"]
    np.testing.assert_allclose(problem.predict(params, jnp.asarray(data.train["x"])), expected, rtol=1e-12)


def test_activations_name_every_layer(data):
    problem = problems.classification(model=mlp((5, 4)), data=data)
    params = problem.init(jax.random.key(0))
    x = jnp.asarray(data.train["x"])
    activations = problem.activations(params, x)
    assert {name: value.shape for name, value in activations.items()} == {
        "dense1": (12, 5),
        "dense2": (12, 4),
    }
    np.testing.assert_allclose(activations["dense2"], problem.predict(params, x))


def test_weight_decay_adds_half_the_squared_length(data):
    plain = problems.classification(model=mlp((4,)), data=data)
    decayed = problems.classification(model=mlp((4,)), data=data, weight_decay=0.1)
    params = plain.init(jax.random.key(0))
    flat, _ = ravel_pytree(params)
    difference = decayed.loss(params, data.train) - plain.loss(params, data.train)
    np.testing.assert_allclose(difference, 0.05 * np.sum(np.square(flat)), rtol=1e-10)


class _Dropout(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dropout(0.5, deterministic=not train)(x.reshape(x.shape[0], -1))
        return nn.Dense(4)(x)


def test_dropout_needs_a_key_and_follows_it(data):
    problem = problems.classification(model=_Dropout(), data=data)
    params = problem.init(jax.random.key(0))
    first, again, other = (problem.loss(params, data.train, key=jax.random.key(n)) for n in (1, 1, 2))
    still = problem.loss(params, data.train)
    assert first == again and first != other and still not in (first, other)


class _WithoutTrain(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(nn.BatchNorm(use_running_average=True, momentum=0.0)(x.reshape(x.shape[0], -1)))


class _RunningAverages(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(4)(nn.BatchNorm(use_running_average=not train)(x.reshape(x.shape[0], -1)))


class _Counter(nn.Module):
    @nn.compact
    def __call__(self, x):
        self.variable("calls", "count", lambda: jnp.zeros(()))
        return nn.Dense(4)(x.reshape(x.shape[0], -1))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda data: problems.classification(model=mlp((3,)), data=data), ["(1, 3)", "4 classes", "toy"]),
        (lambda data: problems.classification(model=_Counter(), data=data), ["_Counter", "calls"]),
        (
            lambda data: problems.classification(model=_WithoutTrain(), data=data),
            ["_WithoutTrain", "batch_stats", "train=False"],
        ),
        (
            lambda data: problems.classification(model=_RunningAverages(), data=data),
            ["_RunningAverages", "BatchNorm_0", "momentum = 0.99", "momentum=0.0"],
        ),
        (
            lambda data: problems.classification(model=mlp(), data=data, weight_decay=-1),
            ["weight_decay", "-1"],
        ),
        (
            lambda data: problems.discriminant(model=mlp(), data=data, reconstruction_weight=1.5),
            ["reconstruction_weight", "1.5", "[0, 1]"],
        ),
    ],
)
def test_wrong_arguments_are_named(data, make, words):
    with pytest.raises(ValueError) as error:
        make(data).init(jax.random.key(0))
    assert all(word in str(error.value) for word in words), error.value


def _scatter_ratio_by_loops(codes, labels):
    mean = codes.mean(axis=0)
    total = sum(np.outer(z - mean, z - mean) for z in codes)
    between = np.zeros_like(total)
    for label in np.unique(labels):
        members = codes[labels == label]
        offset = members.mean(axis=0) - mean
        between += len(members) * np.outer(offset, offset)
    return np.trace(np.linalg.inv(total) @ between) / codes.shape[1]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_scatter_ratio_against_loops(dimensions):
    rng = np.random.default_rng(dimensions)
    labels = rng.integers(0, 3, 40)
    codes = rng.standard_normal((40, dimensions)) + labels[:, None]
    ratio = scatter_ratio(jnp.asarray(codes), jnp.asarray(labels), 4)
    np.testing.assert_allclose(ratio, _scatter_ratio_by_loops(codes, labels), rtol=1e-12)
    assert 0 < ratio < 1


def test_scatter_ratio_of_perfect_classes_is_one():
    labels = np.repeat([0, 1, 2], 5)
    np.testing.assert_allclose(scatter_ratio(jnp.asarray(labels[:, None] * 1.0), jnp.asarray(labels), 3), 1.0)


def test_discriminant_is_the_formula_of_its_source():
    data = galaxy(n_per_class=20)
    problem = problems.discriminant(model=galaxy_network(), data=data, reconstruction_weight=0.3)
    params = problem.init(jax.random.key(0))
    x = jnp.asarray(data.train["x"])
    codes, rebuilt = galaxy_network().apply({"params": params}, x)
    mse = np.mean(np.sum((np.asarray(rebuilt) - data.train["x"]) ** 2, axis=1))
    ratio = _scatter_ratio_by_loops(np.asarray(codes), data.train["y"])
    expected = 0.3 * mse / (1 + mse) + 0.7 * (1 - ratio)
    np.testing.assert_allclose(problem.loss(params, data.train), expected, rtol=1e-12)
    assert problem.predict(params, x).shape == (60, 1)
    assert "encoder/dense1" in problem.activations(params, x)


def test_discriminant_gradient_against_differences():
    data = galaxy(n_per_class=20)
    problem = problems.discriminant(model=galaxy_network((6, 4)), data=data)
    params, unravel = ravel_pytree(problem.init(jax.random.key(0)))
    loss = jax.jit(lambda flat: problem.loss(unravel(flat), data.train))
    directions = np.random.default_rng(1).standard_normal((5, params.size))
    grad = np.asarray(jax.grad(loss)(params))
    for d in directions:
        difference = (loss(params + 1e-6 * d) - loss(params - 1e-6 * d)) / 2e-6
        np.testing.assert_allclose(grad @ d, difference, rtol=1e-6, atol=1e-9)


def test_the_galaxy_network_has_the_published_shape():
    params = galaxy_network().init(jax.random.key(0), jnp.zeros((1, 2)))["params"]
    shapes = [params[part][f"dense{i}"]["kernel"].shape for part in ("encoder", "decoder") for i in (1, 2, 3)]
    assert shapes == [(2, 40), (40, 20), (20, 1), (1, 20), (20, 40), (40, 2)]
    assert all(np.all(params[part]["dense1"]["bias"] == 0) for part in ("encoder", "decoder"))
