"""One test for all of a kind: every optimizer descends, every problem starts and has a gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import yaml

from gdlab.app_path import conf_dir
from gdlab.plan.builder import instantiate, takes
from gdlab.records import OK, Problem
from gdlab.training.loop import Steps, make_training
from tests.composing import composed

OPTIMIZERS = sorted(path.stem for path in (conf_dir() / "optimizer").glob("*.yaml"))
BETAS = sorted(path.stem for path in (conf_dir() / "beta").glob("*.yaml"))
SEARCHES = sorted(path.stem for path in (conf_dir() / "linesearch").glob("*.yaml"))
CURVATURE = np.array([1.0, 4.0, 9.0])
LENGTH = 16


def quadratic():
    def loss(params, batch, *, key=None):
        return jnp.sum(CURVATURE * params["w"] ** 2) / 2 + params["b"] ** 2

    return Problem(lambda key: {"w": jnp.ones(3), "b": jnp.ones(())}, loss)


def train(optimizer):
    training = make_training(quadratic(), optimizer, length=LENGTH)
    key = jax.random.key(0)
    steps = Steps(None, np.arange(LENGTH) == 0, np.zeros(LENGTH, np.int32))
    return training.chunk(training.init(key, None), None, key, steps, LENGTH)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_descends_and_reports_what_it_did(name):
    optimizer = instantiate(composed(f"optimizer={name}")["optimizer"], "optimizer")
    state, infos, _, done = train(optimizer)
    loss = np.asarray(infos.loss)[: int(done)]
    assert float(infos.loss_end[int(done) - 1]) < loss[0]
    assert infos.slope[0] < 0  # later steps of a method with momentum may lead uphill
    assert np.isfinite(np.asarray(optax.tree.norm(state.params)))


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.usefixtures("float64")
def test_every_beta_with_every_line_search_reaches_the_minimum(beta, search):
    config = composed(f"beta={beta}", f"linesearch={search}")
    _, infos, _, done = train(instantiate(config["optimizer"], "optimizer"))
    loss = np.asarray(infos.loss)[: int(done)]
    assert (np.diff(loss) < 0).all()
    assert float(infos.loss_end[int(done) - 1]) < 1e-6 * loss[0]
    assert (np.asarray(infos.status)[: int(done) - 1] == OK).all()


@pytest.mark.parametrize("path", sorted((conf_dir() / "problem").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.usefixtures("float64")
def test_analytic_problem_has_a_finite_start_and_a_gradient(path):
    node = yaml.safe_load(path.read_text())
    if takes(node, "data"):
        assert takes(node, "model")
        return
    problem = instantiate(node, "problem")
    params = problem.init(jax.random.key(0))
    value, grad = jax.value_and_grad(problem.loss)(params, None)
    assert np.isfinite(value) and np.isfinite(optax.tree.norm(grad)) and optax.tree.norm(grad) > 0
    assert problem.optimum is None or value > problem.optimum
