"""Each beta formula against NumPy on the flattened vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import optim

FORMULAS = {
    "polak_ribiere": lambda g, g0, d: g @ (g - g0) / (g0 @ g0),
    "polak_ribiere_plus": lambda g, g0, d: max(0.0, g @ (g - g0) / (g0 @ g0)),
    "fletcher_reeves": lambda g, g0, d: g @ g / (g0 @ g0),
    "hestenes_stiefel": lambda g, g0, d: g @ (g - g0) / (d @ (g - g0)),
    "dai_yuan": lambda g, g0, d: g @ g / (d @ (g - g0)),
    "dai_kou": lambda g, g0, d: max(
        ((g - g0) - d * ((g - g0) @ (g - g0)) / (d @ (g - g0))) @ g / (d @ (g - g0)),
        0.5 * (d @ g) / (d @ d),
    ),
    "hager_zhang": lambda g, g0, d: max(
        ((g - g0) - 2 * d * ((g - g0) @ (g - g0)) / (d @ (g - g0))) @ g / (d @ (g - g0)),
        -1 / (np.linalg.norm(d) * min(0.01, np.linalg.norm(g0))),
    ),
}


def as_tree(vector):
    return {
        "w": jnp.asarray(vector[:6]).reshape(2, 3),
        "b": (jnp.asarray(vector[6]), jnp.asarray(vector[7:])),
    }


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-4), (np.float64, 1e-12)])
def test_against_numpy(name, dtype, tolerance):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        for size in [1.0, 1.0, 1e-3, 100.0]:
            vectors = (rng.normal(size=(3, 9)) * size).astype(dtype)
            found = getattr(optim, name)(*map(as_tree, vectors))
            assert found.shape == () and found.dtype == dtype
            wanted = FORMULAS[name](*vectors.astype(np.float64))
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def test_polak_ribiere_plus_restarts_where_polak_ribiere_is_negative():
    grad, previous = jnp.array([1.0, 0.0]), jnp.array([2.0, 0.0])
    assert optim.polak_ribiere(grad, previous, -previous) < 0
    assert optim.polak_ribiere_plus(grad, previous, -previous) == 0


def test_hager_zhang_is_bounded_below():
    grad, previous, direction = jnp.array([1.0, 4.0]), jnp.array([1e-3, 0.0]), jnp.array([-1e-3, 1e-2])
    floor = -1 / (np.hypot(1e-3, 1e-2) * 1e-3)
    assert optim.hager_zhang(1e3 * grad, previous, 1e-3 * direction) >= floor * 1e3
    y = 1e3 * np.asarray(grad) - np.asarray(previous)
    d = 1e-3 * np.asarray(direction)
    unbounded = (y - 2 * d * (y @ y) / (d @ y)) @ (1e3 * np.asarray(grad)) / (d @ y)
    bounded = float(optim.hager_zhang(1e3 * grad, previous, 1e-3 * direction))
    np.testing.assert_allclose(bounded, max(unbounded, floor * 1e3), rtol=1e-4)
