"""The transformer against one written out in NumPy, and what it may look at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.models import gpt
from gdlab.models.transformer import SIZES
from gdlab.problems.modules import adapted


def normalised(x, part):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * part["scale"] + part["bias"]


def linear(x, part):
    return x @ part["kernel"] + part["bias"]


def attention(x, part, heads):
    """Each character by itself, each head by itself."""
    query, key, value = (linear(x, part[name]) for name in ("query", "key", "value"))
    out, width = np.zeros_like(x), x.shape[1] // heads
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        for t in range(len(x)):
            score = np.array([query[t, own] @ key[s, own] for s in range(t + 1)]) / np.sqrt(width)
            weight = np.exp(score - score.max())
            out[t, own] = weight @ value[: t + 1, own] / weight.sum()
    return linear(out, part["out"])


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def logits(params, tokens, heads):
    x = params["embed"]["embedding"][tokens] + params["position"]["embedding"][: len(tokens)]
    for block in params["blocks"].values():
        x = x + attention(normalised(x, block["norm1"]), block["attention"], heads)
        x = x + linear(gelu(linear(normalised(x, block["norm2"]), block["up"])), block["down"])
    return normalised(x, params["norm"]) @ params["embed"]["embedding"].T


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_forward_is_that_of_numpy(precision):
    with jax.enable_x64(precision == "float64"):
        network = adapted(gpt("100k", context=9, vocabulary=11))
        tokens = np.array([[3, 1, 10, 0, 4, 4, 7, 2, 9]], np.uint8)
        params = network.init(jax.random.key(0), tokens)
        # Of the size of trained ones, so that attention chooses.
        params = jax.tree.map(lambda leaf: 8 * leaf.astype(precision), params)
        found = np.asarray(network.apply(params, jnp.asarray(tokens)))[0]
        wanted = logits(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params), tokens[0], 2)
        tolerance = 1e-9 if precision == "float64" else 2e-3
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())


def test_nothing_looks_ahead():
    network = adapted(gpt("100k", context=6))
    tokens = np.arange(12, dtype=np.uint8).reshape(2, 6)
    params = network.init(jax.random.key(0), tokens)
    before = network.apply(params, jnp.asarray(tokens))
    after = network.apply(params, jnp.asarray(tokens).at[:, 4].set(90))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any()


@pytest.mark.parametrize("size", SIZES)
def test_sizes_are_about_what_they_are_called(size):
    network = adapted(gpt(size))
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 128), jnp.uint8))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    wanted = float(size[:-1]) * {"k": 1e3, "M": 1e6}[size[-1]]
    assert count == pytest.approx(wanted, rel=0.25 if size == "100k" else 0.03)


def test_dropout_is_on_exactly_when_there_is_a_key():
    network = adapted(gpt("100k", context=6, dropout=0.5))
    tokens = jnp.zeros((2, 6), jnp.uint8)
    params = network.init(jax.random.key(0), tokens)
    plain, one, same, other = (
        network.apply(params, tokens, key) for key in (None, *map(jax.random.key, (1, 1, 2)))
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any() and (one != plain).any()


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="size = '2M' is not allowed; it must be one of 100k, 1M"):
        gpt("2M")
    with pytest.raises(ValueError, match="dropout"):
        gpt(dropout=1.0)
