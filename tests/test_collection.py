"""What is kept of every iteration: against the parameters themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from gdlab.execution.replay import Replay
from gdlab.optim import conjugate_gradient
from gdlab.records import IDLE, Problem
from gdlab.training import collection
from gdlab.training.loop import Steps, make_training
from tests import recording


def test_layers_are_named_by_what_their_parameters_share():
    tree = {"b": {"kernel": jnp.ones(2), "bias": jnp.ones(1)}, "a": {"x": {"w": jnp.ones(3)}}}
    assert collection.layer_names(tree) == ("a/x", "b")
    assert collection.layer_names(jnp.ones(2)) == ("params",)
    assert collection.layer_names({"w": jnp.ones(2), "v": jnp.ones(1)}) == ("v", "w")


def test_a_name_with_a_slash_is_a_layer_of_its_own():
    tree = {"a": {"b": {"w": jnp.zeros(2)}}, "a/b": {"w": jnp.ones(2)}}
    assert collection.layer_names(tree) == ("a/b", "a/b (2)")
    norms = collection.layer_norms(tree, collection.layer_names(tree))
    np.testing.assert_allclose(norms, [0, 2**0.5], rtol=1e-6)


def test_layer_norms_are_those_of_the_flat_vectors():
    tree = {"b": {"kernel": jnp.arange(4.0), "bias": jnp.ones(1)}, "a": {"w": jnp.full(3, 2.0)}}
    norms = collection.layer_norms(tree, ("a", "b"))
    wanted = [np.linalg.norm(ravel_pytree(tree[name])[0]) for name in ("a", "b")]
    np.testing.assert_allclose(norms, wanted, rtol=1e-6)


def test_recorded_layers_are_those_of_the_replayed_steps(tmp_path):
    run = recording.digits(tmp_path / "run", steps=10)
    names = run.columns("layer/update_norm")
    assert names == ("dense1", "dense2")
    for step in Replay(run.path).steps(0, 10):
        for array, tree in zip(collection.LAYER_ARRAYS, (step.updates, step.params), strict=True):
            wanted = [np.linalg.norm(ravel_pytree(tree[name])[0]) for name in names]
            np.testing.assert_allclose(run.array(array)[step.iteration], wanted, rtol=2e-5)
    total = np.sqrt((np.array(run.array("layer/update_norm"), float) ** 2).sum(axis=1))
    np.testing.assert_allclose(total, run.table("steps", 0, 10).columns["update_norm"], rtol=1e-5)


def test_idle_iterations_keep_the_parameters_they_stay_at():
    def loss(params, batch, *, key=None):
        return jnp.sum((params["w"] - 1) ** 2 * jnp.array([1.0, 3.0])) + jnp.sum(params["v"] ** 2)

    problem = Problem(lambda key: {"w": jnp.zeros(2), "v": jnp.ones(1)}, loss)
    collect = collection.collector(path=True, layers=True)
    training = make_training(problem, conjugate_gradient(), length=30, several_descents=True, collect=collect)
    steps = Steps(None, np.arange(30) == 0, np.zeros(30, np.int32))
    state = training.init(jax.random.key(0), None)
    end, infos, collected, done = training.chunk(state, None, jax.random.key(0), steps, 30)
    idle = np.flatnonzero(np.asarray(infos.status)[: int(done)] == IDLE)
    assert len(idle) > 3
    np.testing.assert_array_equal(collected["path"][idle[-1]], ravel_pytree(end.params)[0])
    assert (np.asarray(collected["layer/update_norm"])[idle] == 0).all()
    assert (np.asarray(collected["layer/param_norm"])[idle, 1] > 1).all()


@pytest.mark.parametrize("wanted", [True, False])
def test_layers_can_be_asked_for_and_left_out(tmp_path, wanted):
    run = recording.rosenbrock(tmp_path / "run", layers=wanted)
    assert ("layer/update_norm" in run.arrays) == wanted


def test_one_layer_is_not_kept_twice(tmp_path):
    assert "layer/update_norm" not in recording.rosenbrock(tmp_path / "run").arrays
