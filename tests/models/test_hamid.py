"""The networks of Hamid et al. 2019: pooling and the whole against Flax's own layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import models
from gdlab.models.hamid import overlapping_pool


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (1, 7, 5, 2), (2, 5, 4, 1), (1, 2, 3, 1)])
def test_pooling_equals_flax(float64, shape, mean):
    x = jnp.asarray(np.random.default_rng(0).standard_normal(shape))
    border = [(0, 1 - extent % 2) for extent in shape[1:3]]

    def theirs(x):
        if mean:
            return nn.avg_pool(x, (3, 3), (2, 2), border, count_include_pad=False)
        return nn.max_pool(x, (3, 3), (2, 2), border)

    @jax.jit
    def both(x):
        pools = (lambda x: overlapping_pool(x, mean), theirs)
        return [(pool(x), jax.grad(lambda x, pool=pool: jnp.sin(pool(x)).sum())(x)) for pool in pools]

    ours, reference = both(x)
    assert ours[0].shape == (shape[0], shape[1] // 2, shape[2] // 2, shape[3])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), ours, reference)


def test_cifar_equals_the_same_net_of_flax_layers():
    class Reference(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(3, (5, 5), name="conv1")(x))
            x = nn.max_pool(x, (3, 3), (2, 2), ((0, 1), (0, 1)))
            for number, filters in ((2, 4), (3, 5)):
                x = nn.relu(nn.Conv(filters, (5, 5), name=f"conv{number}")(x))
                x = nn.avg_pool(x, (3, 3), (2, 2), ((0, 1), (0, 1)), count_include_pad=False)
            x = nn.relu(nn.Dense(6, name="dense1")(x.reshape(x.shape[0], -1)))
            return nn.Dense(10, name="dense2")(x)

    network, x = models.hamid_cifar((3, 4, 5), (6,)), np.random.default_rng(0).random((2, 16, 16, 3))
    x = jnp.asarray(x, jnp.float32)
    params, reference = (jax.jit(net.init)(jax.random.key(2), x) for net in (network, Reference()))
    jax.tree.map(np.testing.assert_array_equal, params, reference)
    ours, theirs = (jax.jit(net.apply)(params, x) for net in (network, Reference()))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "shape", "parameters"),
    [
        # Counted by hand: 28 -> 24 -> 12 -> 8 -> 4; 32 -> 16 -> 8 -> 4.
        (models.hamid_mnist(), (28, 28, 1), 520 + 25_050 + 801 * 500 + 5_010),
        (models.hamid_cifar(), (32, 32, 3), 2_432 + 25_632 + 51_264 + 1025 * 64 + 650),
    ],
)
def test_parameters_and_activations_before_the_relu(network, shape, parameters):
    x = jnp.zeros((1, *shape))
    logits, state = jax.eval_shape(
        lambda: network.init_with_output(jax.random.key(0), x, capture_intermediates=True)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(state["params"])) == parameters
    assert logits.shape == (1, 10)
    convolutions = [name for name in state["intermediates"] if name.startswith("conv")]
    filters = [state["intermediates"][name]["__call__"][0].shape[-1] for name in convolutions]
    assert filters == list(network.filters)


def test_dropout_and_activation_are_checked():
    for factory in (models.hamid_mnist, models.hamid_cifar):
        with pytest.raises(ValueError, match="dropout = 1"):
            factory(dropout=1)
        with pytest.raises(ValueError, match="Did you mean 'relu'"):
            factory(activation="reluu")
