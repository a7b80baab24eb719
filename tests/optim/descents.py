"""How the tests run a descent: one jitted step, called from a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdlab.optim import value_and_grad_from_state


def rosenbrock(theta):
    """The paper's example, 100 (t2 - t1^2)^2 + (1 - t1)^2; theta [2] -> ()."""
    return 100 * (theta[1] - theta[0] ** 2) ** 2 + (1 - theta[0]) ** 2


def quadratic(p, seed=0, condition=100.0):
    """(value_fn, minimiser): a convex quadratic in p dimensions with the given condition number."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(p, p)))
    hessian = jnp.asarray(basis * np.geomspace(1, condition, p) @ basis.T)
    centre = jnp.asarray(rng.normal(size=p))
    return lambda theta: (theta - centre) @ hessian @ (theta - centre) / 2, centre


def make_step(optimizer, value_fn):
    """(params, state) -> (params, state, loss), jitted, as an optax user writes it."""
    value_and_grad = value_and_grad_from_state(value_fn)

    @jax.jit
    def step(params, state):
        loss, grad = value_and_grad(params, state=state)
        updates, state = optimizer.update(grad, state, params, value=loss, grad=grad, value_fn=value_fn)
        return optax.apply_updates(params, updates), state, loss

    return step


def descend(optimizer, value_fn, params, steps):
    """Yields (parameters before, state after, loss before) of each iteration."""
    step, state = make_step(optimizer, value_fn), optimizer.init(params)
    for _ in range(steps):
        before = params
        params, state, loss = step(params, state)
        yield before, state, loss
