"""What `observe` and `watch` make of an iteration, against NumPy and against optax's own states."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdlab
from gdlab.recorder.observation import QUANTITIES, Observation


def _tree(seed, dtype=jnp.float32):
    draw = np.random.default_rng(seed).normal
    return {
        "value": {"kernel": jnp.asarray(draw(size=(4, 3)), dtype), "bias": jnp.asarray(draw(size=3), dtype)},
        "mu": {"nu": jnp.asarray(draw(size=(3, 2)), dtype)},  # names that a search by name would stumble over
        "count": jnp.asarray(draw(size=5), dtype),
    }


LAYERS = ("count", "mu", "value")


def _flat(tree, layer):
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree[layer])])


def _number(seen, name):
    """A number of the whole network in an Observation."""
    return np.asarray(seen.values)[..., seen.layout.numbers.index(name)]


def _of(seen, name):
    """A quantity of all layers in an Observation."""
    layout, values = seen.layout, np.asarray(seen.values)
    width = len(layout.layers)
    first = len(layout.numbers) + layout.quantities.index(name) * width
    return values[..., first : first + width]


def _cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_every_quantity_is_that_of_numpy():
    params, grads = _tree(0), _tree(1)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))
    updates, state = tx.update(grads, tx.init(params), params)
    updates, state = tx.update(_tree(2), state, params)
    seen = jax.jit(lambda *a: gdlab.observe(
        loss=3.0, params=a[0], grads=a[1], updates=a[2], opt_state=a[3], clip=1.0, eps=0.02,
    ))(params, _tree(2), updates, state)  # fmt: skip
    adam, grads = state[1][0], _tree(2)
    assert seen.layout.layers == LAYERS
    assert seen.layout.quantities == QUANTITIES
    for at, layer in enumerate(LAYERS):
        theta, g, u, mu, nu = (_flat(tree, layer) for tree in (params, grads, updates, adam.mu, adam.nu))
        expected = {
            "param_norm": np.linalg.norm(theta), "grad_norm": np.linalg.norm(g),
            "update_norm": np.linalg.norm(u), "slope": g @ u, "mu_norm": np.linalg.norm(mu),
            "nu_norm": np.linalg.norm(nu), "mu_cosine": _cosine(mu, g),
            "eps_share": np.mean(np.sqrt(nu) < 0.02),
        }  # fmt: skip
        for name, value in expected.items():
            np.testing.assert_allclose(_of(seen, name)[at], value, rtol=1e-5, err_msg=f"{name} of {layer}")
    whole = {name: np.concatenate([_flat(tree, layer) for layer in LAYERS]) for name, tree in
             (("grad_norm", grads), ("update_norm", updates))}  # fmt: skip
    assert _number(seen, "loss") == 3
    assert _number(seen, "clipped") == 1
    for name in ("grad_norm", "update_norm"):
        np.testing.assert_allclose(_number(seen, name), np.linalg.norm(whole[name]), rtol=1e-5)
    np.testing.assert_allclose(_number(seen, "slope"), whole["grad_norm"] @ whole["update_norm"], rtol=1e-5)


MOMENTS = {
    "adam": (optax.adam(0.1), True, True),
    "adamw": (optax.adamw(0.1), True, True),
    "amsgrad": (optax.amsgrad(0.1), True, True),
    "adabelief": (optax.adabelief(0.1), True, True),
    "lion": (optax.lion(0.1), True, False),
    "momentum": (optax.sgd(0.1, momentum=0.9), True, False),
    "rmsprop": (optax.rmsprop(0.1), False, True),
    "rmsprop, corrected": (optax.rmsprop(0.1, bias_correction=True), False, True),
    "rmsprop, centred": (optax.rmsprop(0.1, centered=True), True, True),
    "adagrad": (optax.adagrad(0.1), False, True),
    "adadelta": (optax.adadelta(0.1), False, True),
    "sgd": (optax.sgd(0.1), False, False),
    "several steps": (optax.MultiSteps(optax.adam(0.1), 2), True, True),
    "injected": (optax.inject_hyperparams(optax.adam)(learning_rate=0.1), True, True),
    "accumulated and injected": (
        optax.MultiSteps(optax.inject_hyperparams(optax.adam)(learning_rate=0.1), 2), True, True,
    ),
    "if finite": (optax.apply_if_finite(optax.adam(0.1), 3), True, True),
}  # fmt: skip


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_are_found_by_class_wherever_they_are(name):
    tx, first, second = MOMENTS[name]
    params = _tree(0)
    state = tx.init(params)
    for seed in (1, 2):
        updates, state = tx.update(_tree(seed), state, params)
    seen = gdlab.observe(params=params, grads=_tree(2), updates=updates, opt_state=state)
    assert ("mu_norm" in seen.layout.quantities, "nu_norm" in seen.layout.quantities) == (first, second)
    for quantity in {"mu_norm", "nu_norm"} & {*seen.layout.quantities}:
        assert np.all(_of(seen, quantity) > 0)
    if "injected" in name:
        assert _number(seen, "learning_rate") == np.float32(0.1)


def test_moments_of_some_of_the_parameters_stand_at_their_layers():
    params = _tree(0)
    labels = {"value": "adam", "mu": "momentum", "count": "frozen"}
    tx = optax.partition(
        {"adam": optax.adam(0.1), "momentum": optax.trace(0.9), "frozen": optax.set_to_zero()}, labels
    )
    updates, state = tx.update(_tree(1), tx.init(params), params)
    seen = gdlab.observe(params=params, grads=_tree(1), updates=updates, opt_state=state)
    np.testing.assert_array_equal(np.isfinite(_of(seen, "mu_norm")), [False, True, True])
    np.testing.assert_array_equal(np.isfinite(_of(seen, "nu_norm")), [False, False, True])
    masked = optax.masked(optax.adam(0.1), {"value": True, "mu": False, "count": False})
    updates, state = masked.update(_tree(1), masked.init(params), params)
    seen = gdlab.observe(params=params, opt_state=state)
    np.testing.assert_array_equal(np.isfinite(_of(seen, "mu_norm")), [False, False, True])


def test_what_is_handed_over_decides_what_is_seen():
    assert gdlab.observe(loss=1.0).layout == (("loss",), (), ())
    seen = gdlab.observe(grads=_tree(0))
    assert seen.layout.numbers == ("grad_norm",)
    assert seen.layout.quantities == ("grad_norm",)
    with pytest.raises(ValueError, match="hand over loss, params, grads, updates or opt_state"):
        gdlab.observe()


def test_an_iteration_that_is_not_looked_at_computes_nothing():
    step = jax.jit(lambda params, look: gdlab.observe(params=params, when=look), static_argnames="look")
    assert step(_tree(0), look=False) == Observation(None, ((), (), ()))
    assert "reduce" in step.lower(_tree(0), look=True).as_text()
    assert "reduce" not in step.lower(_tree(0), look=False).as_text()
    with pytest.raises(TypeError, match="a bool that the compiler knows is expected"):
        jax.jit(lambda params, look: gdlab.observe(params=params, when=look))(_tree(0), True)


def test_integers_are_no_parameters_and_small_floats_are_added_up_in_float32():
    params = {"a": jnp.full(3000, 0.1, jnp.bfloat16), "steps": jnp.arange(3)}
    seen = gdlab.observe(params=params)
    assert seen.layout.layers == ("a",)
    assert seen.values.dtype == jnp.float32
    np.testing.assert_allclose(_of(seen, "param_norm"), [np.sqrt(3000) * float(params["a"][0])], rtol=1e-5)


@pytest.mark.parametrize(
    "shape", [(7,), (512,), (513,), (640, 96), (3, 3, 16, 24), (50021, 3), (1, 40_000), ()]
)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_sums_of_any_shape_are_those_of_float64(shape, dtype):
    draw = np.random.default_rng(len(shape)).normal
    params, grads = ({"w": jnp.asarray(0.1 + draw(size=shape), dtype)} for _ in range(2))
    nu = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1e-4), params)  # where all are equal errors add up
    state = optax.ScaleByRmsState(nu=nu)
    seen = jax.jit(partial(gdlab.observe, eps=0.02))(
        params=params, grads=grads, updates=params, opt_state=state
    )
    theta, g, second = (np.asarray(tree["w"]).astype(float).ravel() for tree in (params, grads, nu))
    expected = {"param_norm": np.linalg.norm(theta), "slope": g @ theta, "nu_norm": np.linalg.norm(second)}
    scale = {"slope": np.linalg.norm(g) * np.linalg.norm(theta)}
    for name, value in expected.items():
        error = abs(_of(seen, name)[0] - value) / scale.get(name, value)
        assert error < 5e-6, f"{name}: {error:.1e}"
    assert _of(seen, "eps_share")[0] == 1


def test_a_step_is_differentiated_through_an_observation():
    def loss(params):
        return jnp.sum(params["w"] ** 2), gdlab.observe(params=params)

    grads, seen = jax.jit(jax.grad(loss, has_aux=True))({"w": jnp.ones(1024)})
    np.testing.assert_array_equal(grads["w"], 2)
    assert _of(seen, "param_norm")[0] == 32


def test_float64_stays_float64(float64):
    params = _tree(0, jnp.float64)
    seen = gdlab.observe(params=params)
    assert seen.values.dtype == jnp.float64
    np.testing.assert_allclose(_of(seen, "param_norm")[2], np.linalg.norm(_flat(params, "value")), rtol=1e-14)


def test_it_rides_through_scan_and_vmap():
    def step(params, _):
        return params, gdlab.observe(loss=1.0, params=params)

    _, scanned = jax.lax.scan(step, _tree(0), None, 4)
    assert scanned.values.shape == (4, scanned.layout.size)
    many = jax.vmap(lambda scale: gdlab.observe(params=jax.tree.map(lambda leaf: scale * leaf, _tree(0))))(
        jnp.arange(1.0, 4.0)
    )
    np.testing.assert_allclose(_of(many, "param_norm")[2], 3 * _of(many, "param_norm")[0], rtol=1e-6)


@pytest.mark.parametrize("name", MOMENTS)
def test_watching_changes_no_bit_of_the_updates(name):
    tx = MOMENTS[name][0]
    watched, params = gdlab.watch(tx), _tree(0)
    state, own = watched.init(params), tx.init(params)
    structure = jax.tree.structure(state)
    for seed in (1, 2, 3):
        ours, state = jax.jit(watched.update)(_tree(seed), state, params)
        theirs, own = jax.jit(tx.update)(_tree(seed), own, params)
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)
        jax.tree.map(np.testing.assert_array_equal, state.inner_state, own)
    assert jax.tree.structure(state) == structure
    expected = gdlab.observe(loss=jnp.nan, params=params, grads=_tree(3), updates=theirs, opt_state=own)
    assert state.seen.layout == expected.layout
    np.testing.assert_allclose(state.seen.values, expected.values, rtol=1e-6)


def test_a_watched_optimizer_takes_the_error_and_hands_on_the_rest():
    params = _tree(0)
    watched = gdlab.watch(optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()))
    _, state = watched.update(_tree(1), watched.init(params), params, value=jnp.float32(2.5))
    assert _number(state.seen, "loss") == 2.5
    _, state = gdlab.watch(optax.sgd(0.1)).update(_tree(1), gdlab.watch(optax.sgd(0.1)).init(params))
    assert np.all(np.isnan(_of(state.seen, "param_norm")))
    assert np.all(np.isfinite(_of(state.seen, "update_norm")))
