"""The four kinds of networks: the same numbers as the module itself gives, in both precisions."""

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from gdlab.problems.modules import Pure, adapted
from gdlab.problems.networks import initial_parameters, layer_activations, outputs
from gdlab.training.collection import layer_names

X = np.linspace(-1, 1, 6).reshape(3, 2)


class Block(nnx.Module):
    def __init__(self, rngs):
        self.norm, self.up = nnx.LayerNorm(4, rngs=rngs), nnx.Linear(4, 4, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return x + self.dropout(self.up(self.norm(x)))


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(2, 4, rngs=rngs), nnx.Linear(4, 1, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(11)])

    def __call__(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


class WithStatistics(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(2, rngs=rngs)

    def __call__(self, x):
        return self.norm(x)


class Eqx(equinox.Module):
    mlp: equinox.nn.MLP
    dropout: equinox.nn.Dropout

    def __init__(self, key):
        self.mlp = equinox.nn.MLP(2, 1, 4, 2, key=key)
        self.dropout = equinox.nn.Dropout(0.5)

    def __call__(self, x, key=None):
        return self.mlp(self.dropout(x, key=key))


def pair():
    def init(key, example):
        return {"line": {"kernel": jax.random.normal(key, (example.shape[1], 1))}}

    return init, lambda params, x: x @ params["line"]["kernel"]


KINDS = {"nnx": Nnx, "equinox": Eqx, "pair": pair(), "linen": linen.Dense(1)}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_parameters_of_the_run_s_precision(kind, precision):
    start = drawn(kind, "float32")
    with jax.enable_x64(precision == "float64"):
        params = drawn(kind, precision)
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(precision)}
        # Random numbers of one's own functions are drawn as they draw them.
        for one, other in zip(jax.tree.leaves(start), jax.tree.leaves(params), strict=True):
            assert kind == "pair" or np.array_equal(np.asarray(one), np.asarray(other))
        found = jax.jit(lambda p, x: outputs(adapted(KINDS[kind]), p, x))(params, X)
        assert found.shape == (3, 1) and found.dtype == precision
        slope = jax.grad(lambda p: outputs(adapted(KINDS[kind]), p, jnp.asarray(X)).sum())(params)
        assert jax.tree.structure(slope) == jax.tree.structure(params)


def drawn(kind, precision):
    with jax.enable_x64(precision == "float64"):
        return initial_parameters(adapted(KINDS[kind]), X[:1])(jax.random.key(3))


def test_an_nnx_module_computes_what_it_computes():
    network = adapted(Nnx)
    params = network.init(jax.random.key(3), None)
    module = Nnx(nnx.Rngs(jax.random.key(3)))
    module.eval()
    x = jnp.asarray(X, jnp.float32)
    np.testing.assert_array_equal(network.apply(params, x), module(x))
    instance = adapted(module)
    np.testing.assert_array_equal(instance.apply(instance.init(jax.random.key(9), None), x), module(x))
    assert layer_names(params)[:3] == ("blocks/0/norm", "blocks/0/up", "blocks/1/norm")
    assert layer_names(params)[-3:] == ("blocks/10/up", "first", "last")
    found = layer_activations(network, params, x)
    np.testing.assert_allclose(found["first"], module.first(x), rtol=1e-6)
    assert "blocks/10/up" in found and "blocks/0/dropout" not in found
    assert "blocks/0/dropout" in layer_activations(network, params, x, dropout=True)


def test_an_equinox_module_computes_what_it_computes():
    network = adapted(Eqx)
    params = network.init(jax.random.key(3), None)
    module, x = equinox.nn.inference_mode(Eqx(jax.random.key(3))), jnp.asarray(X, jnp.float32)
    np.testing.assert_allclose(network.apply(params, x), jax.vmap(module)(x), rtol=1e-6)
    assert layer_names(params) == ("mlp/layers/0", "mlp/layers/1", "mlp/layers/2")
    found = jax.jit(lambda p: layer_activations(network, p, x))(params)
    np.testing.assert_allclose(found["mlp/layers/0"], jax.vmap(module.mlp.layers[0])(x), rtol=1e-5)


@pytest.mark.parametrize("kind", ["nnx", "equinox"])
def test_dropout_is_on_exactly_when_there_is_a_key(kind):
    network, x = adapted(KINDS[kind]), jnp.asarray(X, jnp.float32)
    params = network.init(jax.random.key(3), None)
    plain, one, same, other = (
        network.apply(params, x, key) for key in (None, *map(jax.random.key, (1, 1, 2)))
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any() and (one != plain).any()


def test_a_linen_module_stays_what_it_is():
    module = linen.Dense(1)
    assert adapted(module) is module and isinstance(adapted(pair()), Pure)


@pytest.mark.parametrize("wrong", [3, "mlp", lambda x: x, (1, 2)])
def test_what_is_no_network_is_refused(wrong):
    with pytest.raises(ValueError, match="is no network; allowed: a Linen module, an nnx module"):
        adapted(wrong)


def test_state_besides_the_parameters_is_refused():
    with pytest.raises(ValueError, match=r"keeps state besides its parameters \(BatchStat\)"):
        adapted(WithStatistics)
