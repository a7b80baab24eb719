"""Regression and reconstruction: the error against NumPy, what is judged, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.data import Dataset, digits, sinusoid
from gdlab.models import autoencoder, mlp
from gdlab.monitors.judging import make_judge, measured_names
from gdlab.problems import reconstruction, regression


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_error_and_r2_are_those_of_numpy(precision):
    with jax.enable_x64(precision == "float64"):
        data = sinusoid(n_train=1500, n_test=10)
        problem = regression(model=mlp([8, 1]), data=data)
        params = problem.init(jax.random.key(0))
        assert jax.tree.leaves(params)[0].dtype == precision
        batch = {name: jnp.asarray(array, precision) for name, array in data.train.items()}
        found = np.asarray(problem.predict(params, batch["x"]), np.float64)
        square = ((found - data.train["y"]) ** 2).mean()
        exact = 1e-12 if precision == "float64" else 1e-5
        assert float(problem.loss(params, batch)) == pytest.approx(square, rel=exact)
        judged = make_judge(problem)(params, batch)  # in two blocks
        assert judged["loss"] == pytest.approx(square, rel=exact)
        assert judged["r2"] == pytest.approx(1 - square / data.train["y"].var(), rel=1e-9 + exact)
        assert measured_names(problem, data) == ("loss", "r2")


def test_what_is_rebuilt_has_the_shape_of_the_images():
    data = digits()
    problem = reconstruction(model=autoencoder(code=3), data=data)
    params = problem.init(jax.random.key(0))
    batch = {name: jnp.asarray(array[:20]) for name, array in data.train.items()}
    rebuilt = problem.predict(params, batch["x"])
    assert rebuilt.shape == (20, 8, 8, 1)
    assert float(problem.loss(params, batch)) == pytest.approx(float(((rebuilt - batch["x"]) ** 2).mean()))
    assert "encoder/dense3" in problem.activations(params, batch["x"])


def test_outputs_of_another_shape_are_refused():
    data = sinusoid(n_train=4, n_test=4)
    with pytest.raises(ValueError, match=r"output for one example has shape \(1, 3\).*model.features"):
        regression(model=mlp([3]), data=data).init(jax.random.key(0))
    with pytest.raises(ValueError, match="output for one example has shape"):
        reconstruction(model=mlp([3]), data=data).init(jax.random.key(0))


def test_r2_of_what_does_not_vary_is_unknown():
    flat = {"x": np.zeros((4, 1)), "y": np.ones((4, 1))}
    problem = regression(model=mlp([1]), data=Dataset("flat", flat, flat, ()))
    assert np.isnan(make_judge(problem)(problem.init(jax.random.key(0)), flat)["r2"])


def test_a_sinusoid_is_what_it_says():
    data = sinusoid(n_train=2000, n_test=50, periods=3.0, noise=0.1)
    np.testing.assert_allclose(data.test["y"], np.sin(3 * np.pi * data.test["x"]))
    assert (data.train["y"] - np.sin(3 * np.pi * data.train["x"])).std() == pytest.approx(0.1, rel=0.05)
    for wrong in ({"noise": -1}, {"periods": np.nan}, {"n_train": 0}):
        with pytest.raises(ValueError, match=f"sinusoid: .*{next(iter(wrong))}"):
            sinusoid(**wrong)
