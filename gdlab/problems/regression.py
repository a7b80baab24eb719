"""Regression: a network's outputs are numbers, the error is the mean square of what they miss.

An autoencoder is the same with the examples themselves as what is to be met.
"""

import jax
import jax.numpy as jnp

from gdlab.problems.modules import adapted
from gdlab.problems.networks import initial_parameters, layer_activations, outputs
from gdlab.records import Measures, Problem


def regression(*, model, data) -> Problem:
    """Mean squared error of `model`, over the examples of a batch and the numbers of each.

    model  a network x [B, ...] -> [B, ...] of the shape of y
    data   a gdlab Dataset; batches are {"x": [B, ...], "y": float [B, ...]}

    Validated by the error and by R^2, the share of the variance of y that is met. Raises ValueError where the
    model's outputs have not the shape of y.
    """
    model, target = adapted(model), data.train["y"][:1]

    def error(params, batch, key=None):
        y = batch["y"]
        found = outputs(model, params, batch["x"], key=key)
        return jnp.mean((found - y.astype(found.dtype)) ** 2)

    def predict(params, x):
        return outputs(model, params, x)

    return _problem(model, data, error, predict, "y", target.shape)


def reconstruction(*, model, data) -> Problem:
    """Mean squared error of an autoencoder, over the examples of a batch and the numbers of each.

    model  a network x [B, ...] -> (code [B, d_z], rebuilt [B, ...]), rebuilt with as many numbers as x
    data   a gdlab Dataset; batches are {"x": [B, ...], ...}, labels are not looked at

    `predict` returns what is rebuilt, in the shape of x. Validated as a regression of x. Raises ValueError
    where the model does not return a pair, or rebuilds another number of numbers.
    """
    model, example = adapted(model), data.train["x"][:1]

    def predict(params, x, key=None):
        found = outputs(model, params, x.reshape(len(x), -1), key=key)
        return found[1].reshape(x.shape) if isinstance(found, tuple) and len(found) == 2 else found

    def error(params, batch, key=None):
        found = predict(params, batch["x"], key)
        return jnp.mean((found - batch["x"].astype(found.dtype)) ** 2)

    return _problem(model, data, error, predict, "x", example.shape)


def squares(y):
    """{"mean": (), "square": ()} of all numbers of y, of which R^2 is made."""
    return {"mean": jnp.mean(y), "square": jnp.mean(y**2)}


def judged(means):
    """{"loss", "r2"} of the means of an error, of y and of its square; R^2 is NaN where y does not vary."""
    variance = means["square"] - means["mean"] ** 2
    return {"loss": means["loss"], "r2": 1 - means["loss"] / variance if variance > 0 else float("nan")}


def _problem(model, data, error, predict, target, shape):
    example = data.train["x"][:1]
    flat = target == "x"
    draw = initial_parameters(model, example.reshape(1, -1) if flat else example)

    def init(key):
        params = draw(key)
        found = jax.eval_shape(predict, params, jnp.asarray(example)).shape
        if found != shape:
            raise ValueError(
                f"the model's output for one example has shape {found}, but {target} of {data.name} has "
                f"{shape}: the last layer needs as many units (model.features)"
            )
        return params

    def loss(params, batch, *, key=None):
        return error(params, batch, key)

    def means(params, batch):
        y = batch[target].astype(jnp.result_type(float))
        return {"loss": error(params, batch), **squares(y)}

    def activations(params, x, dropout=False):
        return layer_activations(model, params, x.reshape(len(x), -1) if flat else x, dropout=dropout)

    return Problem(init, loss, predict, activations, additive=True, measures=Measures(means, judged))
