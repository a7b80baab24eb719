"""Why a line search found nothing lower, from the searches that find nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.analysis import search
from gdlab.linesearch import two_phase
from gdlab.records import TRACE_COLUMNS, Table


def words(phi, value, slope, **options):
    found = two_phase(phi, value, slope, initial=1.0, **options)
    assert found.step_size == 0, "a search that fails is needed"
    rows = np.asarray(found.line_search.rows, np.float64)[: int(found.evaluations)]
    return search.why_failed(
        Table(dict(zip(TRACE_COLUMNS, rows.T, strict=True)), {}, {}), float(value), float(slope)
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_each_reason_is_told(dtype):
    with jax.enable_x64(dtype == jnp.float64):
        one = jnp.asarray(1.0, dtype)
        tiny = 1e-10 if dtype == jnp.float32 else 1e-20
        assert "round-off" in words(lambda e: (one + 0 * e, tiny * (e - one)), one, -one * tiny)
        assert "finite nowhere" in words(lambda e: (e * jnp.nan, e), one, -one)
        assert "with new data" in words(lambda e: (5 + (e - one) ** 2, 2 * (e - one)), one, -2 * one)
        assert "not the slope" in words(lambda e: (one + e, -one + 0 * e), one, -one)
        steep = lambda e: (one + 1e4 * e**2 - e * 1e-2 * tiny, 2e4 * e - 1e-2 * tiny)  # noqa: E731
        assert "round-off" in words(steep, one, -one * 1e-2 * tiny)
        spent = lambda e: (one + 1e12 * e**2 - e, 2e12 * e - one)  # noqa: E731
        assert "evaluations are spent" in words(spent, one, -one, max_evaluations=2)


def test_no_direction_is_told():
    empty = Table({"eta": np.empty(0), "search": np.empty(0), "phi": np.empty(0)}, {}, {})
    assert "does not lead downhill" in search.why_failed(empty, 1.0, 0.0)
