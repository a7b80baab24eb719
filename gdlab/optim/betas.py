"""How much of the last descent direction a conjugate gradient step keeps.

Each formula is a plain function (grad, previous_grad, direction) -> (), all three pytrees of the
same structure: g_k, g_{k-1} and d_{k-1}. A formula of one's own is handed in the same way.

With a preconditioner M it is given `preconditioned=(M g_k, M g_{k-1})` besides. All products of two gradients
are then those with M between them: the formula is that of the variables in which M is the identity.
"""

import jax
import jax.numpy as jnp
import optax


def _dot(x, y):
    return optax.tree.vdot(x, y)


def _difference(grad, previous_grad):
    return jax.tree.map(jnp.subtract, grad, previous_grad)


def polak_ribiere(grad, previous_grad, direction, preconditioned=None):
    """g_k . (g_k - g_{k-1}) / |g_{k-1}|^2. Source: Polak and Ribiere 1969."""
    del direction
    ahead, before = preconditioned or (grad, previous_grad)
    return _dot(ahead, _difference(grad, previous_grad)) / _dot(before, previous_grad)


def polak_ribiere_plus(grad, previous_grad, direction, preconditioned=None):
    """max(0, Polak-Ribiere): restarts by itself. Source: Powell 1984; Gilbert and Nocedal 1992."""
    return jnp.maximum(polak_ribiere(grad, previous_grad, direction, preconditioned), 0)


def fletcher_reeves(grad, previous_grad, direction, preconditioned=None):
    """|g_k|^2 / |g_{k-1}|^2. Source: Fletcher and Reeves 1964."""
    del direction
    ahead, before = preconditioned or (grad, previous_grad)
    return _dot(ahead, grad) / _dot(before, previous_grad)


def hestenes_stiefel(grad, previous_grad, direction, preconditioned=None):
    """g_k . y / d_{k-1} . y with y = g_k - g_{k-1}. Source: Hestenes and Stiefel 1952."""
    ahead, _ = preconditioned or (grad, previous_grad)
    y = _difference(grad, previous_grad)
    return _dot(ahead, y) / _dot(direction, y)


def dai_yuan(grad, previous_grad, direction, preconditioned=None):
    """|g_k|^2 / d_{k-1} . (g_k - g_{k-1}). Source: Dai and Yuan 1999."""
    ahead, _ = preconditioned or (grad, previous_grad)
    return _dot(ahead, grad) / _dot(direction, _difference(grad, previous_grad))


def hager_zhang(grad, previous_grad, direction, preconditioned=None):
    """(y - 2 d_{k-1} |y|^2 / d_{k-1}.y) . g_k / d_{k-1}.y, bounded below as its authors do.

    Source: Hager and Zhang 2005, eqs. 1.3 and 1.6 with their constant 0.01.
    """
    ahead, before = preconditioned or (grad, previous_grad)
    y, change = _difference(grad, previous_grad), _difference(ahead, before)
    dy = _dot(direction, y)
    beta = (_dot(y, ahead) - 2 * _dot(y, change) * _dot(direction, grad) / dy) / dy
    norm = jnp.sqrt(_dot(direction, direction))
    floor = -1 / (norm * jnp.minimum(0.01, jnp.sqrt(_dot(before, previous_grad))))
    return jnp.maximum(beta, floor)


def dai_kou(grad, previous_grad, direction, preconditioned=None):
    """(y - d_{k-1} |y|^2 / d_{k-1}.y) . g_k / d_{k-1}.y, at least 0.5 d_{k-1}.g_k / |d_{k-1}|^2.

    The direction nearest to the memoryless quasi-Newton one of Perry and Shanno, with tau = s.y / |s|^2.
    Source: Dai and Kou 2013.
    """
    ahead, before = preconditioned or (grad, previous_grad)
    y, change = _difference(grad, previous_grad), _difference(ahead, before)
    dy, dg = _dot(direction, y), _dot(direction, grad)
    beta = (_dot(y, ahead) - _dot(y, change) * dg / dy) / dy
    return jnp.maximum(beta, 0.5 * dg / _dot(direction, direction))
