"""Layers equal Flax's own, parameters, results and gradients; networks have the published shapes."""

import inspect
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from gdlab import models
from gdlab.models import layers

CONF = Path(__file__).parents[2] / "conf" / "model"
CASES = [
    ((3, 3), (1, 1), "SAME"), ((3, 3), (1, 1), "VALID"), ((5, 5), (1, 1), "VALID"), ((3, 3), (2, 2), "SAME"),
    ((3, 2), (2, 3), "VALID"), ((2, 4), (1, 2), "SAME"), ((1, 1), (1, 1), "SAME"),
    ((3, 3), (1, 2), ((2, 0), (1, 3))),
]  # fmt: skip


@pytest.mark.parametrize("method", layers.METHODS)
@pytest.mark.parametrize(("kernel_size", "strides", "padding"), CASES)
def test_conv_equals_flax(float64, method, kernel_size, strides, padding):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 9, 8, 3))
    params = {"params": {"kernel": rng.standard_normal((*kernel_size, 3, 4)), "bias": rng.standard_normal(4)}}
    options = {"strides": strides, "padding": padding}
    networks = (models.Conv(4, kernel_size, **options, method=method), nn.Conv(4, kernel_size, **options))

    @jax.jit
    def both(params, x):
        def loss(params, x, network):
            out = network.apply(params, x)
            return jnp.sum(jnp.sin(out)), out

        return [jax.grad(loss, argnums=(0, 1), has_aux=True)(params, x, network) for network in networks]

    ours, theirs = both(params, x)
    assert ours[1].dtype == np.float64
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11), ours, theirs)


def test_conv_has_the_parameters_of_flax():
    x = jnp.ones((1, 6, 6, 2))
    ours, theirs = (layer(3, (3, 3)).init(jax.random.key(7), x) for layer in (models.Conv, nn.Conv))
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert "bias" not in models.Conv(3, (3, 3), use_bias=False).init(jax.random.key(0), x)["params"]


@pytest.mark.parametrize(("backend", "uses"), [("cpu", False), ("gpu", True), ("tpu", True)])
def test_the_backend_decides_when_traced(monkeypatch, backend, uses):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    jaxpr = jax.make_jaxpr(lambda x, kernel: layers.convolve(x, kernel))(
        jnp.ones((1, 5, 5, 1)), jnp.ones((3, 3, 1, 2))
    )
    assert ("conv_general_dilated" in str(jaxpr)) == uses


def test_conv_under_vmap_over_parameters():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 7, 7, 2)), jnp.float32)
    kernels = jnp.asarray(np.random.default_rng(1).standard_normal((3, 3, 3, 2, 5)), jnp.float32)
    together = jax.jit(jax.vmap(lambda kernel: layers.convolve(x, kernel)))(kernels)
    reference = jax.jit(lambda kernel: layers.convolve(x, kernel, method="xla"))
    apart = np.stack([reference(kernel) for kernel in kernels])
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "window"), [((2, 6, 8, 3), (2, 2)), ((2, 7, 5, 3), (2, 2)), ((1, 9, 7, 1), (3, 2))]
)
def test_max_pool_equals_flax(shape, window):
    x = jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)

    @jax.jit
    def both(x):
        pools = (lambda x: layers.max_pool(x, window), lambda x: nn.max_pool(x, window, window))
        return [(pool(x), jax.grad(lambda x, pool=pool: jnp.sum(jnp.sin(pool(x))))(x)) for pool in pools]

    ours, theirs = both(x)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)


def _count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("network", "size", "parameters"),
    [
        (models.lenet5(), 32, 61706),
        (models.modified_lenet(), 32, 1830),
        (models.modified_lenet(), 28, 1530),
        (models.mlp((32, 10)), 8, 64 * 32 + 32 + 330),
    ],
)
def test_parameter_counts(network, size, parameters):
    x = jnp.zeros((1, size, size, 1))
    logits, variables = jax.eval_shape(lambda: network.init_with_output(jax.random.key(0), x))
    assert _count(variables["params"]) == parameters
    assert logits.shape == (1, 10)


def test_lenet_equals_the_same_net_of_flax_layers():
    class Reference(nn.Module):
        @nn.compact
        def __call__(self, x):
            for number, filters in enumerate((6, 16)):
                x = nn.Conv(filters, (5, 5), padding="VALID", name=f"conv{number + 1}")(x)
                x = nn.max_pool(nn.relu(x), (2, 2), (2, 2))
            x = x.reshape(x.shape[0], -1)
            for number, width in enumerate((120, 84)):
                x = nn.relu(nn.Dense(width, name=f"dense{number + 1}")(x))
            return nn.Dense(10, name="dense3")(x)

    x = jnp.asarray(np.random.default_rng(0).standard_normal((3, 28, 28, 1)), jnp.float32)
    ours, theirs = (network.init(jax.random.key(2), x) for network in (models.lenet5(), Reference()))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    np.testing.assert_allclose(
        models.lenet5().apply(ours, x), Reference().apply(ours, x), rtol=1e-4, atol=1e-5
    )


def test_dropout_before_the_dense_part():
    network = models.modified_lenet(dropout=0.5)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((3, 28, 28, 1)), jnp.float32)
    variables = jax.jit(network.init)(jax.random.key(0), x)
    trained = jax.jit(lambda key: network.apply(variables, x, train=True, rngs={"dropout": key}))
    first, second = trained(jax.random.key(1)), trained(jax.random.key(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(network.apply(variables, x), models.modified_lenet().apply(variables, x))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: models.mlp(activation="rellu"), ["rellu", "Did you mean 'relu'"]),
        (lambda: models.lenet5(dropout=1.0), ["dropout = 1.0", "[0, 1)"]),
        (
            lambda: layers.convolve(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 2, 1))),
            ["(1, 4, 4, 1)", "(3, 3, 2, 1)"],
        ),
        (
            lambda: layers.convolve(jnp.ones((1, 2, 4, 1)), jnp.ones((3, 3, 1, 1)), padding="VALID"),
            ["(2, 4)", "VALID"],
        ),
        (
            lambda: layers.convolve(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), method="fft"),
            ["fft", "patches"],
        ),
        (lambda: layers.max_pool(jnp.ones((1, 1, 4, 1))), ["(2, 2)", "(1, 4)"]),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("name", ["mlp", "galaxy", "lenet5", "modified_lenet"])
def test_the_yaml_holds_the_defaults(name):
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    factory = getattr(models, name)
    assert config.pop("_target_") == f"gdlab.models.{name}"
    assert set(config) == set(inspect.signature(factory).parameters)
    assert factory(**config) == factory()
