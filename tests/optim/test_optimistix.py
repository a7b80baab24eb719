"""The adapter in examples/ is a minimiser of optimistix as the package's own are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import optim

optx = pytest.importorskip("optimistix")

METHODS = (optim.lbfgs, optim.limited_memory_conjugate_gradient, optim.fast_conjugate_gradient)


def rosenbrock(y, args):
    residuals = {"rise": y["b"] - y["a"] ** 2, "shift": 1 - y["a"]}
    return jnp.sum(args * residuals["rise"] ** 2) + jnp.sum(residuals["shift"] ** 2), residuals


START = {"a": jnp.asarray([-1.2, 0.3]), "b": jnp.asarray([1.0, 0.5])}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("method", METHODS)
def test_it_minimises_as_gdlab_does_and_says_how(method):
    from examples.optimistix_minimiser import Minimiser

    start = jax.tree.map(lambda leaf: leaf.astype(float), START)
    solver = Minimiser(1e-10, 1e-10, method)
    found = optx.minimise(rosenbrock, solver, start, 100.0, has_aux=True, max_steps=500)
    assert found.result == optx.RESULTS.successful
    np.testing.assert_allclose(np.stack([found.value["a"], found.value["b"]]), 1.0, rtol=1e-6)
    np.testing.assert_allclose(found.aux["shift"], rosenbrock(found.value, 100.0)[1]["shift"])
    steps = int(found.stats["num_steps"])
    own = optim.minimize(
        lambda y: rosenbrock(y, 100.0)[0], start, method=method(), tol=0.0, max_iterations=steps
    )
    assert own.nit == steps and own.nfev == found.stats["num_evaluations"]
    np.testing.assert_allclose(found.value["a"], own.x["a"], rtol=1e-6)


@pytest.mark.usefixtures("float64")
def test_it_is_differentiated_and_ends_where_it_must():
    from examples.optimistix_minimiser import Minimiser

    def lowest(centre):
        solver = Minimiser(1e-10, 1e-10)
        return optx.minimise(
            lambda y, c: jnp.sum((y - c) ** 4 + (y - c) ** 2), solver, 0.0 * centre, centre
        ).value

    centre = jnp.asarray([1.0, -2.0])
    np.testing.assert_allclose(jax.jacobian(lowest)(centre), np.eye(2), atol=1e-6)
    few = optx.minimise(
        rosenbrock, Minimiser(1e-10, 1e-10), START, 100.0, has_aux=True, max_steps=2, throw=False
    )
    assert few.result == optx.RESULTS.nonlinear_max_steps_reached
    nowhere = optx.minimise(
        lambda y, _: jnp.log(y) * jnp.nan, Minimiser(1e-6, 1e-6), jnp.ones(()), throw=False
    )
    assert nowhere.result == optx.RESULTS.nonlinear_divergence
