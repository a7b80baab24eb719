"""Classification: a network's outputs are logits, the error is the mean cross-entropy."""

import jax
import jax.numpy as jnp

from gdlab.problems.networks import initial_parameters, layer_activations, outputs
from gdlab.records import Problem


def classification(*, model, data, weight_decay: float = 0.0) -> Problem:
    """Mean cross-entropy of `model` over the examples of a batch, in nats.

    model         a flax.linen module [B, ...] -> logits [B, data.n_classes]
    data          a gdlab Dataset; batches are {"x": [B, ...], "y": int [B]}
    weight_decay  factor of half the squared length of all parameters, added to the error; >= 0

    `predict` returns logits, `activations` the output of every layer.
    Raises ValueError where the model's outputs are not as many as the classes.
    """
    if not weight_decay >= 0:
        raise ValueError(f"classification: weight_decay = {weight_decay!r} is not allowed; it must be >= 0")
    example = data.train["x"][:1]
    draw = initial_parameters(model, example)

    def init(key):
        params = draw(key)
        shape = jax.eval_shape(predict, params, jnp.asarray(example)).shape
        if shape != (1, data.n_classes):
            raise ValueError(
                f"classification: the model's output for one example has shape {shape}, "
                f"but {data.name} has {data.n_classes} classes, so (1, {data.n_classes}) is needed"
            )
        return params

    def loss(params, batch, *, key=None):
        logits = outputs(model, params, batch["x"], key=key)
        correct = jnp.take_along_axis(logits, batch["y"][:, None], axis=1)[:, 0]
        error = jnp.mean(jax.nn.logsumexp(logits, axis=1) - correct)
        if weight_decay:
            error += weight_decay / 2 * sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(params))
        return error

    def predict(params, x):
        return outputs(model, params, x)

    def activations(params, x):
        return layer_activations(model, params, x)

    return Problem(init, loss, predict, activations)
