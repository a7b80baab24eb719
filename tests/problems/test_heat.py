"""The heat equation: the analytic solution solves it, derivatives of a network, terms that add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.data import heat_points
from gdlab.data.heat_points import temperature
from gdlab.models import mlp
from gdlab.monitors.judging import make_judge
from gdlab.problems import heat_equation
from gdlab.problems.heat import derivatives

AMPLITUDES, DIFFUSIVITY = np.array([1.0, 0.0, 0.5]), 0.1


@pytest.mark.usefixtures("float64")
def test_the_analytic_solution_solves_the_equation():
    """By its own derivatives in JAX, and by finite differences of NumPy's."""
    data = heat_points(n_train=50, n_test=1).train

    def solution(points):
        k = jnp.pi * jnp.arange(1, 4)[None]
        x, t = points[:, :1], points[:, 1:]
        return (AMPLITUDES[None] * jnp.exp(-DIFFUSIVITY * k**2 * t) * jnp.sin(k * x)).sum(
            axis=1, keepdims=True
        )

    u_t, u_xx = derivatives(solution, data["x"])
    np.testing.assert_allclose(u_t, DIFFUSIVITY * u_xx, atol=1e-12)
    np.testing.assert_allclose(solution(data["x"]), data["y"], rtol=1e-12)
    x, t, h = *data["x"].T, 1e-4

    def u(dx, dt):
        return temperature(x + dx, t + dt, DIFFUSIVITY, AMPLITUDES)

    np.testing.assert_allclose(u_t[:, 0], (u(0, h) - u(0, -h)) / (2 * h), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(u_xx[:, 0], (u(h, 0) - 2 * u(0, 0) + u(-h, 0)) / h**2, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(data["initial"][:, 2], temperature(data["initial"][:, 0], 0, 0.1, AMPLITUDES))
    assert set(data["boundary"][:, 0]) == {0.0, 1.0}


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_terms_add_up_and_derivatives_are_those_of_finite_differences(precision):
    with jax.enable_x64(precision == "float64"):
        data = heat_points(n_train=30, n_test=10)
        problem = heat_equation(model=mlp([8, 1]), data=data, initial_weight=3.0)
        params = problem.init(jax.random.key(1))
        batch = {name: jnp.asarray(array, precision) for name, array in data.train.items()}
        terms = problem.terms(params, batch)
        exact = 1e-12 if precision == "float64" else 1e-6
        assert float(problem.loss(params, batch)) == pytest.approx(float(sum(terms.values())), rel=exact)
        start = problem.predict(params, batch["initial"][:, :2]) - batch["initial"][:, 2:]
        assert float(terms["initial"]) == pytest.approx(3 * float((start**2).mean()), rel=1e-5)
        if precision == "float64":
            h = 1e-4

            def u(dx, dt):
                return problem.predict(params, batch["x"] + np.array([[dx, dt]]))

            residual = (u(0, h) - u(0, -h)) / (2 * h) - 0.1 * (u(h, 0) - 2 * u(0, 0) + u(-h, 0)) / h**2
            assert float(terms["residual"]) == pytest.approx(float((residual**2).mean()), rel=1e-5)
        judged = make_judge(problem)(params, batch)
        missed = np.asarray(problem.predict(params, batch["x"])) - data.train["y"]
        relative = np.linalg.norm(missed) / np.linalg.norm(data.train["y"])
        assert judged["relative_error"] == pytest.approx(relative, rel=1e-5)


def test_wrong_options_are_refused():
    data = heat_points(n_train=2, n_test=2)
    with pytest.raises(ValueError, match="boundary_weight = -1"):
        heat_equation(model=mlp([1]), data=data, boundary_weight=-1)
    with pytest.raises(ValueError, match=r"one number.*model.features"):
        heat_equation(model=mlp([2]), data=data).init(jax.random.key(0))
    for wrong in ({"diffusivity": 0}, {"amplitudes": [np.inf]}, {"amplitudes": []}, {"n_test": 0}):
        with pytest.raises(ValueError, match=f"heat_points: .*{next(iter(wrong))}"):
            heat_points(**wrong)
