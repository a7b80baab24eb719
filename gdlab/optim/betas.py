"""How much of the last descent direction a conjugate gradient step keeps.

Each formula is a plain function (grad, previous_grad, direction) -> (), all three pytrees of the
same structure: g_k, g_{k-1} and d_{k-1}. A formula of one's own is handed in the same way.
"""

import jax
import jax.numpy as jnp
import optax


def _dot(x, y):
    return optax.tree.vdot(x, y)


def _difference(grad, previous_grad):
    return jax.tree.map(jnp.subtract, grad, previous_grad)


def polak_ribiere(grad, previous_grad, direction):
    """g_k . (g_k - g_{k-1}) / |g_{k-1}|^2. Source: Polak and Ribiere 1969."""
    del direction
    return _dot(grad, _difference(grad, previous_grad)) / _dot(previous_grad, previous_grad)


def polak_ribiere_plus(grad, previous_grad, direction):
    """max(0, Polak-Ribiere): restarts by itself. Source: Powell 1984; Gilbert and Nocedal 1992."""
    return jnp.maximum(polak_ribiere(grad, previous_grad, direction), 0)


def fletcher_reeves(grad, previous_grad, direction):
    """|g_k|^2 / |g_{k-1}|^2. Source: Fletcher and Reeves 1964."""
    del direction
    return _dot(grad, grad) / _dot(previous_grad, previous_grad)


def hestenes_stiefel(grad, previous_grad, direction):
    """g_k . y / d_{k-1} . y with y = g_k - g_{k-1}. Source: Hestenes and Stiefel 1952."""
    y = _difference(grad, previous_grad)
    return _dot(grad, y) / _dot(direction, y)


def dai_yuan(grad, previous_grad, direction):
    """|g_k|^2 / d_{k-1} . (g_k - g_{k-1}). Source: Dai and Yuan 1999."""
    return _dot(grad, grad) / _dot(direction, _difference(grad, previous_grad))


def hager_zhang(grad, previous_grad, direction):
    """(y - 2 d_{k-1} |y|^2 / d_{k-1}.y) . g_k / d_{k-1}.y, bounded below as its authors do.

    Source: Hager and Zhang 2005, eqs. 1.3 and 1.6 with their constant 0.01.
    """
    y = _difference(grad, previous_grad)
    dy = _dot(direction, y)
    beta = (_dot(y, grad) - 2 * _dot(y, y) * _dot(direction, grad) / dy) / dy
    norm = jnp.sqrt(_dot(direction, direction))
    floor = -1 / (norm * jnp.minimum(0.01, jnp.sqrt(_dot(previous_grad, previous_grad))))
    return jnp.maximum(beta, floor)
