"""The heat equation solved by a network: its residual at many points is the error, it sees no solution.

The error has three terms, which pull in different directions: the equation within the rod, the temperature at
the start, the temperature at both ends. Each is recorded at every iteration.

Source: Raissi, Perdikaris, Karniadakis 2019, Physics-informed neural networks, J. Comput. Phys. 378, 686-707.
"""

import jax
import jax.numpy as jnp

from gdlab.problems.modules import adapted
from gdlab.problems.networks import initial_parameters, layer_activations, outputs
from gdlab.problems.regression import squares
from gdlab.records import Measures, Problem


def heat_equation(*, model, data, initial_weight: float = 10.0, boundary_weight: float = 10.0) -> Problem:
    """J = mean (u_t - a u_xx)^2 + w_0 mean (u - u_0)^2 at t = 0 + w_b mean u^2 at both ends.

    model  a network (x, t) [B, 2] -> u [B, 1], twice differentiable (tanh, not relu)
    data   a gdlab Dataset as `gdlab.data.heat_points` makes it
    initial_weight, boundary_weight  w_0 and w_b, >= 0

    `terms` are the three summands: residual, initial, boundary. Validated by J and by the relative error
    |u - v| / |v| over the points, v the analytic solution. Raises ValueError for a wrong weight or model.
    """
    for name, weight in (("initial_weight", initial_weight), ("boundary_weight", boundary_weight)):
        if not weight >= 0:
            raise ValueError(f"heat_equation: {name} = {weight!r} is not allowed; it must be >= 0")
    model, example = adapted(model), data.train["x"][:1]
    draw = initial_parameters(model, example)

    def init(key):
        params = draw(key)
        found = jax.eval_shape(predict, params, jnp.asarray(example)).shape
        if found != (1, 1):
            raise ValueError(
                f"heat_equation: the model's output for one point has shape {found}; it must be one number, "
                "(1, 1): the last layer has one unit (model.features)"
            )
        return params

    def predict(params, x):
        return outputs(model, params, x)

    def terms(params, batch, *, key=None):
        def solution(points):
            return outputs(model, params, points, key=key)

        u_t, u_xx = derivatives(solution, batch["x"])
        cold, start = solution(batch["boundary"]), batch["initial"]
        missed = solution(start[:, :2]) - start[:, 2:]
        return {
            "residual": jnp.mean((u_t - batch["diffusivity"] * u_xx) ** 2),
            "initial": initial_weight * jnp.mean(missed**2),
            "boundary": boundary_weight * jnp.mean(cold**2),
        }

    def loss(params, batch, *, key=None):
        found = terms(params, batch, key=key)
        return found["residual"] + found["initial"] + found["boundary"]

    def means(params, batch):
        y = batch["y"].astype(jnp.result_type(float))
        missed = jnp.mean((predict(params, batch["x"]) - y) ** 2)
        return {"loss": loss(params, batch), "missed": missed, "square": squares(y)["square"]}

    def activations(params, x, dropout=False):
        return layer_activations(model, params, x, dropout=dropout)

    measures = Measures(means, _judged)
    return Problem(init, loss, predict, activations, additive=True, terms=terms, measures=measures)


def derivatives(solution, points):
    """(u_t, u_xx) [B, 1] of u = solution(points [B, 2]), each row (x, t) by itself, forward over forward."""
    points = jnp.asarray(points, jnp.result_type(float))
    along_x, along_t = (jnp.zeros_like(points).at[:, axis].set(1) for axis in (0, 1))

    def u_x(at):
        return jax.jvp(solution, (at,), (along_x,))[1]

    return jax.jvp(solution, (points,), (along_t,))[1], jax.jvp(u_x, (points,), (along_x,))[1]


def _judged(means):
    return {"loss": means["loss"], "relative_error": (means["missed"] / means["square"]) ** 0.5}
