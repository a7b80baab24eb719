"""Losses of five kinds of models, each as its library's users write it, with an example of what it takes."""

from typing import NamedTuple

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx


class Model(NamedTuple):
    """loss(params, batch[, aux]), predict(params, x[, aux]); aux None for those that take none."""

    loss: object
    predict: object
    params: object
    batch: object
    x: object
    aux: object = None


def cross_entropy(logits, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def images(count=12):
    x = jax.random.normal(jax.random.key(1), (count, 8, 8, 1))
    return {"x": x, "y": jnp.arange(count) % 4}


class Convolutions(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv")(x))
        x = nn.avg_pool(x, (2, 2), (2, 2))
        return nn.Dense(4, name="head")(x.reshape(x.shape[0], -1))


def linen():
    network, batch = Convolutions(), images()
    params = network.init(jax.random.key(0), batch["x"])["params"]

    def predict(params, x):
        return network.apply({"params": params}, x)

    def loss(params, batch):
        return cross_entropy(predict(params, batch["x"]), batch["y"]), {"more": jnp.zeros(3)}

    return Model(loss, predict, params, batch, batch["x"])


class Regularised(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(64, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Linear(16, 4, rngs=rngs)

    def __call__(self, x):
        x = self.first(x.reshape(x.shape[0], -1))
        return self.second(self.drop(nnx.relu(self.norm(x))))


def nnx_module():
    """Dropout's key and the averages of batch normalisation are its aux."""
    model, batch = Regularised(nnx.Rngs(0)), images()
    structure, params, rest = nnx.split(model, nnx.Param, ...)

    def predict(params, x, rest):
        model = nnx.merge(structure, params, rest)
        model.eval()
        return model(x)

    def loss(params, batch, rest):
        model = nnx.merge(structure, params, rest, copy=True)
        model.train()
        return cross_entropy(model(batch["x"]), batch["y"])

    return Model(loss, predict, params, batch, batch["x"], rest)


def equinox_module():
    model = eqx.nn.MLP(64, 4, 16, 2, key=jax.random.key(0))
    params, rest = eqx.partition(model, eqx.is_array)
    batch = images()

    def predict(params, x):
        return jax.vmap(eqx.combine(params, rest))(x.reshape(x.shape[0], -1))

    def loss(params, batch):
        x, y = batch
        return cross_entropy(predict(params, x), y)

    return Model(loss, predict, params, (batch["x"], batch["y"]), batch["x"])


class Block(nn.Module):
    @nn.compact
    def __call__(self, x):
        mask = nn.make_causal_mask(x[..., 0])
        x = x + nn.MultiHeadDotProductAttention(2, name="attention")(nn.LayerNorm()(x), mask=mask)
        return x + nn.Dense(8)(nn.gelu(nn.Dense(32)(nn.LayerNorm()(x))))


class Transformer(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        embed = nn.Embed(11, 8)
        x = embed(tokens) + self.param("place", nn.initializers.normal(0.1), (tokens.shape[1], 8))[None]
        x = Block(name="block")(x)
        return embed.attend(nn.LayerNorm()(x))


def transformer():
    network = Transformer()
    tokens = jax.random.randint(jax.random.key(2), (6, 7), 0, 11)
    params = network.init(jax.random.key(0), tokens)["params"]

    def predict(params, tokens):
        return network.apply({"params": params}, tokens)

    def loss(params, batch):
        return cross_entropy(predict(params, batch["tokens"])[:, :-1], batch["tokens"][:, 1:])

    return Model(loss, predict, params, {"tokens": tokens}, tokens)


def plain_function():
    """Nested dicts and a list of more than ten, whose order as texts is another."""
    keys = jax.random.split(jax.random.key(0), 12)
    layers = [{"w": jax.random.normal(key, (3, 3)) / 2, "count": jnp.int32(2)} for key in keys]
    params = {"layers": layers, "head": {"w": jnp.ones(3), "b": jnp.zeros(())}}
    batch = {"inputs": {"x": jax.random.normal(keys[0], (5, 3))}, "y": jnp.linspace(-1, 1, 5)}

    def predict(params, x):
        counts, ws = (jnp.stack([layer[name] for layer in params["layers"]]) for name in ("count", "w"))
        x = jnp.tanh(x @ jnp.tensordot(counts * jnp.cos(jnp.arange(12)), ws, 1))
        return x @ params["head"]["w"] + params["head"]["b"]

    def loss(params, batch):
        return jnp.mean((predict(params, batch["inputs"]["x"]) - batch["y"]) ** 2)

    return Model(loss, predict, params, batch, batch["inputs"]["x"])


ALL = {
    "linen": linen,
    "nnx": nnx_module,
    "equinox": equinox_module,
    "transformer": transformer,
    "plain": plain_function,
}
