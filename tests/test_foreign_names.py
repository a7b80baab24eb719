"""Parameters may be called like fields of gdlab's and optax's states: what is recorded does not change."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab.execution.checkpoints import Checkpoints
from gdlab.optim import conjugate_gradient, value_and_grad_from_state
from gdlab.optim.nonlinear_cg import ConjugateGradientState
from gdlab.optim.search_state import search_state
from gdlab.records import DIVERGED, Problem
from gdlab.training.iteration import has_search
from gdlab.training.loop import Steps, make_training

# Fields of the states that are read, and what else such code calls something; all before "w" in the alphabet.
NAMES = ("value", "grad", "step_size", "status", "direction", "line_search", "learning_rate", "count")


class Bowl(NamedTuple):
    """Parameters whose fields are those of a search."""

    value: Any
    grad: Any
    line_search: Any
    w: Any


def bowl(name):
    """10 |p[name] - 1|^2 + |p["w"] - p[name]|^2 from 0 and 4."""

    def loss(params, batch=None, *, key=None):
        del batch, key
        return 10 * (params[name] - 1) ** 2 + (params["w"] - params[name]) ** 2

    return Problem(lambda key: {name: jnp.zeros(()), "w": jnp.full((), 4.0)}, loss)


def fields():
    def loss(params, batch=None, *, key=None):
        del batch, key
        return 10 * (params.value - 1) ** 2 + sum((leaf - params.value) ** 2 for leaf in params[1:])

    return Problem(lambda key: Bowl(*map(jnp.asarray, (0.0, 1.0, 2.0, 4.0))), loss)


def trained(problem, optimizer, several=False):
    training = make_training(problem, optimizer, length=6, several_descents=several)
    key, steps = jax.random.key(0), Steps(None, np.arange(6) % 3 == 0, np.arange(6) // 3)
    return training.chunk(training.init(key, None), None, key, steps, 6)


@cache
def plain(several):
    """The same with a parameter that nothing else is called like."""
    return trained(bowl("a"), conjugate_gradient(), several)


@pytest.mark.parametrize(("name", "several"), [*((name, False) for name in NAMES), ("value", True)])
def test_a_search_is_recorded_whatever_a_parameter_is_called(name, several):
    state, infos, _, done = trained(bowl(name), conjugate_gradient(), several)
    wanted_state, wanted, _, count = plain(several)
    assert int(done) == int(count) and float(wanted.step_size[0]) == pytest.approx(0.04641, rel=1e-3)
    jax.tree.map(np.testing.assert_array_equal, infos, wanted)
    np.testing.assert_array_equal(state.params[name], wanted_state.params["a"])


@pytest.mark.parametrize(("optimizer", "name"), [
    (optax.lbfgs(), "value"),
    (optax.lbfgs(), "learning_rate"),
    (optax.adam(0.1), "count"),
    (optax.inject_hyperparams(optax.sgd)(learning_rate=0.01), "learning_rate"),
])  # fmt: skip
def test_optimizers_of_optax_too(optimizer, name):
    _, infos, _, _ = trained(bowl(name), optimizer)
    _, wanted, _, _ = trained(bowl("a"), optimizer)
    searches = isinstance(search_state(optimizer.init({"w": jnp.ones(1)})), optax.ScaleByZoomLinesearchState)
    assert has_search(optimizer.init(bowl(name).init(None))) == searches
    np.testing.assert_allclose(infos.loss, wanted.loss, rtol=1e-5, atol=1e-9)


def test_parameters_that_are_a_named_tuple_are_kept_whole(tmp_path):
    state, infos, _, _ = trained(fields(), conjugate_gradient())
    assert (np.asarray(infos.evaluations)[:3] > 1).all()
    for plain in (False, True):
        checkpoints = Checkpoints(tmp_path / str(plain), plain=plain)
        (tmp_path / str(plain)).mkdir()
        checkpoints.save(state, {"scalars": 6})
        restored, _ = checkpoints.restore(int(state.step), jax.tree.map(jnp.zeros_like, state))
        jax.tree.map(np.testing.assert_array_equal, restored.params, state.params)
        jax.tree.map(np.testing.assert_array_equal, restored.opt_state.direction, state.opt_state.direction)


@pytest.mark.parametrize("plain", [False, True])
def test_names_with_a_point_are_read_back_as_they_were(tmp_path, plain):
    state, _, _, _ = trained(bowl("w.x"), conjugate_gradient())
    params = {"w": {"x": jnp.full(2, 5.0)}, "w.x": jnp.ones(2)}
    state = state._replace(params=params)
    checkpoints = Checkpoints(tmp_path, plain=plain)
    checkpoints.save(state, {"scalars": 1}, None if plain else params)
    like = jax.tree.map(jnp.zeros_like, state)
    restored, _ = checkpoints.restore(int(state.step), like)
    jax.tree.map(np.testing.assert_array_equal, restored.params, params)
    if not plain:
        found = checkpoints.restore_dumped(int(state.step), like.params)
        jax.tree.map(np.testing.assert_array_equal, found, params)


def test_two_line_searches_are_refused():
    twice = optax.chain(optax.lbfgs(), conjugate_gradient())
    with pytest.raises(ValueError, match="2 line searches"):
        has_search(twice.init({"w": jnp.ones(1)}))


def test_a_search_within_other_states_is_found():
    optimizer = optax.chain(optax.clip(1.0), optax.with_extra_args_support(conjugate_gradient()))
    assert isinstance(search_state(optimizer.init({"value": jnp.ones(1)})), ConjugateGradientState)


def test_value_and_gradient_come_from_the_search():
    optimizer, loss = conjugate_gradient(), bowl("value").loss
    params = bowl("value").init(None)
    state = optimizer.init(params)
    value_and_grad = value_and_grad_from_state(loss)
    for _ in range(3):
        value, grad = value_and_grad(params, state=state)
        assert value == pytest.approx(float(loss(params)), rel=1e-6)
        updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        params = optax.apply_updates(params, updates)
    _, kept = value_and_grad(params, state=state)
    jax.tree.map(np.testing.assert_array_equal, kept, state.grad)
    with pytest.raises(ValueError, match="line search"):
        value_and_grad(params, state=optax.sgd(0.1).init(params))


def root(params, batch=None, *, key=None):
    """sum sqrt(q): its slope at 0 is infinite."""
    del batch, key
    return jnp.sum(jnp.sqrt(params["q"]))


@pytest.mark.parametrize("several", [False, True])
def test_a_step_of_zero_leaves_the_parameters_as_they_are(several):
    problem = Problem(lambda key: {"q": jnp.zeros(3), "r": jnp.ones(2)}, root)
    state, infos, _, done = trained(problem, conjugate_gradient(), several)
    assert int(done) == 1 and infos.status[0] == DIVERGED and infos.step_size[0] == 0
    jax.tree.map(np.testing.assert_array_equal, state.params, problem.init(None))
    assert infos.update_norm[0] == 0


def test_a_step_of_zero_in_a_loop_of_ones_own():
    params, optimizer = {"q": jnp.zeros(3)}, conjugate_gradient()
    value, grad = jax.value_and_grad(root)(params)
    assert not np.isfinite(grad["q"]).all()
    updates, _ = optimizer.update(grad, optimizer.init(params), params, value=value, grad=grad, value_fn=root)
    np.testing.assert_array_equal(updates["q"], 0)
