"""Every test function has the values its paper prints, and a gradient that agrees with differences."""

import functools
import inspect
import math
from pathlib import Path

import jax
import numpy as np
import pytest
import scipy.optimize
import yaml

from gdlab import problems
from gdlab.records import Problem

CONF = Path(__file__).parents[2] / "conf" / "problem"
FACTORIES = {factory.__name__: factory for factory in problems.CATALOGUE}

# J at the classical start, by hand or from the paper's own formulas where they are short.
START = {
    "rosenbrock": 24.2, "freudenstein_roth": 400.5, "beale": 14.203125, "helical_valley": 2500.0,
    "wood": 19192.0, "powell_singular": 215.0, "brown_badly_scaled": 999998000003.0, "watson": 30.0,
    "penalty_1": 885.06264, "himmelblau": 170.0, "broyden_tridiagonal": 21.0, "broyden_banded": 360.0,
    "powell_badly_scaled": 1 + (math.exp(-1) - 0.0001) ** 2,
    "variably_dimensioned": 3.85 + 38.5**2 + 38.5**4,
    "brown_almost_linear": 9 * 5.5**2 + (2**-10 - 1) ** 2,
}  # fmt: skip

# The minima f that More, Garbow and Hillstrom 1981 print, with their arguments.
PUBLISHED = [
    ("jennrich_sampson", {}, 124.362), ("bard", {}, 8.21487e-3), ("gaussian", {}, 1.12793e-8),
    ("meyer", {}, 87.9458), ("kowalik_osborne", {}, 3.07505e-4), ("brown_dennis", {}, 85822.2),
    ("osborne_1", {}, 5.46489e-5), ("watson", {"n": 6}, 2.28767e-3), ("watson", {"n": 9}, 1.39976e-6),
    ("watson", {"n": 12}, 4.72238e-10),
    ("penalty_1", {"n": 4}, 2.24997e-5), ("penalty_1", {"n": 10}, 7.08765e-5),
    ("penalty_2", {"n": 4}, 9.37629e-6), ("penalty_2", {"n": 10}, 2.93660e-4),
    ("chebyquad", {"n": 8}, 3.51687e-3), ("chebyquad", {"n": 10}, 6.50395e-3),
]  # fmt: skip
FALSE_MINIMA = {
    "freudenstein_roth": ([11.41, -0.8968], 48.9842),
    "biggs_exp6": ([1.711, 17.683, 1.163, 5.187, 1.711, 1.163], 5.65565e-3),
    "trigonometric": (np.full(10, 0.1), 2.79506e-5),
    "brown_almost_linear": (np.append(np.zeros(9), 11.0), 1.0),
}
# No closed form for the minimiser, but the minimum is known and the start leads to it.
SOLVABLE = ["discrete_boundary_value", "discrete_integral_equation", "broyden_tridiagonal", "broyden_banded",
            "chebyquad", "watson", "penalty_2"]  # fmt: skip


@pytest.fixture(autouse=True)
def float64_and_explicit_broadcasting():
    with jax.enable_x64(True), jax.numpy_rank_promotion("raise"):
        yield


@functools.cache
def _value_and_grad(name):
    compiled = jax.jit(jax.value_and_grad(FACTORIES[name]().loss))
    return lambda x: tuple(np.asarray(part) for part in compiled(np.asarray(x)))


@pytest.mark.parametrize("name", FACTORIES)
def test_the_start_and_the_source_are_there(name):
    problem = FACTORIES[name]()
    start = problem.init(jax.random.key(0))
    assert isinstance(problem, Problem)
    assert start.ndim == 1 and start.dtype == np.float64
    assert any(char.isdigit() for char in problem.source)
    value, _ = _value_and_grad(name)(start)
    assert np.isfinite(value) and value > problem.optimum
    if problem.optimal_params is not None:
        assert problem.optimal_params.shape == start.shape


@pytest.mark.parametrize("name", START)
def test_value_at_the_classical_start(name):
    problem = FACTORIES[name]()
    np.testing.assert_allclose(_value_and_grad(name)(problem.init(None))[0], START[name], rtol=1e-12)


@pytest.mark.parametrize("name", FACTORIES)
def test_the_optimum_is_reached_and_stationary(name):
    problem = FACTORIES[name]()
    if problem.optimal_params is None:
        assert name in SOLVABLE
        return
    start = problem.init(None)
    value, grad = _value_and_grad(name)(problem.optimal_params)
    np.testing.assert_allclose(value, problem.optimum, rtol=1e-8, atol=1e-20)
    # The gradient's own scale differs by sixteen powers of ten over the catalogue: look at the Newton step.
    hessian = np.asarray(jax.jit(jax.hessian(problem.loss))(problem.optimal_params))
    newton = np.abs(np.linalg.pinv(hessian, hermitian=True) @ grad)
    assert np.all(newton <= 1e-5 * (1 + np.abs(problem.optimal_params))), newton
    assert np.any(np.abs(np.asarray(start) - problem.optimal_params) > 1e-3) or name == "gaussian"


@pytest.mark.parametrize(("name", "arguments", "minimum"), PUBLISHED)
def test_the_minimum_is_the_published_one(name, arguments, minimum):
    optimum = FACTORIES[name](**arguments).optimum
    # The paper prints six digits, some of them cut, not rounded.
    np.testing.assert_allclose(optimum, minimum, rtol=1e-5)


