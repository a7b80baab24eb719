"""Losses of many parameter vectors equal the loss of each, however they are computed."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from gdlab.data.dataset import Dataset
from gdlab.models import lenet
from gdlab.models.images_last import images_last, to_images_last
from gdlab.probes.vectors.losses import SAMPLES_TOGETHER, Losses
from gdlab.problems import classification, rosenbrock
from gdlab.records import Problem

LAYOUT = images_last, to_images_last


def images(count, size=16, channels=1):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, size, size, channels), np.float32)
    return {"x": x, "y": rng.integers(0, 10, count).astype(np.int32)}


def network(model, data):
    """(problem, unravel, parameter vectors [5, p]) around the first parameters."""
    dataset = Dataset("noise", data, None, tuple("0123456789"))
    problem = classification(model=model, data=dataset)
    vector, unravel = ravel_pytree(jax.jit(problem.init)(jax.random.key(0)))
    nudges = np.random.default_rng(1).standard_normal((5, vector.size), np.float32)
    return problem, unravel, np.asarray(vector) + 0.1 * nudges


def one_by_one(problem, unravel, vectors, data):
    loss = jax.jit(lambda vector: problem.loss(unravel(vector), data, key=None))
    return np.array([float(loss(vector)) for vector in vectors])


@pytest.mark.parametrize("layout", [None, LAYOUT], ids=["plain", "images last"])
@pytest.mark.parametrize("count", [120, 7])
def test_they_are_the_losses_one_by_one(layout, count):
    data = images(count)
    problem, unravel, vectors = network(lenet.modified_lenet(filters=(2, 2)), data)
    losses = Losses(problem, unravel, data, layout=layout)
    mean, *_ = losses(vectors)
    np.testing.assert_allclose(mean, one_by_one(problem, unravel, vectors, data), rtol=1e-6)
    assert (losses.context is images_last) == (layout is not None)


@pytest.mark.parametrize(
    "model",
    [
        lenet.tiny_nn(),
        lenet.tiny_cnn(filters=(2, 2)),
        lenet.modified_lenet(filters=(2, 3), dropout=0.5),
        lenet.modified_lenet(filters=(2,), batch_norm=True),
    ],
    ids=["dense", "leaky", "dropout", "batch norm"],
)
def test_a_layout_that_a_network_does_not_know_changes_nothing(model):
    data = images(60, channels=3)
    problem, unravel, vectors = network(model, data)
    mean, *_ = Losses(problem, unravel, data, layout=LAYOUT)(vectors)
    np.testing.assert_allclose(mean, one_by_one(problem, unravel, vectors, data), rtol=1e-5)


def test_images_last_is_another_order_of_the_same_sums():
    data, model = images(4, size=9), lenet.modified_lenet(filters=(2,))
    _, unravel, vectors = network(model, data)
    params, x = unravel(jnp.asarray(vectors[0])), jnp.asarray(data["x"])

    def outputs(images):
        return jax.jit(lambda x: model.apply({"params": params}, x))(images)

    expected = outputs(x)
    with images_last():
        found = outputs(x.transpose(3, 1, 2, 0))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(outputs(x), expected)


def test_a_loss_that_is_no_mean_is_taken_on_all_examples_at_once():
    data = {"x": np.random.default_rng(0).standard_normal((130, 3), np.float32)}

    def loss(params, batch, *, key=None):
        return jnp.var(batch["x"] @ params)

    vectors = np.random.default_rng(1).standard_normal((4, 3), np.float32)
    losses = Losses(Problem(None, loss), lambda v: v, data)
    mean, deviation, error = losses(vectors)
    np.testing.assert_allclose(mean, (data["x"] @ vectors.T).var(axis=0), rtol=1e-5)
    assert losses.block == 130 <= SAMPLES_TOGETHER and not losses.additive
    assert np.isnan(deviation).all() and np.isnan(error).all()
    deviation, error = losses.resampled(vectors, 400, seed=3)
    drawn = np.random.default_rng(7).integers(130, size=(4000, 130))
    bootstrap = (data["x"] @ vectors.T)[drawn].var(axis=1).std(axis=0)
    assert (np.abs(deviation - bootstrap) < 4 * error).all() and (error < 0.06 * deviation).all()
    np.testing.assert_array_equal(losses(vectors)[0], mean)  # the examples are back


@pytest.mark.parametrize("count", [400, 4000, 40_000])
def test_the_deviation_is_that_of_a_bootstrap_over_examples(count):
    rng = np.random.default_rng(0)
    data = {"x": rng.exponential(size=(count, 1)).astype(np.float32)}

    def loss(params, batch, *, key=None):
        return jnp.mean(batch["x"]) * params[0]

    losses = Losses(Problem(None, loss), lambda v: v, data)
    mean, deviation, error = losses(np.array([[1.0], [3.0]], np.float32))
    np.testing.assert_allclose(mean, data["x"].mean() * np.array([1, 3]), rtol=1e-5)
    # What a bootstrap of ever more draws tends to; 64 blocks or more know it to 10 percent.
    bootstrap = data["x"].std() / np.sqrt(count) * np.array([1, 3])
    assert (error < 0.11 * bootstrap).all() and (np.abs(deviation - bootstrap) < 3 * error).all()


def test_a_problem_without_data_and_losses_that_are_not_finite():
    problem = rosenbrock()
    losses = Losses(problem, lambda v: v, None)
    mean, deviation, _ = losses(np.array([[-1.2, 1.0], [1.0, 1.0], [1e30, 0.0]], np.float32))
    np.testing.assert_allclose(mean[:2], [24.2, 0.0], rtol=1e-6)
    assert not np.isfinite(mean[2]) and np.isnan(deviation).all()


def test_dropout_is_noticed():
    data = images(4)
    for rate in (0.0, 0.5):
        problem, unravel, vectors = network(lenet.modified_lenet(filters=(2,), dropout=rate), data)
        losses = Losses(problem, unravel, data)
        assert losses.random(unravel(jnp.asarray(vectors[0]))) == (rate > 0)
    masks = [losses(vectors, jax.random.key(seed))[0] for seed in (0, 1)]
    assert (masks[0] != masks[1]).all()


SHARDED = """
import numpy as np, jax, jax.numpy as jnp
from gdlab.records import Problem
from gdlab.probes.vectors.losses import Losses
rng = np.random.default_rng(0)
data = {"x": rng.standard_normal((130, 6)).astype("f4")}
def loss(params, batch, *, key=None):
    return jnp.mean(jnp.tanh(batch["x"] @ params) ** 2)
vectors = rng.standard_normal((21, 6)).astype("f4")
assert len(jax.devices()) == 8
every = Losses(Problem(None, loss), lambda v: v, data)
single = Losses(Problem(None, loss), lambda v: v, data, devices=jax.devices()[:1])
for one, other in zip(every(vectors), single(vectors)):
    np.testing.assert_array_equal(one, other)
assert every.points == 8 * single.points
"""


def test_eight_devices_give_the_values_of_one():
    flags = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    done = subprocess.run([sys.executable, "-c", SHARDED], env=flags, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
