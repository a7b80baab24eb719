"""Each method without a line search, as its yaml sets it up, against a plain loop written from its paper."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab.optim import irprop_plus, rprop_plus
from gdlab.plan.builder import ConfigError, instantiate
from tests.composing import composed

STEPS = 40
START = np.array([1.5, -1.0, 0.5])


def error(w):
    """A bent valley: partial derivatives change sign now and then, the error sometimes rises."""
    return 3 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2 + (w[2] - 0.3) ** 4 + 0.1 * w[2] * w[1]


gradient = jax.grad(error)


def steps_of(rule):
    """Positions w_0 ... of a rule (t, g, state) -> (step, state), t from 1."""
    w, state, path = START.copy(), None, [START]
    for t in range(1, STEPS + 1):
        step, state = rule(t, np.asarray(gradient(w)), state)
        w = w + step
        path.append(w)
    return np.array(path)


def sgd(t, g, _):
    return -0.01 * g, None


def momentum(t, g, v):
    v = g if v is None else 0.9 * v + g
    return -0.01 * v, v


def nesterov(t, g, v):
    v = g if v is None else 0.9 * v + g
    return -0.01 * (g + 0.9 * v), v


def adagrad(t, g, s):
    s = g**2 if s is None else s + g**2
    return -0.01 * g / np.sqrt(s + 1e-8), s


def adadelta(t, g, state):
    s, d = (0, 0) if state is None else state
    s = 0.95 * s + 0.05 * g**2
    step = -np.sqrt(d + 1e-6) / np.sqrt(s + 1e-6) * g
    return step, (s, 0.95 * d + 0.05 * step**2)


def adam_moments(t, g, state):
    m, v = (0, 0) if state is None else state
    return 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2


def adam(t, g, state):
    m, v = adam_moments(t, g, state)
    return -0.001 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), (m, v)


def nadam(t, g, state):
    m, v = adam_moments(t, g, state)
    look_ahead = 0.9 * m / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
    return -0.002 * look_ahead / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), (m, v)


def adamax(t, g, state):
    m, u = (0, 0) if state is None else state
    m, u = 0.9 * m + 0.1 * g, np.maximum(0.999 * u, np.abs(g) + 1e-8)
    return -0.002 / (1 - 0.9**t) * m / u, (m, u)


def amsgrad(t, g, state):
    m, v, largest = (0, 0, 0) if state is None else state
    m, v = adam_moments(t, g, (m, v))
    largest = np.maximum(largest, v)
    return -0.001 * m / (np.sqrt(largest) + 1e-8), (m, v, largest)


@pytest.mark.parametrize("rule", [sgd, momentum, nesterov, adagrad, adadelta, adam, nadam, adamax, amsgrad])
@pytest.mark.usefixtures("float64")
def test_follows_its_paper(rule):
    np.testing.assert_allclose(path_of(rule.__name__), steps_of(rule), rtol=1e-9, atol=1e-12)


def resilient(variant):
    """Igel and Huesken 2003, Algorithms 1 to 4, one weight after the other."""
    w, size = START.copy(), np.full(3, 0.01)
    last_g, last, last_error = np.zeros(3), np.zeros(3), np.inf
    path = [w.copy()]
    for _ in range(STEPS):
        g, now = np.array(gradient(w)), float(error(w))
        for i in range(3):
            change = g[i] * last_g[i]
            if change > 0:
                size[i] = min(size[i] * 1.2, 50.0)
            elif change < 0:
                size[i] = max(size[i] * 0.5, 1e-6)
            step = -np.sign(g[i]) * size[i]
            if change < 0 and variant != "rprop_minus":
                back = variant == "rprop_plus" or (variant == "irprop_plus" and now > last_error)
                step = -last[i] if back else 0.0
                g[i] = 0.0
            last[i] = step
            w[i] += step
        last_g, last_error = g, now
        path.append(w.copy())
    return np.array(path)


@pytest.mark.parametrize("variant", ["rprop_plus", "rprop_minus", "irprop_plus", "irprop_minus"])
@pytest.mark.usefixtures("float64")
def test_resilient_variant_follows_its_algorithm(variant):
    np.testing.assert_allclose(path_of(variant), resilient(variant), rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("float64")
def test_resilient_variants_differ_on_this_error():
    paths = [resilient(variant) for variant in ("rprop_plus", "rprop_minus", "irprop_plus", "irprop_minus")]
    assert len({path.tobytes() for path in paths}) == 4


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ({"learning_rate": 0.0}, "learning_rate > 0"),
        ({"shrink": 1.0}, "0 < shrink < 1"),
        ({"grow": 1.0}, "grow > 1"),
        ({"min_step_size": 60.0}, "min_step_size <= max_step_size"),
        ({"grow": "fast"}, "grow > 1"),
    ],
)
def test_resilient_options_are_refused_by_name(option, allowed):
    with pytest.raises(ValueError, match=allowed):
        rprop_plus(**option)
    with pytest.raises(ConfigError, match=allowed):
        instantiate({"_target_": "gdlab.optim.rprop_plus", **option}, "optimizer")


def test_irprop_plus_asks_for_the_error():
    optimizer = irprop_plus()
    params = jnp.ones(2)
    with pytest.raises(ValueError, match="value="):
        optimizer.update(params, optimizer.init(params), params)


def path_of(name):
    """Positions of the optimizer that the yaml of that name sets up."""
    optimizer = optax.with_extra_args_support(
        instantiate(composed(f"optimizer={name}")["optimizer"], "optimizer")
    )
    w = jnp.asarray(START)
    state, path = optimizer.init(w), [START]
    for _ in range(STEPS):
        value, grads = jax.value_and_grad(error)(w)
        updates, state = optimizer.update(grads, state, w, value=value)
        w = optax.apply_updates(w, updates)
        path.append(np.asarray(w))
    return np.array(path)


def first_step(name, gradient, **options):
    """The first step that a method takes for a gradient."""
    optimizer = instantiate(composed(f"optimizer={name}")["optimizer"] | options, "optimizer")
    w = jnp.zeros(())
    return float(optimizer.update(jnp.asarray(gradient, jnp.float32), optimizer.init(w), w)[0])


def test_epsilon_within_the_root_shortens_steps_of_small_gradients_as_the_yaml_says():
    """Duchi's delta and Kingma's maximum stand outside; without epsilon optax takes their steps."""
    for gradient in (1e-6, 1.0):
        assert first_step("adagrad", gradient, eps=0.0) == pytest.approx(-0.01, rel=1e-5)
        assert first_step("adamax", gradient, eps=0.0) == pytest.approx(-0.002, rel=1e-5)
    assert first_step("adagrad", 1e-6) == pytest.approx(-0.01 * 1e-6 / np.sqrt(1e-12 + 1e-8), rel=1e-4)
    assert first_step("adamax", 3e-6) == pytest.approx(-0.002 / (1 + 1e-8 / 3e-6), rel=1e-5)
    assert first_step("adagrad", 0.0, eps=0.0) == 0
