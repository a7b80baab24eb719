"""`minimize`: where it ends and says why, on any pytree, with any transformation, under jit and vmap."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from gdlab import optim
from gdlab.optim import conjugate_gradient, descend, lbfgs
from tests.optim.descents import descend as descended
from tests.optim.descents import rosenbrock

STARTS = ((-1.2, 1.0), (2.0, -1.0), (0.5, 3.0))


def test_it_is_the_loop():
    optimizer = conjugate_gradient()
    start = jnp.asarray(STARTS[0])
    states = [state for _, state, _ in descended(optimizer, rosenbrock, start, 5)]
    found = optim.minimize(rosenbrock, start, method=optimizer, max_iterations=5, tol=0.0)
    assert found.nit == 5 and found.status == descend.ITERATIONS and "max_iterations" in found.message
    assert found.nfev == 1 + sum(int(state.evaluations) for state in states)
    np.testing.assert_allclose(found.fun, states[-1].value, rtol=1e-4)
    np.testing.assert_allclose(found.history["fun"][1:], [s.value for s in states], rtol=1e-4)
    assert np.diff(found.history["nfev"]).tolist() == [int(s.evaluations) for s in states]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("method", descend.METHODS)
def test_it_ends_where_it_is_told(method):
    minimize = partial(optim.minimize, rosenbrock, jnp.asarray(STARTS[0]), method=method)
    small = minimize()
    assert small.success and small.status == descend.GRADIENT
    assert np.abs(jax.grad(rosenbrock)(small.x)).max() <= 1e-5
    np.testing.assert_allclose(small.jac, jax.grad(rosenbrock)(small.x), atol=1e-12)
    low = minimize(target=1e-6, tol=0.0)
    assert low.success and low.status == descend.TARGET and low.fun <= 1e-6
    assert minimize(target=1e-6, tol=0.0, max_iterations=int(low.nit) - 1).fun > 1e-6
    few = minimize(tol=0.0, max_evaluations=10)
    assert few.status == descend.EVALUATIONS and 10 <= few.nfev < 10 + 50 and not few.success
    assert minimize(target=100.0).nit == 0 and minimize(target=100.0).nfev == 1
    end = minimize(tol=0.0)
    np.testing.assert_allclose(end.x, 1.0, rtol=1e-7)
    assert end.nit < 1000 and end.status in (descend.NO_MORE, descend.GRADIENT)


@pytest.mark.usefixtures("float64")
def test_against_scipy_on_a_pytree_with_arguments():
    rng = np.random.default_rng(0)
    matrix, target = jnp.asarray(rng.normal(size=(20, 5))), jnp.asarray(rng.normal(size=20))

    def error(params, matrix, target):
        residual = matrix @ params["w"] + params["b"] - target
        return jnp.sum(residual**2) + 0.1 * jnp.sum(params["w"] ** 4), residual

    start = {"w": jnp.ones(5), "b": jnp.zeros(())}
    found = optim.minimize(error, start, (matrix, target), has_aux=True, tol=1e-9)
    flat = lambda x: error({"w": x[:5], "b": x[5]}, matrix, target)[0]  # noqa: E731
    first = np.array([1.0] * 5 + [0.0])
    other = scipy.optimize.minimize(flat, first, jac=jax.grad(flat), method="BFGS", tol=1e-9)
    np.testing.assert_allclose(found.fun, other.fun, rtol=1e-10)
    np.testing.assert_allclose([*found.x["w"], found.x["b"]], other.x, atol=1e-6)
    np.testing.assert_allclose(found.aux, error(found.x, matrix, target)[1])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("method", ["cg", "lbfgs"])
def test_many_starts_at_once(method):
    starts = jnp.asarray(STARTS)
    found = jax.jit(
        jax.vmap(lambda start: optim.minimize(rosenbrock, start, target=1e-10, tol=0.0, method=method))
    )(starts)
    assert (found.fun <= 1e-10).all() and found.success.all() and found.message.count("at most target") == 3
    np.testing.assert_allclose(found.x, 1.0, atol=1e-3)


def test_it_is_compiled_once_for_a_function():
    traced = []

    def error(x):
        traced.append(x.shape)
        return jnp.sum((x - 1) ** 2)

    for start in (0.0, 2.0, -3.0):
        np.testing.assert_allclose(optim.minimize(error, jnp.full(3, start)).x, 1.0, atol=1e-4)
    count = len(traced)
    optim.minimize(error, jnp.full(3, 5.0), tol=1e-3, target=-1.0, max_evaluations=77)
    assert len(traced) == count, "other limits are no other program"


def test_any_transformation_works_in_it():
    for method in (optax.adam(0.1), optax.chain(optax.clip(1.0), optax.sgd(0.1)), optax.lbfgs()):
        found = optim.minimize(lambda p: jnp.sum((p - 3) ** 2), jnp.ones(2), method=method, tol=1e-3)
        assert found.success
        np.testing.assert_allclose(found.x, 3.0, atol=1e-2)


def test_a_callback_sees_every_iteration_and_may_stop():
    seen = []

    def look(x, fun, nit):
        seen.append((nit, fun))
        return nit == 3

    def give_up(x, fun, nit):
        raise StopIteration

    found = optim.minimize(rosenbrock, jnp.asarray(STARTS[0]), callback=look)
    assert found.status == descend.CALLBACK and [nit for nit, _ in seen] == [1, 2, 3] and found.nit == 3
    np.testing.assert_allclose([fun for _, fun in seen], found.history["fun"][1:4])
    assert optim.minimize(rosenbrock, jnp.asarray(STARTS[0]), callback=give_up).nit == 1


def test_it_says_why_it_can_do_no_more():
    off = optim.minimize(lambda x: jnp.sum(jnp.sqrt(x)), jnp.zeros(2))
    assert off.status == descend.NOT_FINITE and "not finite" in off.message
    flat = optim.minimize(lambda x: 1e9 + jnp.sum(x**2), jnp.full(2, 1e-3), tol=0.0)
    assert flat.status in (descend.NO_MORE, descend.GRADIENT) and flat.nit < 1000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "bfgs"}, r"method='bfgs': allowed: cg, cg_paper, cg_limited_memory, lbfgs"),
        ({"method": 3}, "is a int, not an optax transformation"),
        ({"max_evaluations": 0}, "max_evaluations=0: allowed: a whole number, 1 to"),
        ({"max_iterations": 2.5}, "max_iterations=2.5"),
        ({"tol": -1.0}, "tol=-1.0: allowed"),
        ({"target": float("nan")}, "target=nan: allowed"),
        ({"callback": 3}, "callback=3: allowed: a function"),
    ],
)
def test_a_wrong_option_is_named(options, says):
    with pytest.raises(ValueError, match=says):
        optim.minimize(rosenbrock, jnp.asarray(STARTS[0]), **options)


def test_parameters_that_cannot_move_are_named():
    with pytest.raises(ValueError, match=r"lbfgs: the parameter \['n'\] has the dtype int32"):
        lbfgs().init({"n": jnp.arange(3), "w": jnp.ones(2)})
    with pytest.raises(ValueError, match=r"complex64.*real and imaginary part"):
        conjugate_gradient().init(jnp.ones(2, jnp.complex64))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", [conjugate_gradient, lbfgs])
@pytest.mark.parametrize("behind", [optax.clip(0.1), optax.scale(0.5), optax.add_decayed_weights(0.1)])
def test_what_it_tells_is_of_x_whatever_stands_behind_the_search(make, behind):
    """A step that was changed after its search ends elsewhere than where the search has evaluated."""
    found = optim.minimize(rosenbrock, jnp.asarray(STARTS[0]), method=optax.chain(make(), behind))
    np.testing.assert_allclose(found.fun, rosenbrock(found.x), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.jac, jax.grad(rosenbrock)(found.x), rtol=1e-7, atol=1e-12)
    assert found.success == bool(np.abs(found.jac).max() <= 1e-5)
    assert found.history["fun"][int(found.nit)] == found.fun


def test_a_method_of_an_object_that_has_changed_is_another_error():
    class Bowl:
        centre = 1.0

        def error(self, x):
            return jnp.sum((x - self.centre) ** 2)

    bowl = Bowl()
    np.testing.assert_allclose(optim.minimize(bowl.error, jnp.zeros(2)).x, 1.0, atol=1e-3)
    bowl.centre = 5.0
    np.testing.assert_allclose(optim.minimize(bowl.error, jnp.zeros(2)).x, 5.0, atol=1e-3)


@pytest.mark.parametrize(
    ("start", "options", "says"),
    [
        ({}, {}, "x0 holds no array"),
        ({"a": 3}, {}, r"minimize: the parameter \['a'\] has the dtype int"),
        (jnp.ones(2), {"args": jnp.ones(3)}, r"args is a .*: allowed: a tuple"),
        (jnp.ones(2), {"max_evaluations": 3_000_000_000}, "max_evaluations=3000000000: allowed"),
        (jnp.ones(2), {"tol": np.float32(-1)}, "tol=.*allowed: a number >= 0"),
        (jnp.ones(2), {"target": None}, "target=None: allowed: a number"),
    ],
)
def test_input_that_cannot_be_is_named(start, options, says):
    with pytest.raises(ValueError, match=says):
        optim.minimize(lambda x, *more: jnp.sum(jnp.asarray(x) ** 2), start, **options)


@pytest.mark.parametrize(
    ("fun", "has_aux", "says"),
    [
        (lambda x: (jnp.sum(x**2), 1.0), False, r"fun returned a tuple; .*has_aux=True"),
        (lambda x: x**2, False, r"fun returned an array of shape \(2,\) and type float"),
        (lambda x: jnp.int32(3), False, r"shape \(\) and type int32; allowed: one real number"),
        (lambda x: None, False, "fun returned nothing"),
        (lambda x: jnp.sum(x**2), True, "and something besides, as a pair"),
    ],
)
def test_an_error_that_is_no_number_is_named(fun, has_aux, says):
    with pytest.raises(ValueError, match=says):
        optim.minimize(fun, jnp.ones(2), has_aux=has_aux)


@pytest.mark.parametrize(
    ("option", "meant"), [("optimizer", "method"), ("maxiter", "max_iterations"), ("tool", "tol")]
)
def test_an_option_that_there_is_not_is_named_with_the_one_that_was_meant(option, meant):
    with pytest.raises(
        TypeError, match=f"no option '{option}'; allowed: method, tol, .*Did you mean '{meant}'"
    ):
        descend.minimize(lambda x: (x**2).sum(), [1.0], **{option: 1})
