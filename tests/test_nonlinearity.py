"""What lies behind a layer's output is found in the program, whatever the network is made of."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import models
from gdlab.models.layers import ACTIVATIONS
from gdlab.monitors.nonlinearity import with_outputs
from gdlab.problems.networks import layer_activations

X = np.random.default_rng(0).normal(size=(5, 8, 8, 2)).astype(np.float32)


def told(model):
    """({layer: values}, {layer: values behind}) of a network at its start, within a jit as in dumps."""
    params = model.init(jax.random.key(0), X)["params"]
    return jax.jit(lambda params, x: with_outputs(lambda p, x: layer_activations(model, p, x), params, x))(
        params, X
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_function_is_found(activation):
    function = getattr(nn, activation)

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = function(nn.Conv(3, (3, 3), name="conv")(x)).reshape(x.shape[0], -1)
            return nn.Dense(4, name="top")(nn.Dropout(0.5, deterministic=True)(x))

    values, behind = told(Network())
    assert set(values) == set(behind) == {"conv", "top"}
    np.testing.assert_allclose(behind["conv"], function(values["conv"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(behind["top"], values["top"])


class Residual(nn.Module):
    """conv, norm, ReLU; conv, norm, plus what came in, ReLU."""

    @nn.compact
    def __call__(self, x):
        y = nn.relu(nn.LayerNorm(name="norm1")(nn.Conv(2, (3, 3), name="conv1")(x)))
        y = nn.LayerNorm(name="norm2")(nn.Conv(2, (3, 3), name="conv2")(y))
        return nn.relu(x + y)


class Tower(nn.Module):
    @nn.compact
    def __call__(self, x):
        for number in (1, 2):
            x = Residual(name=f"block{number}")(x)
        x = nn.max_pool(nn.Conv(3, (3, 3), name="last")(x), (2, 2), (2, 2))
        return nn.Dense(2, name="top")(nn.relu(x).mean(axis=(1, 2)))


def test_normalisations_shortcuts_and_poolings_are_passed():
    values, behind = told(Tower())
    came = X
    for number in (1, 2):
        block = f"block{number}"
        first = np.maximum(values[f"{block}/norm1"], 0)
        for name in ("conv1", "norm1"):
            np.testing.assert_array_equal(behind[f"{block}/{name}"], first)
        out = np.maximum(came + values[f"{block}/norm2"], 0)
        for name in ("conv2", "norm2"):
            np.testing.assert_allclose(behind[f"{block}/{name}"], out, rtol=1e-6)
        # A block that ends with its nonlinearity stands for itself.
        np.testing.assert_array_equal(behind[block], values[block])
        came = out
    pooled = np.asarray(values["last"]).reshape(5, 4, 2, 4, 2, 3).max(axis=(2, 4))
    np.testing.assert_array_equal(behind["last"], np.maximum(pooled, 0))
    np.testing.assert_array_equal(behind["top"], values["top"])


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        (models.lenet5(dropout=0.5), {"dense3"}),
        (models.modified_lenet(batch_norm=True), {"dense1"}),
        (models.tiny_cnn(), {"dense1"}),
        (models.vgg(filters=[2, 3], depth=2), {"dense1"}),
        (models.hamid_cifar(filters=[2, 3], dense=[4]), {"dense2"}),
        (models.mlp(features=[5, 4], activation="relu"), {"dense2"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_of_gdlabs_networks_the_last_layer_alone_has_none(model, plain):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 32, 32, 1)), jnp.float32)
    params = model.init(jax.random.key(0), x)["params"]
    values, behind = with_outputs(lambda p, x: layer_activations(model, p, x), params, x)
    same = {
        name
        for name in values
        if values[name].shape == behind[name].shape and np.array_equal(values[name], behind[name])
    }
    # Values that are all positive are the same behind a ReLU.
    bent = {name for name in values if (np.asarray(values[name]) < 0).any()} - plain
    assert plain <= same and bent and not same & bent
    assert not any("Dropout" in name for name in values)
