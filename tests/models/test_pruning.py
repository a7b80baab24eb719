"""Smaller networks against the whole one with the same filters silenced by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import models
from gdlab.models.pruning import narrowed, prune


def drawn(model, shape, seed=0):
    """(x [5, *shape], parameters of random numbers, biases too)."""
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.normal(size=(5, *shape)), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
    return x, jax.tree.map(lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32), shapes)


def applied(model, params, x, **options):
    normalises = any(
        "norm" in jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(params)
    )
    if not normalises:
        return model.apply({"params": params}, x, **options)
    return model.apply({"params": params}, x, train=True, mutable=["batch_stats"], **options)[0]


def silenced(model, params, x, filters):
    """The network's output where what is behind filters, or behind their normalisation, is 0."""
    behind = {name.replace("conv", "norm"): f for name, f in filters.items()}

    def silence(call, args, kwargs, context):
        out = call(*args, **kwargs)
        name = "/".join(context.module.path)
        here = behind if isinstance(context.module, nn.BatchNorm) else filters
        return out.at[..., np.array(here[name], int)].set(0) if name in here else out

    with nn.intercept_methods(silence):
        return applied(model, params, x)


@pytest.mark.parametrize(
    ("model", "shape", "filters"),
    [
        (models.lenet5(), (32, 32, 1), {"conv1": [0, 3], "conv2": [5], "dense1": [1, 2, 119]}),
        (models.lenet5(activation="tanh"), (32, 32, 1), {"conv1": [5], "dense2": [0]}),
        (models.modified_lenet(batch_norm=True), (32, 32, 1), {"conv1": [0, 3], "conv2": [1], "conv3": [9]}),
        (models.hamid_cifar(filters=(4, 5, 6), dense=(7,)), (32, 32, 3), {"conv1": [3], "conv3": [0, 5]}),
        (models.mlp(features=(9, 8, 4)), (6,), {"dense1": [2, 7]}),
        (models.resnet20(filters=(4, 6, 8), blocks=(1, 1, 1)), (16, 16, 3), {"stage2/block1/conv1": [0, 3]}),
    ],
)
def test_the_rest_computes_what_it_did(model, shape, filters):
    x, params = drawn(model, shape)
    pruned = prune(model, params, x[:1], filters)
    assert {name: found.tolist() for name, found in pruned.removed.items()} == filters and not pruned.kept
    with narrowed(pruned.widths):
        found = applied(model, pruned.params, x)
    np.testing.assert_allclose(found, silenced(model, params, x, filters), rtol=1e-4, atol=1e-5)
    before, after = (sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (params, pruned.params))
    assert after < before
    assert applied(model, params, x).shape == found.shape  # and nothing of it stays behind


def test_outputs_shortcuts_and_the_last_filter_stay():
    model = models.resnet20(filters=(4, 6, 8), blocks=(1, 1, 1))
    x, params = drawn(model, (16, 16, 3))
    wanted = {"conv1": [0], "stage1/block1/conv2": [0], "stage1/block1/conv1": [0, 1, 2, 3], "dense1": [4]}
    pruned = prune(model, params, x[:1], wanted)
    assert {k: v.tolist() for k, v in pruned.removed.items()} == {"stage1/block1/conv1": [0, 1, 2]}
    assert {k: v.tolist() for k, v in pruned.kept.items()} == {
        "conv1": [0], "stage1/block1/conv2": [0], "stage1/block1/conv1": [3], "dense1": [4]
    }  # fmt: skip
    assert pruned.widths == {"stage1/block1/conv1": 1}


class Mixing(nn.Module):
    """Layers whose filters cannot be told apart behind them: by layer normalisation, a product, groups."""

    @nn.compact
    def __call__(self, x):
        x = nn.LayerNorm(name="norm")(nn.Dense(4, name="normalised")(x))
        x = nn.relu(nn.Dense(3, name="gate")(x)) * nn.Dense(3, name="gated")(x)
        x = nn.Conv(4, (1,), name="before_groups")(x[:, None])
        x = nn.Conv(4, (1,), feature_group_count=2, name="groups")(x)
        return nn.Dense(2, name="end")(x[:, 0])


def test_what_is_mixed_stays_and_what_is_not_goes():
    model = Mixing()
    x, params = drawn(model, (5,))
    asked = {name: [1] for name in ("normalised", "gate", "gated", "before_groups", "groups")}
    pruned = prune(model, params, x[:1], asked)
    assert set(pruned.kept) == set(asked) - {"groups"} and set(pruned.removed) == {"groups"}
    with pytest.raises(ValueError, match="there is no layer 'conv9'"):
        prune(model, params, x[:1], {"conv9": [0]})
    with pytest.raises(ValueError, match="filters of end: allowed: 0 to 1"):
        prune(model, params, x[:1], {"end": [2]})
