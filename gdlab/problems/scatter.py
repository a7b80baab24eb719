"""Dimension reduction that keeps both the data and the classes: the galaxy network's error.

An encoder maps x to a short code z, a decoder maps z back. The code should let the decoder rebuild
x (small reconstruction error) and let classes stand apart (large between-class scatter relative to
the total). Both terms lie in [0, 1], so one weight balances them.

Source: Becker, Lippel, Stuhlsatz 2017; used by Becker et al. 2019, section 3.2.
"""

import jax
import jax.numpy as jnp

from gdlab.problems.modules import adapted
from gdlab.problems.networks import initial_parameters, layer_activations, outputs
from gdlab.records import Problem


def discriminant(*, model, data, reconstruction_weight: float = 0.5) -> Problem:
    """J = lambda MSE / (1 + MSE) + (1 - lambda) (1 - trace(S_T^-1 S_B) / d_z), in [0, 1].

    MSE is the mean over the batch of |x - reconstruction|^2, summed over the coordinates of x.

    model  a network x [B, d] -> (code [B, d_z], reconstruction [B, d])
    data   a gdlab Dataset; batches are {"x": [B, d], "y": int [B]}
    reconstruction_weight  lambda, in [0, 1]

    `predict` returns the codes [B, d_z]. J is not finite where the codes of a batch do not spread.
    Raises ValueError where lambda is outside [0, 1].
    """
    if not 0 <= reconstruction_weight <= 1:
        raise ValueError(
            f"discriminant: reconstruction_weight = {reconstruction_weight!r} is not allowed; "
            "it must be in [0, 1]"
        )

    model = adapted(model)

    def loss(params, batch, *, key=None):
        code, rebuilt = outputs(model, params, batch["x"], key=key)
        mse = jnp.mean(jnp.sum((rebuilt - batch["x"].astype(rebuilt.dtype)) ** 2, axis=1))
        overlap = 1 - scatter_ratio(code, batch["y"], data.n_classes)
        return reconstruction_weight * mse / (1 + mse) + (1 - reconstruction_weight) * overlap

    def predict(params, x):
        return outputs(model, params, x)[0]

    def activations(params, x, dropout=False):
        return layer_activations(model, params, x, dropout=dropout)

    return Problem(initial_parameters(model, data.train["x"][:1]), loss, predict, activations)


def scatter_ratio(codes, labels, n_classes: int):
    """trace(S_T^-1 S_B) / d_z of codes [B, d_z] with labels int [B]: 0 no separation, 1 perfect.

    S_T is the total, S_B the between-class scatter matrix, classes weighted by their size.
    """
    membership = jax.nn.one_hot(labels, n_classes, dtype=codes.dtype)
    counts = jnp.sum(membership, axis=0)[:, None]
    centred = codes - jnp.mean(codes, axis=0, keepdims=True)
    means = membership.T @ centred / jnp.maximum(counts, 1)
    between, total = means.T @ (counts * means), centred.T @ centred
    if codes.shape[1] == 1:
        return (between / total)[0, 0]
    return jnp.trace(jnp.linalg.solve(total, between)) / codes.shape[1]