@pytest.mark.parametrize("name", SOLVABLE)
def test_a_minimiser_is_found_where_none_is_stored(name):
    problem = FACTORIES[name]()
    options = {"gtol": 1e-12, "maxiter": 2000}
    found = scipy.optimize.minimize(
        _value_and_grad(name), problem.init(None), jac=True, method="BFGS", options=options
    )
    np.testing.assert_allclose(found.fun, problem.optimum, rtol=1e-5, atol=1e-15)
    assert found.fun >= problem.optimum * (1 - 1e-12)


@pytest.mark.parametrize("name", FALSE_MINIMA)
def test_false_minima_are_where_the_paper_says(name):
    near, minimum = FALSE_MINIMA[name]
    found = scipy.optimize.minimize(
        _value_and_grad(name), near, jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 2000}
    )
    np.testing.assert_allclose(found.fun, minimum, rtol=1e-4)


@pytest.mark.parametrize("name", FACTORIES)
def test_gradient_against_central_differences(name):
    problem = FACTORIES[name]()
    rng = np.random.default_rng(3)
    start = np.asarray(problem.init(None))
    x = start + 0.01 * rng.standard_normal(start.shape) * (1 + np.abs(start))
    _, grad = _value_and_grad(name)(x)
    h = 1e-6 * (1 + np.abs(x))
    shifted = x[None, :] + np.concatenate([np.diag(h), -np.diag(h)])
    values = np.asarray(jax.jit(jax.vmap(problem.loss))(shifted))
    differences = (values[: x.size] - values[x.size :]) / (2 * h)
    np.testing.assert_allclose(grad, differences, rtol=2e-5, atol=1e-6 * np.abs(grad).max())


@pytest.mark.parametrize("name", FACTORIES)
def test_float32_stays_float32_and_agrees(name):
    problem = FACTORIES[name]()
    start = np.asarray(problem.init(None))
    value, grad = jax.jit(jax.value_and_grad(problem.loss))(start.astype(np.float32))
    assert value.dtype == np.float32 and grad.dtype == np.float32
    # Gaussian starts at 4e-6, a sum of squares of differences of numbers near 0.4.
    np.testing.assert_allclose(value, _value_and_grad(name)(start)[0], rtol=2e-3)


@pytest.mark.parametrize("n", [4, 12, 1000])
def test_dimensions_scale(n):
    for name in ("rosenbrock", "powell_singular", "broyden_banded", "variably_dimensioned", "penalty_1"):
        problem = FACTORIES[name](n=n)
        assert problem.init(None).shape == (n,)
        assert np.isfinite(problem.loss(problem.init(None)))


def test_extended_rosenbrock_is_a_sum_over_pairs():
    x = np.random.default_rng(0).standard_normal(6)
    pairs = sum(float(problems.rosenbrock().loss(x[i : i + 2])) for i in (0, 2, 4))
    np.testing.assert_allclose(problems.rosenbrock(n=6).loss(x), pairs, rtol=1e-14)


def test_helical_valley_has_no_jump_at_its_start():
    values = [float(problems.helical_valley().loss(np.array([-1.0, x2, 0.0]))) for x2 in (-1e-9, 0.0, 1e-9)]
    np.testing.assert_allclose(values, 2500.0, rtol=1e-6)


def test_chebyquad_against_the_cosine_form():
    x = np.array([0.1, 0.35, 0.8])
    i = np.arange(1, 4)
    means = np.cos(i[:, None] * np.arccos(2 * x - 1)).mean(axis=1)
    expected = np.sum((means - np.array([0, -1 / 3, 0])) ** 2)
    np.testing.assert_allclose(problems.chebyquad(n=3).loss(x), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: problems.rosenbrock(n=3), ["rosenbrock", "n = 3", "multiple of 2", "nearest is 4"]),
        (lambda: problems.watson(n=40), ["watson", "n = 40", "at most 31", "nearest is 31"]),
        (lambda: problems.chebyquad(n=0), ["chebyquad", "n = 0", "at least 1"]),
        (lambda: problems.trigonometric(n=2.5), ["trigonometric", "2.5", "whole number"]),
        (lambda: problems.beale(start=[1.0]), ["beale", "(1,)", "2 parameters", "[1.0, 1.0]"]),
        (lambda: problems.wood(start=[1, 2, 3, math.inf]), ["finite", "inf"]),
        (lambda: problems.from_function(abs, "nonsense"), ["nonsense", "numbers"]),
        (lambda: problems.from_function(abs, [1 + 2j]), ["real numbers", "as two"]),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert all(word in str(error.value) for word in words), error.value


def test_start_can_be_chosen():
    problem = problems.beale(start=[0.5, 0.25])
    np.testing.assert_array_equal(problem.init(None), [0.5, 0.25])


@pytest.mark.parametrize("name", FACTORIES)
def test_every_function_has_a_yaml_that_binds(name):
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert config.pop("_target_") == f"gdlab.problems.{name}"
    parameters = inspect.signature(FACTORIES[name]).parameters
    assert set(config) == set(parameters)
    assert all(config[key] == parameter.default for key, parameter in parameters.items())
    assert FACTORIES[name](**config).source == FACTORIES[name]().source


def test_one_s_own_function_on_a_dict():
    problem = problems.from_function(
        lambda p: p["a"] ** 2 + (p["b"] ** 2).sum(), {"a": 2, "b": [1, 1]}, optimum=0.0
    )
    start = problem.init(None)
    assert start["a"].dtype == np.float64 and start["b"].shape == (2,)
    assert problem.loss(start, None, key=None) == 6.0


def test_a_random_start():
    problem = problems.from_function(lambda x: (x**2).sum(), lambda key: jax.random.normal(key, (3,)))
    first, second = problem.init(jax.random.key(0)), problem.init(jax.random.key(1))
    assert first.shape == (3,) and not np.array_equal(first, second)
