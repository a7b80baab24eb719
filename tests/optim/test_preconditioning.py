"""A preconditioner of one's own, and what the last differences of gradients make of one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import optim
from gdlab.linesearch import two_phase
from gdlab.optim import descend, memory
from tests.optim.descents import descend as descended
from tests.optim.descents import quadratic

MAKERS = (optim.conjugate_gradient, optim.lbfgs, optim.limited_memory_conjugate_gradient)
BETAS = (
    *("polak_ribiere", "polak_ribiere_plus", "fletcher_reeves", "hestenes_stiefel", "dai_yuan"),
    *("hager_zhang", "dai_kou"),
)


def split(vector):
    """A vector [6] as a pytree."""
    return {"w": vector[:4].reshape(2, 2), "b": (vector[4], vector[5:])}


def flat(tree):
    return jnp.concatenate([tree["w"].ravel(), tree["b"][0][None], tree["b"][1]])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("with_params", [False, True])
def test_with_the_exact_inverse_a_quadratic_ends_in_one_step(make, with_params):
    value_fn, centre = quadratic(6)
    inverse = jnp.linalg.inv(jax.hessian(value_fn)(centre))
    seen = []

    def multiply(vector, params=None):
        seen.append(params)
        return split(inverse @ flat(vector))

    def at_params(vector, params):
        return multiply(vector, params)

    preconditioner = at_params if with_params else multiply
    start = split(jnp.zeros(6))
    method = make(preconditioner=preconditioner)
    found = optim.minimize(lambda tree: value_fn(flat(tree)), start, method=method, tol=1e-8)
    assert found.success and found.nit <= (2 if make is optim.conjugate_gradient else 1)
    np.testing.assert_allclose(flat(found.x), centre, atol=1e-8)
    assert all((params is not None) == with_params for params in seen)
    plain = optim.minimize(lambda tree: value_fn(flat(tree)), start, method=make(), tol=1e-8)
    assert plain.nit > 4


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", BETAS)
def test_it_is_the_descent_in_the_variables_in_which_it_is_the_identity(name):
    """With M = L L^T, the descent on f(x) preconditioned is that on f(L z) without, x = L z."""
    rng = np.random.default_rng(1)
    root = jnp.asarray(np.tril(rng.normal(size=(4, 4))) + 3 * np.eye(4))
    value_fn = lambda x: jnp.sum(jnp.cosh(x) * jnp.arange(1.0, 5.0)) + x[0] * x[1]  # noqa: E731
    # A first step that does not depend on |d|, which the variables do not share; searches that end where the
    # slope vanishes.
    search = partial(two_phase, initial=0.1, sigma=1e-7)
    method = partial(optim.conjugate_gradient, getattr(optim, name), search)
    own = method(preconditioner=lambda vector: root @ (root.T @ vector))
    start = jnp.asarray([1.0, -2.0, 0.5, 1.5])
    limits = {"tol": 0.0, "max_iterations": 4}
    here = optim.minimize(value_fn, start, method=own, **limits)
    moved = jnp.linalg.solve(root, start)
    there = optim.minimize(lambda z: value_fn(root @ z), moved, method=method(), **limits)
    np.testing.assert_allclose(here.history["fun"], there.history["fun"], rtol=1e-6)
    np.testing.assert_allclose(here.x, root @ there.x, atol=1e-4)


@pytest.mark.parametrize("make", MAKERS)
def test_one_that_does_not_lead_downhill_is_left_for_the_gradient(make):
    value_fn, _ = quadratic(4)
    found = optim.minimize(value_fn, jnp.zeros(4), method=make(preconditioner=lambda v: -v), max_iterations=5)
    assert np.all(np.diff(found.history["fun"][:6]) < 0)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("preconditioner", "says"),
    [
        (3, "preconditioner=3 is not a function"),
        (lambda: 1, r"preconditioner takes \(vector\) or \(vector, params\)"),
        (lambda v, p, q: v, r"preconditioner takes \(vector\) or \(vector, params\)"),
        (lambda v: v[:1], r"preconditioner makes float32\[1\] of float32\[2\]"),
        (lambda v: {"a": v}, r"preconditioner makes \{'a': "),
    ],
)
def test_a_wrong_one_is_refused_by_name(make, preconditioner, says):
    with pytest.raises(ValueError, match=says):
        optim.minimize(lambda x: jnp.sum(x**2), jnp.ones(2), method=make(preconditioner=preconditioner))


def test_a_formula_of_one_s_own_must_know_of_it():
    def formula(grad, previous_grad, direction):
        return jnp.zeros(())

    with pytest.raises(ValueError, match="does not take preconditioned="):
        optim.conjugate_gradient(formula, preconditioner=lambda v: v)


@pytest.mark.usefixtures("float64")
def test_the_memory_multiplies_as_the_matrix_written_out():
    """The inverse Hessian of BFGS (Nocedal and Wright, eq. 6.17), of the last pairs, the oldest first."""
    rng = np.random.default_rng(2)
    root = rng.normal(size=(6, 6))
    hessian = root @ root.T + np.eye(6)
    path = rng.normal(size=(6, 6))
    kept = optax.scale_by_lbfgs(3).init(split(jnp.zeros(6)))
    for x in path:
        kept = memory.remembered(kept, split(jnp.asarray(hessian @ x)), split(jnp.asarray(x)))
    matrix = np.diag(np.arange(1.0, 7.0))
    for s in np.diff(path, axis=0)[-3:]:
        y = hessian @ s
        left = np.eye(6) - np.outer(s, y) / (s @ y)
        matrix = left @ matrix @ left.T + np.outer(s, s) / (s @ y)
    begin = lambda v: split(jnp.arange(1.0, 7.0) * flat(v))  # noqa: E731
    vector = rng.normal(size=6)
    found = memory.multiplied(kept, split(jnp.asarray(vector)), begin, jnp.float64)
    np.testing.assert_allclose(flat(found), matrix @ vector, rtol=1e-9)
    s = np.diff(path, axis=0)[-1]
    y = hessian @ s
    np.testing.assert_allclose(memory.newest_scale(kept, jnp.float64), s @ y / (y @ y))
    for empty in (memory.emptied(kept), memory.begun(kept, True)):
        found = memory.multiplied(empty, split(jnp.asarray(vector)), begin, jnp.float64)
        np.testing.assert_array_equal(flat(found), flat(begin(split(jnp.asarray(vector)))))
    same = memory.begun(kept, False)
    assert jax.tree.all(jax.tree.map(lambda one, other: (one == other).all(), same, kept))


def test_a_pair_that_is_not_finite_is_forgotten():
    kept = optax.scale_by_lbfgs(2).init(jnp.zeros(2))
    kept = memory.remembered(kept, jnp.ones(2), jnp.ones(2))
    kept = memory.begun(memory.remembered(kept, jnp.full(2, jnp.nan), 2 * jnp.ones(2)), True)
    np.testing.assert_array_equal(memory.multiplied(kept, jnp.ones(2), lambda v: v, jnp.float32), 1.0)


@pytest.mark.usefixtures("float64")
def test_limited_memory_conjugate_gradients_are_lbfgs_and_conjugate_where_searches_are_exact():
    """On a quadratic, by exact searches, all three go the same way (Nazareth 1979)."""
    value_fn, centre = quadratic(6)
    hessian = np.asarray(jax.hessian(value_fn)(centre))
    exact = partial(two_phase, initial=1.0, sigma=1e-10)
    makers = (
        optim.limited_memory_conjugate_gradient(10, exact),
        optim.lbfgs(10, exact),
        optim.conjugate_gradient(line_search=exact),
    )
    paths = [
        np.asarray([at for at, _, _ in descended(method, value_fn, jnp.zeros(6), 6)]) for method in makers
    ]
    np.testing.assert_allclose(paths[0], paths[1], atol=1e-6)
    np.testing.assert_allclose(paths[0], paths[2], atol=1e-6)
    steps = np.diff(paths[0], axis=0)
    products = steps @ hessian @ steps.T
    sizes = np.sqrt(np.diag(products))
    assert np.abs(products / np.outer(sizes, sizes) - np.eye(5)).max() < 1e-5


@pytest.mark.usefixtures("float64")
def test_a_new_descent_forgets_the_pairs():
    value_fn, _ = quadratic(4)
    method, x = optim.limited_memory_conjugate_gradient(), jnp.ones(4)
    state = method.init(x)
    for new in (False, False, False, True):
        value, grad = jax.value_and_grad(value_fn)(x)
        step, state = method.update(
            grad, state, x, value=value, grad=grad, value_fn=value_fn, new_descent=new
        )
        before, x = x, x + step
    direction = -jax.grad(value_fn)(before)
    cosine = state.direction @ direction / jnp.linalg.norm(state.direction) / jnp.linalg.norm(direction)
    np.testing.assert_allclose(cosine, 1.0, rtol=1e-12)
    assert state.memory.count == 1 and descend.METHODS["cg_limited_memory"]().init(x).memory.count == 0
