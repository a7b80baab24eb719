"""Weight decay against optax.adamw, against the term in the error, and against loops in NumPy."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab.optim import coupled_weight_decay, decoupled_weight_decay, irprop_plus
from gdlab.plan import assembly
from gdlab.plan.builder import ConfigError, instantiate
from gdlab.plan.options import plan_of
from gdlab.training.iteration import has_search
from tests.composing import composed

STEPS, RATE = 20, 0.1
START = np.array([1.0, -2.0, 0.5])
PLAIN = (
    *("sgd", "momentum", "nesterov", "adagrad", "adadelta", "adam", "adamax", "nadam", "amsgrad"),
    *("rprop_plus", "rprop_minus", "irprop_plus", "irprop_minus"),
)

pytestmark = pytest.mark.usefixtures("float64")


def gradient(w):
    return np.array([2 * w[0] - w[1], 3 * w[1] ** 3, np.sin(w[2])])


def path_of(optimizer):
    optimizer = optax.with_extra_args_support(optimizer)
    w = jnp.asarray(START)
    state, path = optimizer.init(w), [START]
    for k in range(STEPS):
        updates, state = optimizer.update(
            jnp.asarray(gradient(w)), state, w, value=jnp.asarray(1.0 - 0.01 * k)
        )
        w = optax.apply_updates(w, updates)
        path.append(np.asarray(w))
    return np.array(path)


def loop(rule):
    """Positions of w <- w + rule(k, g, w, state)."""
    w, state, path = START.copy(), {}, [START]
    for k in range(STEPS):
        w = w + rule(k, gradient(w), w, state)
        path.append(w)
    return np.array(path)


def test_coupled_decay_enters_the_momentum():
    def rule(k, g, w, state):
        state["v"] = 0.9 * state.get("v", 0) + g + RATE * w
        return -0.01 * state["v"]

    found = path_of(coupled_weight_decay(optimizer=optax.sgd(0.01, momentum=0.9), rate=RATE))
    np.testing.assert_allclose(found, loop(rule), rtol=1e-12)


def test_decoupled_decay_does_not():
    def rule(k, g, w, state):
        state["v"] = 0.9 * state.get("v", 0) + g
        return -0.01 * state["v"] - 0.01 * RATE * w

    optimizer = optax.sgd(0.01, momentum=0.9)
    found = path_of(decoupled_weight_decay(optimizer=optimizer, learning_rate=0.01, rate=RATE))
    np.testing.assert_allclose(found, loop(rule), rtol=1e-12)


@pytest.mark.parametrize(
    "rate", [0.003, optax.cosine_decay_schedule(0.003, STEPS)], ids=["fixed", "scheduled"]
)
def test_decoupled_decay_around_adam_is_adamw(rate):
    found = decoupled_weight_decay(optimizer=optax.adam(rate), learning_rate=rate, rate=RATE)
    np.testing.assert_allclose(path_of(found), path_of(optax.adamw(rate, weight_decay=RATE)), rtol=1e-12)


def test_coupled_decay_is_the_term_in_the_error():
    plain = optax.adam(0.01)
    decayed = coupled_weight_decay(optimizer=optax.adam(0.01), rate=RATE)
    state, other = plain.init(START), decayed.init(START)
    w = jnp.asarray(START)
    for _ in range(STEPS):
        one, state = plain.update(jnp.asarray(gradient(w)) + RATE * w, state, w)
        two, other = decayed.update(jnp.asarray(gradient(w)), other, w)
        np.testing.assert_allclose(one, two, rtol=1e-12)
        w = optax.apply_updates(w, one)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("kind", ["coupled", "decoupled"])
def test_the_config_puts_it_around_every_plain_optimizer(name, kind):
    overrides = ("problem=beale", f"optimizer={name}", "precision=float64")
    config = composed(*overrides, f"weight_decay={kind}", f"weight_decay.rate={RATE}")
    plain = instantiate(config["optimizer"], "optimizer")
    rate = config["optimizer"]["learning_rate"]
    w, g = jnp.asarray([1.0, -2.0]), jnp.asarray([0.3, 0.1])

    def first(optimizer, grads):
        optimizer = optax.with_extra_args_support(optimizer)
        state = optimizer.init(w)
        assert not has_search(state)
        return optimizer.update(grads, state, w, value=jnp.asarray(1.0))[0]

    wanted = first(plain, g + RATE * w) if kind == "coupled" else first(plain, g) - rate * RATE * w
    np.testing.assert_allclose(first(assembly.assemble(plan_of(config)).optimizer, g), wanted, rtol=1e-9)


def test_a_rate_below_zero_is_refused():
    with pytest.raises(ValueError, match="rate >= 0"):
        coupled_weight_decay(optimizer=irprop_plus(), rate=-1.0)
    config = composed("problem=beale", "optimizer=sgd", "weight_decay=decoupled", "weight_decay.rate=-0.1")
    with pytest.raises(ConfigError, match="rate >= 0"):
        assembly.assemble(plan_of(config))
