"""Residual networks: the published numbers of parameters, the values of XLA's layers."""

import inspect
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from gdlab import models, problems
from gdlab.data import Dataset
from gdlab.models import resnet

CONF = Path(__file__).parents[2] / "conf" / "model"
NAMES = ("resnet18", "resnet20", "resnet50")
EPSILON = 1e-5  # of flax.linen.BatchNorm


def _shapes(network, side):
    x = jnp.zeros((1, side, side, 3))
    return jax.eval_shape(network.init, jax.random.key(0), x)["params"]


def _convolutions(params):
    return [leaf for leaf in jax.tree.leaves(params) if len(leaf.shape) == 4]


# Published: 0.27 M (He et al. 2016, Table 6), 11.69 M and 25.56 M (with batch normalisation, without its
# averages). ResNet-20 by hand: 3 x 3 x 3 x 16, six of 16 x 16, one and five of 32, one and five of 64,
# two numbers per filter for the normalisation, and the dense layer.
@pytest.mark.parametrize(
    ("network", "side", "parameters", "filters", "layers"),
    [
        (
            models.resnet20(),
            32,
            432 + 9 * (6 * 256 + 512 + 5 * 1024 + 2048 + 5 * 4096) + 2 * 7 * 16 + 2 * 6 * 96 + 650,
            688,
            19,
        ),
        (models.resnet20(shortcut="projection"), 32, 269722 + 16 * 32 + 32 * 64 + 2 * 96, 784, 21),
        (models.resnet18(), 224, 11_689_512, 4800, 20),
        (models.resnet50(), 224, 25_557_032, 26_560, 53),
        (models.resnet50(stride_on="1x1"), 224, 25_557_032, 26_560, 53),
        (models.resnet50(shortcut="identity"), 224, 25_557_032 - 2_768_896 - 2 * 3840, 22_720, 49),
    ],
)
def test_published_sizes(network, side, parameters, filters, layers):
    params = _shapes(network, side)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == parameters
    kernels = _convolutions(params)
    assert (sum(leaf.shape[-1] for leaf in kernels), len(kernels)) == (filters, layers)


def test_names_show_the_hierarchy():
    params = _shapes(models.resnet50(), 64)
    assert set(params) == {"conv1", "norm1", "stage1", "stage2", "stage3", "stage4", "dense1"}
    assert [len(params[f"stage{i}"]) for i in (1, 2, 3, 4)] == [3, 4, 6, 3]
    first = {"conv1", "conv2", "conv3", "norm1", "norm2", "norm3", "shortcut", "shortcut_norm"}
    assert set(params["stage1"]["block1"]) == first
    assert set(params["stage2"]["block4"]) == first - {"shortcut", "shortcut_norm"}


def _normalised(x, params):
    mean, variance = x.mean(axis=(0, 1, 2), keepdims=True), x.var(axis=(0, 1, 2), keepdims=True)
    scale, bias = (params[name].reshape(1, 1, 1, -1) for name in ("scale", "bias"))
    return (x - mean) / jnp.sqrt(variance + EPSILON) * scale + bias


