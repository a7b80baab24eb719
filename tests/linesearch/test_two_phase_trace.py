"""The compiled search visits what a plain loop visits, and records the same of it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.linesearch import two_phase
from gdlab.records import BISECT, CUBIC, EXTRAPOLATE, NO_FIT, QUADRATIC, SHRINK, TRACE_COLUMNS
from tests.linesearch import functions, reference

pytestmark = pytest.mark.usefixtures("float64")

ROUNDING = 1e-10
COEFFICIENTS = ("c0", "c1", "c2", "c3")


@partial(jax.jit, static_argnames="version")
def search_ripple(p, eta, options, *, version):
    phi = functions.with_jax(functions.Ripple(*p))
    value, slope = phi(jnp.zeros(()))
    return two_phase(phi, value, slope, initial=eta, version=version, **options)


@partial(jax.jit, static_argnames="version")
def search_rosenbrock(theta, direction, options, *, version):
    def phi(eta):
        def error(x):
            t1, t2 = theta + x * direction
            return 100 * (t2 - t1**2) ** 2 + (1 - t1) ** 2

        return jax.value_and_grad(error)(eta)

    value, slope = phi(jnp.zeros(()))
    return two_phase(phi, value, slope, squared_norm=direction @ direction, version=version, **options)


def random_options(rng):
    sigma = rng.uniform(0.02, 0.5)
    return {
        "sigma": sigma,
        "rho": rng.choice([0.0, 1e-4, 0.5 * sigma]),
        "alpha": rng.uniform(0.01, 0.5),
        "beta": rng.uniform(1.5, 10),
        "gamma": rng.uniform(0.05, 0.4),
    }


def assert_same_search(found, phi, eta, options, version):
    """Lead the plain loop along the compiled one's step widths and compare every decision and number.

    Each step width is compared where it is proposed and then taken over, so that the rounding errors of
    one search do not grow through all that follow.
    """
    trace = jax.tree.map(np.asarray, found.line_search)
    n = int(found.evaluations)
    assert n == int(trace.evaluations)
    assert not trace.rows[n:].any()
    step_size, rows = reference.two_phase(
        phi,
        *phi(0.0),
        eta,
        correct=lambda j, proposed: trace.eta[j] if j < n else proposed,
        version=version,
        **options,
    )
    assert len(rows) == n
    assert rows[0]["eta"] == eta
    assert found.step_size == step_size
    assert found.step_size_max == max(trace.eta[:n])
    for j, row in enumerate(rows):
        wanted = dict.fromkeys(TRACE_COLUMNS[1:], np.nan) | row
        assert_same_row(dict(zip(TRACE_COLUMNS, trace.rows[j], strict=True)), wanted)
    return {(row["phase"], row["kind"]) for row in rows}


def assert_same_row(row, wanted):
    for name in ("phase", "kind", "accepted", "eta", "anchor_a", "anchor_b"):
        np.testing.assert_equal(row[name], float(wanted[name]), err_msg=name)
    for name in ("phi", "dphi", "lower", "upper"):
        # A slope near its root is a difference of large numbers.
        size = 1 + abs(np.nan_to_num(wanted["phi"])) if name in ("phi", "dphi") else 0
        np.testing.assert_allclose(row[name], wanted[name], rtol=ROUNDING, atol=ROUNDING * size, err_msg=name)
    coefficients = np.array([wanted[name] for name in COEFFICIENTS])
    size = np.nan_to_num(np.abs(coefficients).max())
    found = [row[name] for name in COEFFICIENTS]
    np.testing.assert_allclose(found, coefficients, rtol=ROUNDING, atol=ROUNDING * size)
    _, c1, c2, c3 = coefficients
    discriminant, noise = c2 * c2 - 3 * c1 * c3, 1e-13 * size * (abs(c1) + abs(c2) + abs(c3)) * 3
    if abs(discriminant) <= noise:
        return  # a straight line up to rounding: whether it has a minimum is decided by the last bits
    # How far the minimiser moves when the coefficients do.
    width = wanted["anchor_b"] - wanted["anchor_a"]
    u = (wanted["minimiser"] - wanted["anchor_a"]) / width
    move = np.nan_to_num(size * (1 + abs(u) + u * u) / abs(2 * c2 + 6 * c3 * u) * width)
    for name in ("minimiser", "next_eta"):
        np.testing.assert_allclose(row[name], wanted[name], rtol=1e-9, atol=ROUNDING * move, err_msg=name)


@pytest.mark.parametrize("version", [1, 2])
def test_random_functions(version):
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        p, options, eta = functions.random_ripple(rng), random_options(rng), 10.0 ** rng.uniform(-4, 1.5)
        phi = partial(functions.with_numpy, p)
        seen |= assert_same_search(
            search_ripple(p, eta, options, version=version), phi, eta, options, version
        )
    # The functions lead through every rule, else this test says little.
    assert seen >= {(EXTRAPOLATE, CUBIC), (SHRINK, CUBIC), (SHRINK, QUADRATIC), (SHRINK, BISECT)}
    assert seen >= {(EXTRAPOLATE, NO_FIT), (SHRINK, NO_FIT)}


@pytest.mark.parametrize("version", [1, 2])
def test_rosenbrock_directions(version):
    rng = np.random.default_rng(1)
    for _ in range(100):
        theta, options = rng.normal(size=2) * 1.5, random_options(rng)
        gradient = [functions.rosenbrock_with_numpy(theta, axis, 0.0)[1] for axis in np.eye(2)]
        direction = -np.array(gradient) * rng.uniform(0.1, 2, size=2)
        phi = partial(functions.rosenbrock_with_numpy, theta, direction)
        found = search_rosenbrock(theta, direction, options, version=version)
        eta = float(found.line_search.eta[0])
        np.testing.assert_allclose(eta, 1 / (1 + direction @ direction), rtol=1e-14)
        assert_same_search(found, phi, eta, options, version)
