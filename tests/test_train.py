"""The training loop: one executable for every trip count, equal bits however it is cut."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab.linesearch import two_phase
from gdlab.optim import conjugate_gradient
from gdlab.problems import from_function, rosenbrock
from gdlab.records import DIVERGED, IDLE, LINE_SEARCH_FAILED, OK, Problem
from gdlab.training.loop import Steps, make_training

LENGTH = 40


def least_squares():
    """Linear regression whose batches disagree, so that a change of batch shows in the error."""
    rng = np.random.default_rng(0)
    data = {"x": jnp.asarray(rng.normal(size=(60, 5))), "y": jnp.asarray(rng.normal(size=60))}

    def loss(params, batch, *, key=None):
        return jnp.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2)

    return Problem(lambda key: {"w": jnp.zeros(5), "b": jnp.zeros(())}, loss), data


def steps_of(new_descent, index=None):
    new_descent = np.asarray(new_descent)
    return Steps(index, new_descent, np.cumsum(new_descent).astype(np.int32) - 1)


def single_descent(length=LENGTH):
    return steps_of(np.arange(length) == 0)


def run_in_pieces(training, problem, data, steps, pieces):
    key = jax.random.key(0)
    state = training.init(key, data)
    losses, at = [], 0
    for count in pieces:
        shifted = jax.tree.map(lambda rows, at=at: np.roll(rows, -at, axis=0), steps)
        state, infos, _, done = training.chunk(state, data, key, shifted, count)
        losses.append(np.asarray(infos.loss)[: int(done)])
        at += int(done)
    return np.concatenate(losses), state


@pytest.mark.parametrize("pieces", [[1] * 20, [2, 18], [7, 6, 7], [19, 1]])
@pytest.mark.usefixtures("float64")
def test_any_cut_gives_the_same_bits(pieces):
    problem = rosenbrock()
    optimizer = conjugate_gradient(line_search=partial(two_phase, sigma=0.011))
    training = make_training(problem, optimizer, length=LENGTH)
    whole, state = run_in_pieces(training, problem, None, single_descent(), [20])
    cut, cut_state = run_in_pieces(training, problem, None, single_descent(), pieces)
    np.testing.assert_array_equal(whole, cut)
    jax.tree.map(np.testing.assert_array_equal, state, cut_state)


@pytest.mark.usefixtures("float64")
def test_collecting_does_not_change_the_bits():
    problem = rosenbrock()
    optimizer = conjugate_gradient(line_search=partial(two_phase, sigma=0.011))
    plain = make_training(problem, optimizer, length=LENGTH)
    collecting = make_training(problem, optimizer, length=8, collect=lambda before, updates, after: after)
    without, _ = run_in_pieces(plain, problem, None, single_descent(), [16])
    with_it, _ = run_in_pieces(collecting, problem, None, single_descent(8), [8])
    np.testing.assert_array_equal(without[:8], with_it)


@pytest.mark.usefixtures("float64")
def test_chunk_equals_a_plain_python_loop():
    problem = rosenbrock()
    optimizer = conjugate_gradient(line_search=partial(two_phase, sigma=0.011))
    training = make_training(problem, optimizer, length=LENGTH)
    losses, _ = run_in_pieces(training, problem, None, single_descent(), [12])
    params = problem.init(jax.random.key(0))
    state = optimizer.init(params)
    for loss in losses:
        value, grads = jax.value_and_grad(problem.loss)(params, None)
        assert float(value) == pytest.approx(loss, rel=1e-9)
        updates, state = optimizer.update(
            grads, state, params, value=value, grad=grads, value_fn=lambda p: problem.loss(p, None)
        )
        params = optax.apply_updates(params, updates)


@pytest.mark.usefixtures("float64")
def test_a_single_descent_stops_where_the_search_can_do_no_more():
    problem = rosenbrock()
    optimizer = conjugate_gradient(line_search=partial(two_phase, sigma=0.011))
    training = make_training(problem, optimizer, length=LENGTH)
    key = jax.random.key(0)
    state, infos, _, done = training.chunk(training.init(key, None), None, key, single_descent(), LENGTH)
    done = int(done)
    assert 22 < done < LENGTH
    assert int(infos.status[done - 1]) == LINE_SEARCH_FAILED
    assert (np.asarray(infos.status)[: done - 1] == OK).all()
    assert int(state.step) == done


def test_mini_batches_idle_after_a_descent_has_ended_and_go_on_with_the_next():
    problem, data = least_squares()
    index = np.stack([np.arange(30) if k < 20 else np.arange(30, 60) for k in range(LENGTH)]).astype(np.int32)
    steps = steps_of(np.isin(np.arange(LENGTH), [0, 20]), index)
    training = make_training(problem, conjugate_gradient(), length=LENGTH, several_descents=True)
    key = jax.random.key(0)
    _, infos, _, done = training.chunk(training.init(key, data), data, key, steps, LENGTH)
    assert int(done) == LENGTH
    status = np.asarray(infos.status)
    loss, loss_end = np.asarray(infos.loss), np.asarray(infos.loss_end)
    assert (status == IDLE).any()
    idle = np.flatnonzero(status == IDLE)
    assert 20 not in idle
    np.testing.assert_array_equal(loss[idle], loss_end[idle])
    assert (np.asarray(infos.evaluations)[idle] == 0).all()
    # Within a descent the dots join; where the batch changes a dot has two values.
    same = np.delete(np.arange(LENGTH - 1), 19)
    np.testing.assert_array_equal(loss_end[same], loss[same + 1])
    assert loss_end[19] != loss[20]


def test_plain_optimizers_record_their_step_as_the_direction():
    problem, data = least_squares()
    training = make_training(problem, optax.sgd(0.05), length=LENGTH, reach=3.0)
    key = jax.random.key(0)
    state = training.init(key, data)
    moved, infos, _, _ = training.chunk(state, data, key, single_descent(), 3)
    grads = jax.grad(problem.loss)(state.params, data)
    np.testing.assert_allclose(infos.slope[0], -0.05 * optax.tree.norm(grads) ** 2, rtol=1e-5)
    np.testing.assert_allclose(infos.loss_end[:2], infos.loss[1:3], rtol=1e-6)
    np.testing.assert_allclose(infos.loss_end[2], problem.loss(moved.params, data), rtol=1e-6)
    assert (np.asarray(infos.step_size[:3]) == 1).all() and (np.asarray(infos.step_size_max[:3]) == 3).all()
    assert infos.line_search is None


def test_divergence_is_a_status():
    problem, data = least_squares()
    training = make_training(problem, optax.sgd(1e6), length=LENGTH)
    key = jax.random.key(0)
    _, infos, _, done = training.chunk(training.init(key, data), data, key, single_descent(), LENGTH)
    assert int(done) < LENGTH
    assert int(infos.status[int(done) - 1]) == DIVERGED
    assert math.isinf(float(infos.loss[int(done) - 1])) or math.isnan(float(infos.loss[int(done) - 1]))


def test_one_compilation_serves_every_count():
    problem, data = least_squares()
    traces = []

    def counted(params, batch, *, key=None):
        traces.append(1)
        return problem.loss(params, batch)

    training = make_training(problem._replace(loss=counted), optax.sgd(0.05), length=8)
    key = jax.random.key(0)
    state = training.init(key, data)
    state, *_ = training.chunk(state, data, key, single_descent(8), 8)
    first = len(traces)
    training.chunk(state, data, key, single_descent(8), 3)
    assert len(traces) == first


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_step_of_0_leaves_the_parameters_though_a_gradient_is_not_finite(optimizer):
    """A warm-up begins with the rate 0, and 0 times infinity is no number."""
    problem = from_function(lambda p: jnp.sqrt(p[0]) + ((p[1:] - 1) ** 2).sum(), [0.0, 3.0])
    rate = optax.linear_schedule(0.0, 0.1, 4)
    training = make_training(problem, getattr(optax, optimizer)(rate), length=2)
    state = training.init(jax.random.key(0), None)
    steps = Steps(None, jnp.zeros(2, bool), jnp.zeros(2, jnp.int32))
    after, infos, *_ = training.chunk(state, None, jax.random.key(0), steps, 1)
    np.testing.assert_array_equal(jax.tree.leaves(after.params)[0], jax.tree.leaves(state.params)[0])
    assert infos.status[0] == DIVERGED
