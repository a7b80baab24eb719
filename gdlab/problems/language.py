"""A language model: the error is the mean cross-entropy of the next token at every place of a text."""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.problems.modules import adapted
from gdlab.problems.networks import initial_parameters, layer_activations, outputs
from gdlab.records import Measures, Problem

BLOCK = 32  # pieces of text that are evaluated at once


def next_token(*, model, data) -> Problem:
    """Mean cross-entropy of `model` over all tokens of a batch, in nats.

    model  a network, tokens [B, T] -> logits [B, T, V] of the tokens behind each
    data   a gdlab Dataset; batches are {"x": whole numbers [B, T], "y": the same one further [B, T]}

    Validated by the error, the share of tokens that have the largest logit, and the perplexity, exp(error).
    Raises ValueError where the model has no logit for a token of the data.
    """
    model, example = adapted(model), data.train["x"][:1]
    draw = initial_parameters(model, example)
    tokens = 1 + max(int(np.max(array)) for part in (data.train, data.test or {}) for array in part.values())

    def init(key):
        params = draw(key)
        shape = jax.eval_shape(predict, params, jnp.asarray(example)).shape
        if len(shape) != 3 or shape[:2] != example.shape or shape[2] < tokens:
            raise ValueError(
                f"next_token: the model's output for one example has shape {shape}, but {data.name} needs "
                f"{(*example.shape, tokens)}: model.vocabulary={tokens}"
            )
        return params

    def scored(params, batch, key=None):
        logits = outputs(model, params, batch["x"], key=key)
        y = batch["y"].astype(jnp.int32)
        correct = jnp.take_along_axis(logits, y[..., None], axis=-1)[..., 0]
        return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - correct), logits, y

    def loss(params, batch, *, key=None):
        return scored(params, batch, key)[0]

    def predict(params, x):
        return outputs(model, params, x)

    def activations(params, x, dropout=False):
        return layer_activations(model, params, x, dropout=dropout)

    def means(params, batch):
        error, logits, y = scored(params, batch)
        return {"loss": error, "accuracy": jnp.mean(logits.argmax(axis=-1) == y)}

    measures = Measures(means, judged, BLOCK)
    return Problem(init, loss, predict, activations, additive=True, measures=measures)


def judged(means):
    """{"loss", "accuracy", "perplexity"} of the means of the first two over all examples."""
    return {**means, "perplexity": float(np.exp(means["loss"]))}
