"""A decoder-only transformer: each character is predicted from those before it.

Blocks of causal attention and a two-layer perceptron, each behind a layer normalisation and added to what was
there; the embedding of the characters is also what the outputs are compared with.

Source: Vaswani et al. 2017; layer normalisation before the blocks, tied embeddings and initial values as in
Radford et al. 2019 (GPT-2).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from gdlab.models.layers import check_dropout

# Of about so many parameters, with 98 characters and a context of 128: (blocks, width, heads).
SIZES = {"100k": (2, 64, 2), "1M": (5, 128, 4), "10M": (6, 368, 8), "124M": (12, 928, 16)}
SPREAD = 0.02  # standard deviation of the initial weights


class Shape(NamedTuple):
    """blocks, width, heads of the attention, context (characters at once), vocabulary (kinds of them)."""

    blocks: int
    width: int
    heads: int
    context: int
    vocabulary: int


class Attention(nnx.Module):
    """Causal attention with several heads, x [B, T, width] -> [B, T, width]."""

    def __init__(self, shape: Shape, dropout: float, *, rngs: nnx.Rngs):
        self.heads = shape.heads
        linear = partial(_linear, shape.width, shape.width, rngs=rngs)
        self.query, self.key, self.value = linear(), linear(), linear()
        self.out = linear(spread=SPREAD / (2 * shape.blocks) ** 0.5)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)

    def __call__(self, x):
        """What each character takes from those up to itself."""
        split = (*x.shape[:-1], self.heads, x.shape[-1] // self.heads)
        query, key, value = (part(x).reshape(split) for part in (self.query, self.key, self.value))
        # jax.nn.dot_product_attention takes its softmax in float32, in float64 too.
        scores = jnp.einsum("btnh,bsnh->bnts", query, key) / query.shape[-1] ** 0.5
        seen = jnp.tril(jnp.ones(scores.shape[-2:], bool))[None, None]
        weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
        found = jnp.einsum("bnts,bsnh->btnh", weights, value)
        return self.dropout(self.out(found.reshape(x.shape)))


class Block(nnx.Module):
    """x + attention(norm(x)), and of that y + perceptron(norm(y))."""

    def __init__(self, shape: Shape, dropout: float, *, rngs: nnx.Rngs):
        width = shape.width
        self.norm1, self.norm2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.attention = Attention(shape, dropout, rngs=rngs)
        self.up = _linear(width, 4 * width, rngs=rngs)
        self.down = _linear(4 * width, width, rngs=rngs, spread=SPREAD / (2 * shape.blocks) ** 0.5)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)

    def __call__(self, x):
        """x [B, T, width] one block further."""
        x = x + self.attention(self.norm1(x))
        return x + self.dropout(self.down(nnx.gelu(self.up(self.norm2(x)))))


class Transformer(nnx.Module):
    """Characters [B, T], whole numbers below the vocabulary, T up to the context -> logits [B, T, V]."""

    def __init__(self, shape: Shape, dropout: float, *, rngs: nnx.Rngs):
        self.embed = _embedding(shape.vocabulary, shape.width, rngs=rngs)
        self.position = _embedding(shape.context, shape.width, rngs=rngs)
        self.blocks = nnx.List([Block(shape, dropout, rngs=rngs) for _ in range(shape.blocks)])
        self.norm = nnx.LayerNorm(shape.width, rngs=rngs)

    def __call__(self, tokens):
        """The logits of the character behind each one."""
        x = self.embed(tokens.astype(jnp.int32)) + self.position(jnp.arange(tokens.shape[1]))[None]
        for block in self.blocks:
            x = block(x)
        return self.embed.attend(self.norm(x))


def gpt(
    size: str = "1M", context: int = 128, vocabulary: int = 98, dropout: float = 0.0
) -> Callable[..., Transformer]:
    """The Transformer of about so many parameters, one of SIZES, as a function of `rngs`.

    context     characters that it sees at once, at most;  vocabulary  kinds of characters
    dropout     of what attention and perceptron add, in [0, 1)
    Raises ValueError for a size that is not there.
    """
    if size not in SIZES:
        raise ValueError(f"size = {size!r} is not allowed; it must be one of {', '.join(SIZES)}")
    return partial(Transformer, Shape(*SIZES[size], context, vocabulary), check_dropout(dropout))


def _linear(inputs, units, *, rngs, spread=SPREAD):
    return nnx.Linear(inputs, units, kernel_init=nnx.initializers.normal(spread), rngs=rngs)


def _embedding(kinds, width, *, rngs):
    made = nnx.Embed(kinds, width, embedding_init=nnx.initializers.normal(SPREAD), rngs=rngs)
    made.dtype = None  # that of the parameters as it is called with them: a run may be in float64
    return made
