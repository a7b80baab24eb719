"""Classification: a network's outputs are logits, the error is the mean cross-entropy."""

import numbers
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from gdlab.problems.augment import augmentation
from gdlab.problems.modules import adapted
from gdlab.problems.networks import (
    batch_statistics,
    has_batch_norm,
    initial_parameters,
    layer_activations,
    outputs,
)
from gdlab.records import Problem


def classification(*, model, data, weight_decay: float = 0.0, augment: Mapping | None = None) -> Problem:
    """Mean cross-entropy of `model` over the examples of a batch, in nats.

    model         a network, of any kind of `gdlab.problems.modules`, [B, ...] -> logits [B, data.n_classes]
    data          a gdlab Dataset; batches are {"x": [B, ...], "y": int [B]}
    weight_decay  factor of half the squared length of all parameters, added to the error; >= 0
    augment       {"flip": bool, "shift": pixels}: how images are changed at random where the error is
                  computed with a key, as in training; see `gdlab.problems.augment`

    `predict` returns logits, `activations` the output of every layer. A network with batch normalisation
    is normalised by the batch at hand, or by `statistics` (of `problem.statistics(params, x)`), which
    `predict`, `activations` and `loss` then take.
    Raises ValueError where the model's outputs are not as many as the classes, or for a wrong option.
    """
    # As one of the numbers in which the members of an ensemble differ, JAX traces it.
    traced = not isinstance(weight_decay, numbers.Real)
    if not traced and not weight_decay >= 0:
        raise ValueError(f"classification: weight_decay = {weight_decay!r} is not allowed; it must be >= 0")
    example = data.train["x"][:1]
    network, model = model, adapted(model)
    draw = initial_parameters(model, example)
    change = augmentation(augment, example.shape[1:])

    def init(key):
        params = draw(key)
        shape = jax.eval_shape(predict, params, jnp.asarray(example)).shape
        if shape != (1, data.n_classes):
            raise ValueError(
                f"classification: the model's output for one example has shape {shape}, "
                f"but {data.name} has {data.n_classes} classes, so (1, {data.n_classes}) is needed"
                + _remedy(network, data.n_classes)
            )
        return params

    def data_loss(params, batch, *, key=None, statistics=None):
        x = batch["x"] if change is None or key is None else change(key, batch["x"])
        logits = outputs(model, params, x, key=key, statistics=statistics)
        correct = jnp.take_along_axis(logits, batch["y"][:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - correct)

    def loss(params, batch, *, key=None, statistics=None):
        error = data_loss(params, batch, key=key, statistics=statistics)
        if traced or weight_decay:
            error += weight_decay / 2 * sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(params))
        return error

    def predict(params, x, statistics=None):
        return outputs(model, params, x, statistics=statistics)

    def activations(params, x, statistics=None, dropout=False):
        return layer_activations(model, params, x, statistics, dropout)

    def statistics(params, x):
        return batch_statistics(model, params, x)

    measured = statistics if has_batch_norm(model, example) else None
    return Problem(init, loss, predict, activations, statistics=measured, additive=True, data_loss=data_loss)


def _remedy(model, classes):
    """How conf/model says the number of classes, for the models that have an option of such a name."""
    if hasattr(model, "classes"):
        return f": model.classes={classes}"
    features = getattr(model, "features", None)
    if isinstance(features, (tuple, list)) and features:
        return f": model.features=[{','.join(map(str, (*features[:-1], classes)))}]"
    return ""
