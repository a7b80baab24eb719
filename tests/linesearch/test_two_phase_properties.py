"""What SPEC A2 promises holds on arbitrary functions, for arbitrary options."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gdlab.linesearch import two_phase
from gdlab.records import EXTRAPOLATE, SHRINK, TRACE_COLUMNS
from tests.linesearch import functions

MOST = 12


@partial(jax.jit, static_argnums=3)
def search(p, initial, options, version):
    phi = functions.with_jax(functions.Ripple(*p))
    value, slope = phi(jnp.zeros_like(initial))
    found = two_phase(phi, value, slope, initial=initial, max_evaluations=MOST, version=version, **options)
    return found, value, slope


def between(low, high):
    return st.floats(low, high)


ripples = st.builds(
    functions.Ripple,
    offset=between(-5, 5),
    s=between(0.01, 100),
    q=between(-1, 1000),
    a=between(-2, 2),
    w=between(0, 10),
    e=between(-1, 1),
    m=st.sampled_from([0.0, 0.1, 1.0]),
    c=between(0.1, 100),
)
options = st.fixed_dictionaries(
    {
        "sigma": between(0.01, 0.99),
        "rho": between(0, 0.009),
        "alpha": between(0.01, 0.9),
        "beta": between(1.1, 20),
        "gamma": between(0.01, 0.49),
    }
)


@given(
    ripples, options, between(1e-6, 1e3), st.sampled_from([np.float32, np.float64]), st.sampled_from([1, 2])
)
@settings(max_examples=600)
def test_promises(p, options, initial, dtype, version):
    with jax.enable_x64(True):
        p, initial, options = jax.tree.map(dtype, (p, initial, options))
        found, value, slope = jax.device_get(search(p, initial, options, version))
        assume(slope < 0)
        assert found.phi.dtype == found.line_search.rows.dtype == dtype
        check_result(found, value, slope, options)
        check_proposals(found.line_search, int(found.evaluations), value, slope, options, version)


def check_result(found, value, slope, options):
    n, trace = int(found.evaluations), found.line_search
    eta, phi, dphi = trace.eta[:n], trace.phi[:n], trace.dphi[:n]
    assert 1 <= n <= MOST and n == trace.evaluations
    assert not trace.rows[n:].any()
    assert found.step_size_max == eta.max()
    assert trace.accepted[:n].tolist() == [0] * (n - 1) + [float(found.accepted)]
    finite = np.isfinite(phi) & np.isfinite(dphi)
    lower = finite & (phi < value)
    if found.accepted:
        assert (found.step_size, found.phi, found.dphi) == (eta[-1], phi[-1], dphi[-1])
        assert found.phi < value
        assert abs(found.dphi) <= np.nextafter(options["sigma"] * abs(slope), np.inf, dtype=phi.dtype)
        assert found.phi <= value + options["rho"] * found.step_size * slope + rounding(value)
    else:
        assert n == MOST
        if lower.any():
            best = np.flatnonzero(lower)[np.argmin(phi[lower])]
            assert (found.step_size, found.phi, found.dphi) == (eta[best], phi[best], dphi[best])
        else:
            assert (found.step_size, found.phi, found.dphi) == (0, value, slope)


def check_proposals(trace, n, value, slope, options, version):
    rows = [dict(zip(TRACE_COLUMNS, row, strict=True)) for row in trace.rows[:n]]
    for row, after in pairwise(rows):
        width = row["anchor_b"] - row["anchor_a"]
        assert after["eta"] == row["next_eta"]
        # The compiler may round an end of the interval differently where it clips and where it records.
        last_bits = 4 * np.finfo(value.dtype).eps * row["upper"]
        assert row["lower"] - last_bits <= row["next_eta"] <= row["upper"] + last_bits
        assert row["phase"] <= after["phase"], "phase two is never left"
        beyond = not np.isfinite(row["phi"] + row["dphi"]) or row["dphi"] > 0
        if row["phase"] == EXTRAPOLATE:
            assert not beyond and row["phi"] <= value + options["rho"] * row["eta"] * slope + rounding(value)
            onward = version == 2 and row["dphi"] < 0
            np.testing.assert_allclose(
                row["lower"], (1 if onward else options["alpha"]) * row["eta"], rtol=1e-5
            )
            np.testing.assert_allclose(row["upper"], options["beta"] * row["eta"], rtol=1e-5)
            continue
        assert row["anchor_a"] < row["lower"] and row["upper"] < row["anchor_b"]
        assert row["eta"] == row["anchor_b" if beyond else "anchor_a"] or row["eta"] == row["anchor_b"]
        margin = [row["lower"] - row["anchor_a"], row["anchor_b"] - row["upper"]]
        tolerance = 1e-5 * row["anchor_b"]
        np.testing.assert_allclose(margin, [options["gamma"] * width] * 2, rtol=1e-5, atol=tolerance)
        if after["phase"] == SHRINK and not after["accepted"]:
            narrower = after["anchor_b"] - after["anchor_a"]
            assert narrower <= (1 - options["gamma"]) * width + tolerance


def rounding(value):
    return 16 * np.finfo(value.dtype).eps * (1 + abs(value))


@pytest.mark.usefixtures("float64")
def test_a_quadratic_is_solved_by_its_second_evaluation():
    found = two_phase(lambda eta: ((eta - 2) ** 2, 2 * (eta - 2)), initial=1.0, sigma=1e-10)
    assert found.accepted and found.evaluations == 2
    np.testing.assert_allclose(found.step_size, 2, rtol=1e-12)


def test_the_smallest_stationary_point_is_found():
    found = two_phase(lambda eta: (jnp.cos(eta + 0.5), -jnp.sin(eta + 0.5)), initial=0.1)
    np.testing.assert_allclose(found.step_size, jnp.pi - 0.5, atol=0.05)


def test_a_function_that_only_falls_is_followed_as_far_as_allowed():
    found = two_phase(lambda eta: (-eta, -jnp.ones(())), 0.0, -1.0, initial=1.0, max_evaluations=4)
    assert not found.accepted
    assert found.step_size == found.step_size_max == 27
    assert found.phi == -27


def test_a_bracket_stays_finite_where_the_function_falls_for_ever():
    found = two_phase(lambda eta: (-eta, -jnp.ones(())), 0.0, -1.0, initial=1e30, beta=1e4)
    assert np.isfinite(found.line_search.next_eta).all()
    assert found.step_size == jnp.finfo(jnp.float32).max


def test_nothing_lower_gives_no_step():
    found = two_phase(lambda eta: (eta, jnp.ones(())), 0.0, -1.0, initial=1.0, max_evaluations=5)
    assert (found.step_size, found.phi, bool(found.accepted), int(found.evaluations)) == (0, 0, False, 5)


def test_aux_belongs_to_the_step_found():
    def phi(eta):
        return (eta - 2) ** 2, 2 * (eta - 2), {"twice": 2 * eta}

    found = two_phase(phi, initial=0.3, has_aux=True)
    assert found.aux["twice"] == 2 * found.step_size


def test_without_a_trace_the_same_step():
    p = functions.Ripple(0.0, 1.0, 3.0, 0.2, 3.0, 0.1, 0.1, 2.0)
    phi = functions.with_jax(p)
    value, slope = phi(jnp.zeros(()))
    traced, bare = (two_phase(phi, value, slope, initial=5.0, keep_trace=keep) for keep in (True, False))
    assert bare.line_search is None
    assert (traced.step_size, traced.phi) == (bare.step_size, bare.phi)


def too_short(eta):
    """An error whose digits do not show steps shorter than 2,400: 1 + 1e-12 (eta - 1e4)^2."""
    return jnp.float32(1) + jnp.float32(1e-12) * (eta - 1e4) ** 2, jnp.float32(2e-12) * (eta - 1e4)


def shallow_start(eta):
    """(eta + 0.004)^5 - 2 (eta + 0.004)^4: nearly flat at 0, with its minimum at 1.596."""
    a = eta + 0.004
    return a**5 - 2 * a**4, 5 * a**4 - 8 * a**3


@pytest.mark.parametrize(("phi", "options", "minimum", "version_1"), [
    (too_short, {"initial": 1.0}, 1e4, 0),
    (shallow_start, {"initial": 1e-3, "sigma": 0.2, "rho": 1e-4, "beta": 10.0}, 1.596, 0.1),
])  # fmt: skip
def test_phase_one_does_not_walk_back_where_the_slope_falls(phi, options, minimum, version_1):
    found = two_phase(phi, **options)
    np.testing.assert_allclose(found.step_size, minimum, rtol=2e-3)
    rows = found.line_search.rows[: int(found.evaluations)]
    first = rows[rows[:, TRACE_COLUMNS.index("phase")] == EXTRAPOLATE]
    assert (np.diff(first[:, TRACE_COLUMNS.index("eta")]) > 0).all() and len(first) > 3
    before = two_phase(phi, **options, version=1)
    np.testing.assert_allclose(before.step_size, version_1, rtol=1e-6)
    assert not before.accepted and before.evaluations == 25


def test_on_a_plateau_phase_one_still_walks_back():
    """Where phi and its slope are those of a plateau there is nothing to fall along."""
    found = two_phase(
        lambda eta: (jnp.where(eta < 1, (eta - 0.5) ** 2, 0.25), jnp.where(eta < 1, 2 * (eta - 0.5), 0.0)),
        initial=5.0,
    )
    assert found.accepted
    np.testing.assert_allclose(found.step_size, 0.5, atol=0.05)
