"""One optimizer under jit, vmap and scan, on any pytree, and in optax's hands."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import optim
from gdlab.linesearch import two_phase
from gdlab.optim import conjugate_gradient
from gdlab.records import TRACE_COLUMNS
from tests.optim.descents import descend, make_step, rosenbrock

STARTS = jnp.array([[-1.2, 1.0], [0.5, -0.5], [2.0, 2.0]])


def tree_loss(params):
    """A function of a dict of a matrix, a tuple and a number, which a flat vector can stand for."""
    w, (b, c) = params["w"], params["rest"]
    return jnp.sum((w - 1) ** 2 * jnp.arange(1, 7).reshape(2, 3)) + jnp.cosh(b) + jnp.sum((c - w[0]) ** 4)


def test_any_pytree_descends_as_its_flat_vector():
    with jax.enable_x64(True):
        params = {"w": jnp.zeros((2, 3)), "rest": (jnp.array(0.7), jnp.ones(3))}
        flat, unravel = jax.flatten_util.ravel_pytree(params)
        as_tree = descend(conjugate_gradient(), tree_loss, params, 6)
        as_vector = descend(conjugate_gradient(), lambda x: tree_loss(unravel(x)), flat, 6)
        for (tree, state, loss), (vector, flat_state, flat_loss) in zip(as_tree, as_vector, strict=True):
            assert jax.tree.structure(state.direction) == jax.tree.structure(params)
            np.testing.assert_allclose(jax.flatten_util.ravel_pytree(tree)[0], vector, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(loss, flat_loss, rtol=1e-9)
            assert state.evaluations == flat_state.evaluations


def test_leaves_of_several_dtypes():
    with jax.enable_x64(True):
        params = {"half": jnp.ones(2, jnp.float32), "full": jnp.ones(2, jnp.float64)}

        def value_fn(params):
            return jnp.sum(params["half"] ** 2).astype(jnp.float64) + jnp.sum((params["full"] - 3) ** 2)

        *_, (last, state, _) = descend(conjugate_gradient(), value_fn, params, 4)
        assert [leaf.dtype for leaf in jax.tree.leaves(last)] == [jnp.float64, jnp.float32]
        assert state.value.dtype == jnp.float64 and state.value < 1e-6


def test_scan_is_the_loop():
    step = make_step(conjugate_gradient(), rosenbrock)
    optimizer = conjugate_gradient()

    def iterate(carry, _):
        params, state, loss = step(*carry)
        return (params, state), (loss, state)

    start = (STARTS[0], optimizer.init(STARTS[0]))
    _, (losses, states) = jax.jit(lambda start: jax.lax.scan(iterate, start, length=5))(start)
    for k, (_, state, loss) in enumerate(descend(optimizer, rosenbrock, STARTS[0], 5)):
        np.testing.assert_allclose(losses[k], loss, rtol=1e-5)
        assert states.evaluations[k] == state.evaluations
        np.testing.assert_allclose(states.step_size[k], state.step_size, rtol=1e-3)


@pytest.mark.parametrize(
    "make", [conjugate_gradient, optim.fast_conjugate_gradient, optim.limited_memory_conjugate_gradient]
)
def test_vmap_is_each_alone(make):
    with jax.enable_x64(True):
        optimizer, starts = make(), jnp.asarray(STARTS, jnp.float64)
        step = make_step(optimizer, rosenbrock)
        params, states = starts, jax.vmap(optimizer.init)(starts)
        alone = [list(descend(optimizer, rosenbrock, start, 3)) for start in starts]
        for k in range(3):
            params, states, losses = jax.vmap(step)(params, states)
            for i, runs in enumerate(alone):
                _, state, loss = runs[k]
                np.testing.assert_allclose(losses[i], loss, rtol=1e-9)
                assert states.evaluations[i] == state.evaluations
                np.testing.assert_allclose(
                    states.line_search.rows[i], state.line_search.rows, rtol=1e-6, atol=1e-6
                )


def test_a_range_of_sigmas_in_one_program():
    @jax.jit
    def evaluations(sigma):
        optimizer = conjugate_gradient(line_search=partial(two_phase, sigma=sigma))
        value, grad = jax.value_and_grad(rosenbrock)(STARTS[0])
        state = optimizer.init(STARTS[0])
        return optimizer.update(grad, state, STARTS[0], value=value, value_fn=rosenbrock)[1].evaluations

    sigmas = jnp.array([0.5, 0.05, 0.001])
    assert jax.vmap(evaluations)(sigmas).tolist() == [int(evaluations(sigma)) for sigma in sigmas]


def test_the_step_is_traced_once():
    traced = []

    def value_fn(params):
        traced.append(1)
        return rosenbrock(params)

    optimizer = conjugate_gradient()
    step, params = make_step(optimizer, value_fn), STARTS[0]
    state = optimizer.init(params)
    params, state, _ = step(params, state)
    once = len(traced)
    for _ in range(4):
        params, state, _ = step(params, state)
    assert len(traced) == once and step._cache_size() == 1


def test_an_iteration_costs_its_evaluations_and_none_more():
    calls = []

    @jax.custom_jvp
    def counted(params):
        return rosenbrock(params)

    @counted.defjvp
    def _(primals, tangents):
        jax.debug.callback(lambda: calls.append(1))
        return jax.jvp(rosenbrock, primals, tangents)

    evaluations = [
        int(state.evaluations) for _, state, _ in descend(conjugate_gradient(), counted, STARTS[0], 6)
    ]
    jax.effects_barrier()
    assert len(calls) == 1 + sum(evaluations)


def test_the_trace_in_a_chain():
    optimizer = optax.chain(conjugate_gradient(), optax.identity())
    chained = list(descend(optimizer, rosenbrock, STARTS[0], 3))
    plain = list(descend(conjugate_gradient(), rosenbrock, STARTS[0], 3))
    for (_, state, loss), (_, wanted, wanted_loss) in zip(chained, plain, strict=True):
        assert loss == wanted_loss
        trace = optax.tree.get(state, "line_search", None)
        assert trace.rows.shape == (50, len(TRACE_COLUMNS))
        np.testing.assert_array_equal(trace.rows, wanted.line_search.rows)
        assert optax.tree.get(state, "value") == wanted.value
    adam = optax.adam(0.1).init(STARTS[0])
    assert optax.tree.get(adam, "line_search", None) is None


def test_without_a_trace_nothing_else_changes():
    bare = conjugate_gradient(line_search=partial(two_phase, keep_trace=False))
    for (_, state, loss), (_, traced, traced_loss) in zip(
        descend(bare, rosenbrock, STARTS[0], 4),
        descend(conjugate_gradient(), rosenbrock, STARTS[0], 4),
        strict=True,
    ):
        assert state.line_search is None
        np.testing.assert_allclose(loss, traced_loss, rtol=1e-5)
        assert state.evaluations == traced.evaluations


def test_a_part_of_the_parameters_is_refused_clearly():
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    optimizer = optax.multi_transform(
        {"cg": conjugate_gradient(), "adam": optax.adam(0.1)}, {"a": "cg", "b": "adam"}
    )
    with pytest.raises(ValueError, match=r"multi_transform.*moves all parameters along one direction"):
        optimizer.init(params)
