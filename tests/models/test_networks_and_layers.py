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


# Counted by hand: (rows x columns x inputs + 1) x filters; 32 shrinks to 15, 6, 2 with 3 x 3 and pooling.
@pytest.mark.parametrize(
    ("network", "shape", "parameters"),
    [
        (models.lenet5(), (32, 32, 1), 61706),
        (models.lenet5(batch_norm=True), (32, 32, 1), 61706 + 22),
        (models.modified_lenet(), (32, 32, 1), 1830),
        (models.modified_lenet(), (28, 28, 1), 1530),
        (models.modified_lenet(), (32, 32, 3), 28 * 5 + 46 * 10 + 91 * 10 + 41 * 10),
        (models.tiny_cnn(), (32, 32, 1), 30 + 84 + 84 + 130),
        (models.tiny_cnn(), (32, 32, 3), 84 + 84 + 84 + 130),
        (models.tiny_cnn(classes=100), (32, 32, 3), 84 + 84 + 84 + 1300),
        (models.tiny_nn(), (32, 32, 1), 10250),
        (models.tiny_nn(), (32, 32, 3), 30730),
        (models.vgg(), (32, 32, 1), 160 + 2320 + 4640 + 9248 + 18496 + 36928 + 10250),
        (models.vgg(), (32, 32, 3), 448 + 2320 + 4640 + 9248 + 18496 + 36928 + 10250),
        (models.vgg(batch_norm=True), (32, 32, 3), 82330 + 16 * 2 + 32 * 2 + 64 * 2),
        (models.mlp((32, 10)), (8, 8, 1), 64 * 32 + 32 + 330),
    ],
)
def test_parameter_counts(network, shape, parameters):
    x = jnp.zeros((1, *shape))
    logits, variables = jax.eval_shape(lambda: network.init_with_output(jax.random.key(0), x))
    assert _count(variables["params"]) == parameters
    assert logits.shape == (1, network.features[-1] if isinstance(network, models.Dense) else network.classes)


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


def _conv(x, kernel, bias, border):
    """Cross-correlation by its definition, one output pixel after another."""
    x = np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))
    rows, columns = x.shape[1] - kernel.shape[0] + 1, x.shape[2] - kernel.shape[1] + 1
    out = np.empty((len(x), rows, columns, kernel.shape[3]))
    for i in range(rows):
        for j in range(columns):
            window = x[:, i : i + kernel.shape[0], j : j + kernel.shape[1]]
            out[:, i, j] = np.tensordot(window, kernel, axes=3) + bias
    return out


def _pool(x):
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    return np.maximum.reduce([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])


@pytest.mark.parametrize(
    ("network", "side", "layers_of", "border", "slope"),
    [
        (models.tiny_cnn(), 22, ["conv1", "pool", "conv2", "pool", "conv3", "pool"], 0, 0.1),
        (models.vgg((4, 5)), 8, ["conv1_1", "conv1_2", "pool", "conv2_1", "conv2_2", "pool"], 1, 0.0),
    ],
    ids=["tiny_cnn", "vgg"],
)
def test_a_network_equals_its_definition_in_numpy(float64, network, side, layers_of, border, slope):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, side, side, 3))
    params = jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape) / 3, network.init(jax.random.key(0), x)["params"]
    )
    found = jax.jit(lambda params, x: network.apply({"params": params}, x))(params, x)
    for layer in layers_of:
        if layer == "pool":
            x = _pool(x)
        else:
            x = _conv(x, params[layer]["kernel"], params[layer]["bias"], border)
            x = np.where(x > 0, x, slope * x)
    expected = x.reshape(2, -1) @ params["dense1"]["kernel"] + params["dense1"]["bias"]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_tiny_nn_is_one_matrix():
    network, x = models.tiny_nn(classes=3), np.random.default_rng(0).standard_normal((5, 4, 4, 1))
    params = network.init(jax.random.key(0), x)["params"]
    assert list(params) == ["dense1"]
    expected = x.reshape(5, 16) @ np.asarray(params["dense1"]["kernel"]) + np.asarray(
        params["dense1"]["bias"]
    )
    np.testing.assert_allclose(network.apply({"params": params}, x), expected, rtol=1e-5, atol=1e-6)


DROPPING = [
    (models.lenet5, {"filters": [2], "dense": [3]}),
    (models.modified_lenet, {"filters": [2]}),
    (models.tiny_cnn, {"filters": [2]}),
    (models.tiny_nn, {}),
    (models.vgg, {"filters": [2], "depth": 1}),
]


@pytest.mark.parametrize(("factory", "options"), DROPPING, ids=[factory.__name__ for factory, _ in DROPPING])
def test_dropout_follows_the_key_alone(factory, options):
    network = factory(**options, dropout=0.5)
    x = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    variables = jax.jit(network.init)(jax.random.key(0), x)
    apply = jax.jit(network.apply, static_argnames="train")
    rngs = {"dropout": jax.random.key(1)}
    with_key = [apply(variables, x, train=train, rngs=rngs) for train in (True, False)]
    np.testing.assert_array_equal(*with_key)
    without = [apply(variables, x, train=train) for train in (True, False)]
    np.testing.assert_array_equal(*without)
    assert not np.array_equal(with_key[0], without[0])


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
        (lambda: models.tiny_cnn(slope=1.0), ["slope = 1.0", "(-1, 1)"]),
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


@pytest.mark.parametrize("name", ["galaxy", "lenet5", "mlp", "modified_lenet", "tiny_cnn", "tiny_nn", "vgg"])
def test_the_yaml_holds_the_defaults(name):
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    factory = getattr(models, name)
    assert config.pop("_target_") == f"gdlab.models.{name}"
    assert set(config) == set(inspect.signature(factory).parameters)
    assert factory(**config) == factory()
