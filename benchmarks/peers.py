"""Minimisers side by side: each a function of a `benchmarks.catalogue.Counter` that never stops by itself.

All are told never to be content, so that the counter, which sees every evaluation, decides when to end.
"""

import jax
import numpy as np
import optax

from gdlab import optim

STEPS = 100_000
ENDLESS = {"tol": 0.0, "max_iterations": STEPS, "max_evaluations": 1 << 30, "history": False}


def ours(optimizer):
    """`gdlab.minimize` with an optimizer, as one compiled program."""
    return lambda counter: jax.block_until_ready(
        jax.jit(lambda x: optim.minimize(counter.for_jax(), x, method=optimizer, **ENDLESS))(
            counter.case.start
        )
    )


def with_scipy(method):
    """SciPy's minimiser on the jitted value and slope."""

    def minimise(counter):
        from scipy.optimize import minimize
        from threadpoolctl import threadpool_limits

        options = {"gtol": 0.0, "maxiter": STEPS}
        options |= {"ftol": 0.0, "maxfun": STEPS} if method == "L-BFGS-B" else {}
        start = np.asarray(counter.case.start)
        with threadpool_limits(
            1
        ):  # several threads wait for one another at these sizes, for ten times as long
            minimize(counter.for_scipy, start, jac=True, method=method, options=options)

    return minimise


def with_optax(counter):
    """optax.lbfgs with its defaults."""
    loss, solver = counter.for_jax(), optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(carry):
        x, state, at = carry
        value, grad = value_and_grad(x, state=state)
        updates, state = solver.update(grad, state, x, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(x, updates), state, at + 1

    start = counter.case.start
    run = jax.jit(lambda x: jax.lax.while_loop(lambda c: c[2] < STEPS, step, (x, solver.init(x), 0)))
    jax.block_until_ready(run(start))


def with_jaxopt(counter):
    """jaxopt.NonlinearCG with its defaults (Polak-Ribiere, zoom line search)."""
    import jaxopt

    solver = jaxopt.NonlinearCG(counter.for_jax(), maxiter=STEPS, tol=0.0)
    jax.block_until_ready(solver.run(counter.case.start))


def with_optimistix(name):
    """A minimiser of optimistix with its defaults, by its name there: "NonlinearCG", "BFGS"."""

    def minimise(counter):
        import optimistix

        loss, solver = counter.for_jax(), getattr(optimistix, name)(rtol=1e-300, atol=1e-300)
        optimistix.minimise(lambda x, _: loss(x), solver, counter.case.start, max_steps=STEPS, throw=False)

    return minimise
