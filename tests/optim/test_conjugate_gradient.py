"""Conjugate gradients: what theory promises, when they restart, and how a descent ends."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import optim
from gdlab.linesearch import two_phase
from gdlab.optim import conjugate_gradient
from gdlab.records import (
    CONVERGED,
    CUBIC,
    DIVERGED,
    EXTRAPOLATE,
    LINE_SEARCH_FAILED,
    NO_FIT,
    OK,
    QUADRATIC,
    SHRINK,
)
from tests.optim.descents import descend, quadratic, rosenbrock

START = (-1.2, 1.0)
BETAS = (
    "polak_ribiere",
    "polak_ribiere_plus",
    "fletcher_reeves",
    "hestenes_stiefel",
    "dai_yuan",
    "hager_zhang",
    "dai_kou",
)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.usefixtures("float64")
def test_a_quadratic_in_p_dimensions_takes_p_iterations(beta):
    p = 7
    value_fn, centre = quadratic(p)
    exact = partial(two_phase, sigma=1e-9)
    runs = descend(conjugate_gradient(getattr(optim, beta), exact), value_fn, jnp.zeros(p), p + 1)
    norms = [float(jnp.linalg.norm(params - centre)) for params, _, _ in runs]
    assert norms[p] < 1e-6 * norms[0]
    assert norms[p - 2] > 1e-4 * norms[0], "it was not solved long before, so p iterations mean something"


def test_against_numpy_written_out():
    """The first iterations of Polak-Ribiere on a quadratic, with its exact step widths."""
    value_fn, _ = quadratic(4, condition=10.0)
    with jax.enable_x64(True):
        value_fn, _ = quadratic(4, condition=10.0)
        exact = partial(two_phase, sigma=1e-9)
        visited = [
            np.asarray(t)
            for t, _, _ in descend(conjugate_gradient(line_search=exact), value_fn, jnp.ones(4), 4)
        ]
        hessian = np.asarray(jax.hessian(value_fn)(jnp.ones(4)))
        gradient = jax.grad(value_fn)
        theta, direction, before = np.ones(4), None, None
        for at in visited:
            np.testing.assert_allclose(at, theta, rtol=1e-7, atol=1e-9)
            g = np.asarray(gradient(theta))
            direction = -g if before is None else -g + g @ (g - before) / (before @ before) * direction
            theta = theta - (g @ direction) / (direction @ hessian @ direction) * direction
            before = g


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("make", [conjugate_gradient, optim.fast_conjugate_gradient])
def test_every_step_taken_goes_strictly_down(make, dtype):
    with jax.enable_x64(dtype == jnp.float64):
        ended = []
        for _, state, loss in descend(make(), rosenbrock, jnp.asarray(START, dtype), 60):
            assert state.value.dtype == state.step_size.dtype == dtype
            if state.status == OK:
                assert state.step_size > 0 and state.value < loss and state.slope < 0
                assert state.step_size_max >= state.step_size
            else:
                assert state.step_size == 0 and state.value == loss
                ended.append(int(state.status))
        assert ended, "the descent was run until nothing lower can be found"
        assert set(ended) <= {LINE_SEARCH_FAILED, CONVERGED}
        assert state.value < (1e-8 if dtype == jnp.float32 else 1e-20)


@pytest.mark.usefixtures("float64")
def test_the_paper_s_rosenbrock():
    optimizer = conjugate_gradient(line_search=partial(two_phase, sigma=0.011))
    losses, patterns = [], []
    for _, state, loss in descend(optimizer, rosenbrock, jnp.array(START), 23):
        trace, n = state.line_search, int(state.evaluations)
        losses.append(float(loss))
        phases, kinds = (np.asarray(column[:n]).astype(int).tolist() for column in (trace.phase, trace.kind))
        limits = (np.asarray(trace.lower[:n]), np.asarray(trace.upper[:n]), np.asarray(trace.next_eta[:n]))
        patterns.append((phases, kinds, np.isnan(np.asarray(trace.minimiser[:n])), limits))
    assert 1e-17 <= losses[22] <= 1e-14
    # Its k = 10, here k = 13: three extrapolations without a cubic minimum, five quadratic steps of
    # which four end at the lower bound, one accepted cubic.
    phases, kinds, without_minimum, (lower, _, after) = patterns[13]
    assert kinds == [CUBIC] * 3 + [QUADRATIC] * 5 + [CUBIC, NO_FIT]
    assert phases == [EXTRAPOLATE] * 3 + [SHRINK] * 7
    assert without_minimum[:3].all()
    assert np.isclose(after[3:8], lower[3:8], rtol=1e-12).sum() == 4
    assert any(SHRINK not in phases for phases, *_ in patterns), "some searches need phase one only"


def flipping(grad, previous_grad, direction):
    """A beta that leads uphill: d = -g + beta d with an enormous step back."""
    slope = optax.tree.vdot(grad, direction)
    return jnp.where(slope == 0, 1.0, jnp.sign(slope) * 1e6)


def test_an_uphill_direction_is_replaced_by_the_gradient():
    runs = list(descend(conjugate_gradient(flipping), rosenbrock, jnp.array(START), 4))
    assert [bool(state.restarted) for _, state, _ in runs] == [False, True, True, True]
    for params, state, _ in runs:
        np.testing.assert_allclose(state.direction, -jax.grad(rosenbrock)(params), rtol=1e-4)


def test_a_beta_that_is_not_finite_is_a_restart():
    optimizer = conjugate_gradient(lambda grad, previous_grad, direction: jnp.nan)
    runs = list(descend(optimizer, rosenbrock, jnp.array(START), 3))
    assert [bool(state.restarted) for _, state, _ in runs] == [False, True, True]
    assert all(np.isfinite(state.direction).all() for _, state, _ in runs)


@pytest.mark.parametrize("initial", ["inverse_norm", "previous", "previous_length"])
def test_a_new_descent_begins_anew(initial):
    optimizer = conjugate_gradient(line_search=partial(two_phase, initial=initial))
    first = jnp.array(START)
    state = optimizer.init(first)
    value, grad = jax.value_and_grad(rosenbrock)(first)
    give = {"value": value, "grad": grad}
    update = jax.jit(partial(optimizer.update, value_fn=rosenbrock))
    _, fresh = update(grad, state, first, **give, new_descent=True)
    *_, (_, used, _) = descend(optimizer, rosenbrock, first + 0.3, 3)
    _, again = update(grad, used, first, **give, new_descent=True)
    _, going_on = update(grad, used, first, **give, new_descent=False)
    for name in ("direction", "step_size", "slope", "evaluations", "value", "line_search"):
        np.testing.assert_array_equal(
            *(jax.tree.leaves(getattr(at, name))[0] for at in (fresh, again)), err_msg=name
        )
    assert not again.restarted
    assert (going_on.direction != again.direction).any()


def only_along_the_gradient(phi, value, slope, *, squared_norm, **options):
    """A search that fails along every direction but -g."""
    found = two_phase(phi, value, slope, squared_norm=squared_norm, **options)
    steepest = jnp.abs(slope + squared_norm) <= 1e-5 * squared_norm
    return found._replace(
        step_size=jnp.where(steepest, found.step_size, 0), phi=jnp.where(steepest, found.phi, value)
    )


@pytest.mark.usefixtures("float64")
def test_a_failed_search_is_repeated_along_the_gradient():
    optimizer = conjugate_gradient(line_search=only_along_the_gradient)
    runs = list(descend(optimizer, rosenbrock, jnp.array(START), 3))
    (_, first, _), (params, second, loss), _ = runs
    assert not first.restarted and second.restarted and second.status == OK
    np.testing.assert_allclose(second.direction, -jax.grad(rosenbrock)(params), rtol=1e-3)
    n = int(second.evaluations)
    search = np.asarray(second.line_search.search[:n])
    assert n == int(second.line_search.evaluations)
    assert set(search) == {0, 1} and (np.diff(search) >= 0).all()
    *_, (_, alone, _) = descend(optimizer, rosenbrock, params, 1)
    again = slice(search.argmax(), n)
    np.testing.assert_allclose(second.step_size, alone.step_size, rtol=1e-2)
    np.testing.assert_allclose(
        second.line_search.eta[again], alone.line_search.eta[: alone.evaluations], rtol=1e-2
    )
    assert loss > second.value


def test_where_nothing_lower_is_found_the_descent_ends():
    optimizer = conjugate_gradient(line_search=partial(two_phase, max_evaluations=1, initial=1e3))
    ((_, state, loss),) = descend(optimizer, rosenbrock, jnp.array(START), 1)
    assert state.status == LINE_SEARCH_FAILED and state.fresh
    assert (state.step_size, state.value, int(state.evaluations)) == (0, loss, 1)
    np.testing.assert_allclose(state.grad, jax.grad(rosenbrock)(jnp.array(START)), rtol=1e-6)


def test_a_failure_after_a_conjugate_direction_searches_twice():
    good = conjugate_gradient()
    *_, (params, state, _) = descend(good, rosenbrock, jnp.array(START), 2)
    blind = conjugate_gradient(line_search=partial(two_phase, initial=1e3, max_evaluations=1))
    rows = state.line_search._replace(rows=state.line_search.rows[:2])
    value, grad = jax.value_and_grad(rosenbrock)(params)
    updates, state = blind.update(
        grad, state._replace(line_search=rows), params, value=value, grad=grad, value_fn=rosenbrock
    )
    assert state.status == LINE_SEARCH_FAILED and state.restarted and state.evaluations == 2
    assert not updates.any()


@pytest.mark.parametrize(
    ("value_fn", "status"),
    [
        (lambda t: jnp.sum(t) * jnp.nan, DIVERGED),
        (lambda t: jnp.sum(t) + jnp.inf, DIVERGED),
        (lambda t: jnp.sum(jnp.sqrt(t)), DIVERGED),  # finite value, infinite gradient
        (lambda t: jnp.sum(t * t), CONVERGED),
    ],
)
def test_starts_from_which_no_step_leads(value_fn, status):
    start = jnp.zeros(3)
    ((_, state, _),) = descend(conjugate_gradient(), value_fn, start, 1)
    assert state.status == status
    assert (int(state.evaluations), state.step_size) == (0, 0)
    assert state.fresh and not state.restarted


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"beta='polak_ribiere'.*gdlab\.optim\.betas"):
        conjugate_gradient("polak_ribiere")
    with pytest.raises(ValueError, match=r"line_search=0\.1 is not a function"):
        conjugate_gradient(line_search=0.1)
    optimizer = conjugate_gradient()
    params = jnp.ones(2)
    with pytest.raises(ValueError, match=r"value=, grad=, value_fn="):
        optimizer.update(params, optimizer.init(params), params)
