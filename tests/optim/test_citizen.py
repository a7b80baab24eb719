"""Line-search optimizers among optax's: behind other transformations, with further arguments, with aux."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import optim
from gdlab.linesearch import two_phase
from gdlab.optim import conjugate_gradient, lbfgs
from gdlab.records import OK
from tests.optim.descents import rosenbrock

START = (-1.2, 1.0)
MAKERS = {
    "conjugate_gradient": conjugate_gradient,
    "lbfgs": lbfgs,
    "limited_memory_conjugate_gradient": optim.limited_memory_conjugate_gradient,
}


def trajectory(optimizer, value_fn, start, steps, **extra):
    """[params] of a few iterations, each by fresh values."""
    params, state, seen = start, optimizer.init(start), [start]
    step = jax.jit(partial(optimizer.update, value_fn=value_fn))
    for _ in range(steps):
        value, grad = jax.value_and_grad(value_fn)(params, **extra)
        updates, state = step(grad, state, params, value=value, grad=grad, **extra)
        params = optax.apply_updates(params, updates)
        seen.append(params)
    return seen, state


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_stands_before_it_has_its_effect(make):
    """The first direction is that of the transformed gradient; the search is of the error itself."""
    start = jnp.asarray(START)
    plain = trajectory(make(), rosenbrock, start, 8)[0]
    for before in (optax.add_decayed_weights(0.3), optax.clip(1.0)):
        seen, _ = trajectory(optax.chain(before, make()), rosenbrock, start, 8)
        assert not np.allclose(seen[1], plain[1], rtol=1e-3) or not np.allclose(seen[4], plain[4], rtol=1e-3)
        gradient = jax.grad(rosenbrock)(start)
        changed = before.update(gradient, before.init(start), start)[0]
        moved = seen[1] - start
        cosine = -jnp.vdot(moved, changed) / (jnp.linalg.norm(moved) * jnp.linalg.norm(changed))
        np.testing.assert_allclose(cosine, 1.0, rtol=1e-10)
        values = [float(rosenbrock(at)) for at in seen]
        assert all(np.diff(values) < 0), "every step goes down on the error itself"


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_changes_nothing_before_it_changes_nothing(make):
    start = jnp.asarray(START)
    plain = trajectory(make(), rosenbrock, start, 10)[0]
    behind = trajectory(optax.chain(optax.identity(), optax.scale(1.0), make()), rosenbrock, start, 10)[0]
    np.testing.assert_allclose(behind, plain, rtol=1e-9)


@pytest.mark.usefixtures("float64")
def test_decayed_weights_have_the_direction_that_they_have_before_optax_lbfgs():
    start, before = jnp.asarray(START), optax.add_decayed_weights(0.3)
    other = optax.chain(before, optax.lbfgs())
    ours = trajectory(optax.chain(before, lbfgs()), rosenbrock, start, 1)[0]
    theirs = trajectory(other, rosenbrock, start, 1)[0]
    directions = [(seen[1] - start) / jnp.linalg.norm(seen[1] - start) for seen in (ours, theirs)]
    np.testing.assert_allclose(*directions, rtol=1e-10)


def test_a_gradient_turned_uphill_before_it_is_left_for_the_true_one():
    start = jnp.asarray(START)
    for make in MAKERS.values():
        seen, state = trajectory(optax.chain(optax.scale(-1.0), make()), rosenbrock, start, 3)
        assert rosenbrock(seen[-1]) < rosenbrock(start)
        assert optim.search_state.search_state(state).status == OK


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_further_arguments_go_to_the_error(make):
    def error(params, centre, *, weight=1.0):
        return weight * jnp.sum((params - centre) ** 2)

    seen, _ = trajectory(make(), error, jnp.zeros(3), 3, centre=jnp.arange(3.0), weight=2.0)
    np.testing.assert_allclose(seen[-1], jnp.arange(3.0), atol=1e-4)


@pytest.mark.parametrize("name", MAKERS)
def test_an_argument_that_nothing_takes_is_refused_by_name(name):
    optimizer, params = MAKERS[name](), jnp.ones(2)
    update = partial(optimizer.update, params, optimizer.init(params), params, value=1.0, value_fn=rosenbrock)
    with pytest.raises(ValueError, match=rf"{name}: update\(..., new_descend=\).*Did you mean new_descent"):
        update(new_descend=True)
    with pytest.raises(ValueError, match=r"batch=\) is unknown.*value_fn takes the parameters alone"):
        update(batch=3)


@pytest.mark.parametrize("name", MAKERS)
def test_an_error_with_more_than_the_error(name):
    def error(params):
        return jnp.sum((params - 2) ** 2), {"seen": params}

    optimizer, params = MAKERS[name](has_aux=True), jnp.zeros(2)
    (value, _), grad = jax.value_and_grad(error, has_aux=True)(params)
    step, _ = optimizer.update(grad, optimizer.init(params), params, value=value, grad=grad, value_fn=error)
    assert error(params + step)[0] < value
    plain = MAKERS[name]()
    with pytest.raises(ValueError, match=rf"returns a tuple of 2.*{name}\(has_aux=True\)"):
        plain.update(grad, plain.init(params), params, value=value, grad=grad, value_fn=error)
    with pytest.raises(ValueError, match=r"returns the shape \(2,\)"):
        plain.update(grad, plain.init(params), params, value=value, grad=grad, value_fn=lambda p: p)


@pytest.mark.usefixtures("float64")
def test_lbfgs_is_bfgs_where_it_remembers_all():
    """On a quadratic, with exact searches, BFGS written out (Nocedal and Wright, eq. 6.17)."""
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 5))
    hessian, linear = root @ root.T + np.eye(5), rng.normal(size=5)
    value_fn = lambda x: 0.5 * x @ hessian @ x - linear @ x  # noqa: E731
    exact = partial(two_phase, initial=1.0, sigma=1e-10)
    seen, _ = trajectory(lbfgs(20, exact), value_fn, jnp.zeros(5), 5)
    x, pairs, before = np.zeros(5), [], None
    for at in seen:
        np.testing.assert_allclose(at, x, atol=1e-7)
        g, inverse = hessian @ x - linear, np.eye(5)
        if before is not None:
            pairs.append((x - before[0], g - before[1]))
            inverse *= (pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1])
        for s, y in pairs:
            left = np.eye(5) - np.outer(s, y) / (s @ y)
            inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
        direction = -inverse @ g
        before = x, g
        x = x - (g @ direction) / (direction @ hessian @ direction) * direction
    np.testing.assert_allclose(seen[5], np.linalg.solve(hessian, linear), atol=1e-6)


def test_the_pairs_of_lbfgs_can_be_seen():
    start = jnp.asarray(START)
    seen, state = trajectory(lbfgs(memory_size=4), rosenbrock, start, 3)
    memory = state.memory
    assert memory.diff_params_memory.shape == (4, 2)
    pairs, path = np.asarray(memory.diff_params_memory), np.asarray(seen)
    for step in np.diff(path, axis=0)[:2]:
        assert min(np.abs(pairs - step).max(axis=1)) < 1e-5


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_half_precision_parameters_are_searched_in_single(make):
    def error(params):
        return jnp.sum((params["w"].astype(jnp.float32) - 1.5) ** 2) + jnp.sum(params["b"] ** 2)

    start = {"w": jnp.zeros(4, jnp.bfloat16), "b": jnp.ones(3, jnp.bfloat16)}
    optimizer = make()
    value, grad = jax.value_and_grad(error)(start)
    step, state = optimizer.update(grad, optimizer.init(start), start, value=value, grad=grad, value_fn=error)
    assert state.value.dtype == jnp.float32 and state.step_size.dtype == jnp.float32
    assert jax.tree.map(lambda leaf: leaf.dtype, step) == jax.tree.map(lambda leaf: leaf.dtype, start)
    assert error(optax.apply_updates(start, step)) < 0.6 * value


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("seed", range(5))
def test_round_off_of_the_values_does_not_stop_the_search(seed):
    """Values with noise of their last digits, exact slopes: found where the slopes say."""
    rng = np.random.default_rng(seed)
    height, noise = 10.0 ** rng.integers(0, 9), jnp.asarray(rng.uniform(-1, 1, 4096))
    width = float(rng.uniform(0.5, 20))

    def phi(eta):
        exact = height * (1 + 1e-17 * (eta - width) ** 2)
        spread = height * 1e-16 * noise[(jnp.abs(eta) * 1e5).astype(int) % 4096]
        return exact + spread, height * 2e-17 * (eta - width)

    found = two_phase(phi, initial=0.3, sigma=0.05, epsilon=1e-12)
    assert found.accepted and abs(float(found.step_size) - width) <= 0.06 * width
    assert found.evaluations <= 10


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "before",
    [
        optax.clip_by_global_norm(0.1),
        optax.clip_by_block_rms(0.1),
        optax.adaptive_grad_clip(0.01),
        optax.centralize(),
        optax.normalize_by_update_norm(),
        optax.scale_by_trust_ratio(),
        optax.scale_by_sign(),
        optax.scale_by_adam(),
        optax.trace(0.9),
        optax.add_noise(0.01, 0.5, key=0),
        optax.masked(optax.scale(0.1), [True, False]),
        optax.apply_if_finite(optax.clip(1.0), 3),
    ],
)
def test_each_transformation_before_it_makes_the_direction(before):
    """And the step along it goes down on the error itself."""
    start = [jnp.asarray([[1.0, -2.0], [0.5, 3.0], [2.0, 0.1]]), jnp.asarray([1.5, -0.5])]

    def error(params):
        return jnp.sum(jnp.cosh(params[0] - 1)) + jnp.sum(jnp.asarray([1.0, 50.0]) * params[1] ** 2)

    value, grad = jax.value_and_grad(error)(start)
    wanted = before.update(grad, before.init(start), start)[0]
    optimizer = optax.chain(before, conjugate_gradient())
    step, _ = optimizer.update(grad, optimizer.init(start), start, value=value, grad=grad, value_fn=error)
    step, wanted = (jax.flatten_util.ravel_pytree(tree)[0] for tree in (step, wanted))
    assert optax.tree.vdot(wanted, jax.flatten_util.ravel_pytree(grad)[0]) > 0
    cosine = -step @ wanted / (jnp.linalg.norm(step) * jnp.linalg.norm(wanted))
    np.testing.assert_allclose(cosine, 1.0, rtol=1e-12)
    moved = jax.flatten_util.ravel_pytree(start)[1](step)
    assert error(jax.tree.map(jnp.add, start, moved)) < value