def _layer(x, params, stride, conv="conv1", norm="norm1"):
    kernel = params[conv]["kernel"]
    border = [(kernel.shape[0] // 2,) * 2] * 2
    out = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), border, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return _normalised(out, params[norm])


def _reference(params, x, *, large, strides):
    """Logits of any of the networks by XLA's layers; strides: of the convolutions of a block."""
    x = jax.nn.relu(_layer(x, params, 2 if large else 1))
    if large:
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
    for stage in range(1, 5):
        for number, block in params.get(f"stage{stage}", {}).items():
            of_block = strides if stage > 1 and number == "block1" else [1] * len(strides)
            y = x
            for i, stride in enumerate(of_block, 1):
                y = _layer(y, block, stride, f"conv{i}", f"norm{i}")
                y = jax.nn.relu(y) if i < len(of_block) else y
            if "shortcut" in block:
                x = _layer(x, block, max(of_block), "shortcut", "shortcut_norm")
            elif x.shape != y.shape:
                x = x[:, :: max(of_block), :: max(of_block)]
                x = jnp.concatenate([x, jnp.zeros((*x.shape[:3], y.shape[3] - x.shape[3]))], axis=3)
            x = jax.nn.relu(x + y)
    return x.mean(axis=(1, 2)) @ params["dense1"]["kernel"] + params["dense1"]["bias"][None]


SMALL = {"filters": (3, 4), "blocks": (1, 2), "classes": 5}


@pytest.mark.parametrize(
    ("network", "side", "strides", "transform"),
    [
        (models.resnet20(**SMALL), 9, [2, 1], jax.value_and_grad),
        (models.resnet20(**SMALL, shortcut="projection"), 8, [2, 1], lambda f: f),
        (models.resnet18(**SMALL), 22, [2, 1], lambda f: f),
        (models.resnet50(**SMALL), 21, [1, 2, 1], jax.value_and_grad),
        (models.resnet50(**SMALL, stride_on="1x1"), 21, [2, 1, 1], lambda f: f),
        (models.resnet50(**SMALL, shortcut="identity"), 21, [1, 2, 1], lambda f: f),
    ],
    ids=["small", "projection", "basic", "bottleneck", "as published", "identity"],
)
def test_values_and_gradients_equal_those_of_xla(float64, network, side, strides, transform):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, side, side, 3))
    params = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape) / 2, _shapes(network, side))

    def ours(params):
        logits = network.apply({"params": params}, x, train=True, mutable=["batch_stats"])[0]
        return jnp.sum(jnp.sin(logits))

    def theirs(params):
        return jnp.sum(jnp.sin(_reference(params, x, large=network.large, strides=strides)))

    @jax.jit
    def both(params):
        return [transform(f)(params) for f in (ours, theirs)]

    found, expected = both(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9), found, expected)


@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (1, 7, 5, 2), (1, 1, 2, 1)])
def test_overlapping_max_pool_equals_flax(shape):
    x = jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)
    pools = (resnet.overlapping_max_pool, lambda x: nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))))

    @jax.jit
    def both(x):
        return [(pool(x), jax.grad(lambda x, pool=pool: jnp.sum(jnp.sin(pool(x))))(x)) for pool in pools]

    ours, theirs = both(x)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)


def test_the_first_kernels_have_the_variance_of_he():
    network = models.resnet20(filters=(64,), blocks=(1,))
    params = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 4, 4, 3)))["params"]
    kernel = params["stage1"]["block1"]["conv1"]["kernel"]
    assert np.var(kernel) == pytest.approx(2 / (9 * 64), rel=0.02)


def test_as_a_problem_it_has_statistics_and_an_activation_per_module():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 8, 8, 3)).astype(np.float32)
    y = np.arange(12, dtype=np.int32) % 4
    data = Dataset("toy", {"x": x, "y": y}, None, ("a", "b", "c", "d"))
    network = models.resnet20(filters=(2,), blocks=(1,), classes=4)
    problem = problems.classification(model=network, data=data)
    params = jax.jit(problem.init)(jax.random.key(0))
    found = jax.jit(problem.activations)(params, x)
    assert {"conv1", "norm1", "stage1", "stage1/block1", "stage1/block1/conv2", "dense1"} <= set(found)
    np.testing.assert_array_equal(found["stage1"], found["stage1/block1"])
    predict = jax.jit(problem.predict)
    measured = predict(params, x[:3], jax.jit(problem.statistics)(params, x))
    np.testing.assert_allclose(measured, predict(params, x)[:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: models.resnet20(filters=(16, 32)), ["filters = [16, 32]", "blocks = [3, 3, 3]"]),
        (lambda: models.resnet18(blocks=(2, 0, 2, 2)), ["blocks = [2, 0, 2, 2]"]),
        (lambda: models.resnet20(shortcut="padding"), ["shortcut = 'padding'", "identity, projection"]),
        (lambda: models.resnet50(stride_on="3"), ["stride_on = '3'", "3x3, 1x1"]),
        (lambda: models.resnet18(activation="rellu"), ["Did you mean 'relu'"]),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("name", NAMES)
def test_the_yaml_holds_the_defaults(name):
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    factory = getattr(models, name)
    assert config.pop("_target_") == f"gdlab.models.{name}"
    assert set(config) == set(inspect.signature(factory).parameters)
    assert factory(**config) == factory()
