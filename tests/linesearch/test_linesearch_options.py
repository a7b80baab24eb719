"""A wrong option is refused where it is given, by name, with its value and what is allowed."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.linesearch import two_phase
from gdlab.optim import conjugate_gradient

WRONG = [
    ({"sigma": 0.0}, ("sigma=0", "0 < sigma < 1")),
    ({"sigma": 1.0}, ("sigma=1", "0 < sigma < 1")),
    ({"sigma": float("nan")}, ("sigma=nan", "0 < sigma < 1")),
    ({"sigma": "0.1"}, ("sigma='0.1'", "not a number")),
    ({"sigma": [0.1]}, ("sigma=[0.1]", "not a number")),
    ({"sigma": jnp.array(2.0)}, ("sigma=2", "0 < sigma < 1")),
    ({"rho": -0.1}, ("rho=-0.1", "0 <= rho < sigma")),
    ({"rho": 0.05, "sigma": 0.05}, ("rho=0.05", "0 <= rho < sigma", "sigma=0.05")),
    ({"alpha": 0.0}, ("alpha=0", "0 < alpha < 1")),
    ({"alpha": 1}, ("alpha=1", "0 < alpha < 1")),
    ({"beta": 1.0}, ("beta=1", "beta > 1")),
    ({"beta": float("inf")}, ("beta=inf", "beta > 1")),
    ({"gamma": 0.5}, ("gamma=0.5", "0 < gamma < 1/2")),
    ({"gamma": 0.0}, ("gamma=0", "0 < gamma < 1/2")),
    ({"gamma": None}, ("gamma=None", "not a number")),
    ({"gamma": True}, ("gamma=True", "not a number")),
    ({"max_evaluations": 0}, ("max_evaluations=0", "integer >= 1")),
    ({"max_evaluations": 2.5}, ("max_evaluations=2.5", "integer >= 1")),
    ({"version": 3}, ("version=3", "1, 2")),
    ({"version": True}, ("version=True", "1, 2")),
    ({"initial": "previus"}, ("initial='previus'", "did you mean previous?", "inverse_norm")),
    ({"initial": "???"}, ("initial='???'", "inverse_norm, previous, previous_length")),
    ({"initial": 0.0}, ("initial=0.0", "> 0")),
    ({"initial": -1}, ("initial=-1", "> 0")),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG, ids=lambda x: str(x)[:40])
def test_refused_by_the_search_and_where_the_optimizer_is_made(wrong, said):
    for call in (
        lambda: two_phase(lambda eta: (eta, eta), 1.0, -1.0, squared_norm=1.0, **wrong),
        lambda: conjugate_gradient(line_search=partial(two_phase, **wrong)),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert all(part in str(error.value) for part in said)


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="sigmaa"):
        conjugate_gradient(line_search=partial(two_phase, sigmaa=0.1))


def test_a_named_first_step_needs_the_norm():
    with pytest.raises(ValueError, match="squared_norm"):
        two_phase(lambda eta: (eta, eta), 1.0, -1.0)


@pytest.mark.parametrize(
    ("initial", "previous", "first"),
    [
        ("inverse_norm", None, 1 / 5),
        ("inverse_norm", (3.0, -8.0, 6.0), 1 / 5),
        ("previous", None, 1 / 5),
        ("previous", (0.0, -8.0, 0.0), 1 / 5),
        ("previous", (3.0, -8.0, 6.0), 3 * 8 / 4),
        ("previous_length", None, 1 / 2),
        ("previous_length", (0.0, -8.0, 0.0), 1 / 2),
        ("previous_length", (3.0, -8.0, 6.0), 6 / 2),
        (0.7, (3.0, -8.0, 6.0), 0.7),
    ],
)
def test_first_step(initial, previous, first):
    found = two_phase(
        lambda eta: (eta, eta), 1.0, -4.0, initial=initial, squared_norm=jnp.float32(4), previous=previous
    )
    np.testing.assert_allclose(found.line_search.eta[0], first, rtol=1e-6)


def test_the_first_step_is_never_zero():
    found = two_phase(lambda eta: (-eta, -jnp.ones(())), 0.0, -1.0, squared_norm=jnp.float32(np.inf))
    assert found.line_search.eta[0] == jnp.finfo(jnp.float32).tiny


def test_options_may_be_traced():
    def step_size(sigma):
        return two_phase(lambda eta: (jnp.cosh(eta - 2), jnp.sinh(eta - 2)), initial=0.1, sigma=sigma)

    sigmas = jnp.array([0.3, 0.01, 0.0001])
    together = jax.vmap(step_size)(sigmas)
    alone = list(map(step_size, sigmas))
    np.testing.assert_array_equal(together.evaluations, [found.evaluations for found in alone])
    np.testing.assert_allclose(together.step_size, [found.step_size for found in alone], rtol=1e-5)
