"""gdlab's methods as a minimiser of optimistix, for its `minimise` and its own comparisons on CUTEst.

python -m examples.optimistix_minimiser
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx

from gdlab import optim
from gdlab.optim.search_state import search_state
from gdlab.records import DIVERGED


class State(eqx.Module):
    """Where a descent stands: the optimizer's state, error, its gradient and aux, calls, how it goes on."""

    opt_state: Any
    f: jax.Array
    grad: Any
    aux: Any
    evaluations: jax.Array
    ends: jax.Array
    diverged: jax.Array


class Minimiser(optx.AbstractMinimiser):
    """A line-search optimizer of gdlab by optimistix's rules: it ends where a step changes y and f by no more
    than rtol and atol allow.

    method: `gdlab.optim.lbfgs` and its like, which is called without arguments when a solve begins. An
    iteration evaluates where its search does and nowhere else; `stats["num_evaluations"]` counts.
    """

    rtol: float
    atol: float
    method: Callable = eqx.field(static=True, default=optim.lbfgs)
    norm: Callable = eqx.field(static=True, default=optx.max_norm)

    def init(self, fn, y, args, options, f_struct, aux_struct, tags):
        """Evaluates at the start."""
        (f, aux), grad = jax.value_and_grad(fn, has_aux=True)(y, args)
        begun = self.method().init(y)
        no = jnp.bool_(False)
        return State(begun, f, grad, aux, jnp.int32(1), no, no)

    def step(self, fn, y, args, options, state, tags):
        """One iteration: a direction, a line search."""
        updates, opt_state = self.method().update(
            state.grad, state.opt_state, y, value=state.f, grad=state.grad, value_fn=lambda y: fn(y, args)[0]
        )
        found = search_state(opt_state)
        f = found.value.astype(state.f.dtype)
        ends = self._is_small(updates, y) & self._is_small(f - state.f, f)
        after = State(
            opt_state,
            f,
            found.grad,
            state.aux,
            state.evaluations + found.evaluations,
            ends,
            found.status == DIVERGED,
        )
        return eqx.apply_updates(y, updates), after, state.aux

    def _is_small(self, change, of):
        """Whether no component changes by more than atol + rtol times its size, in the sense of `norm`."""
        share = jax.tree.map(lambda c, v: c / (self.atol + self.rtol * jnp.abs(v)), change, of)
        return self.norm(share) < 1

    def terminate(self, fn, y, args, options, state, tags):
        """Whether the last step was small enough, or the error is not finite."""
        result = optx.RESULTS.where(
            state.diverged, optx.RESULTS.nonlinear_divergence, optx.RESULTS.successful
        )
        return state.ends | state.diverged, result

    def postprocess(self, fn, y, aux, args, options, state, tags, result):
        """aux is that of the end."""
        return y, fn(y, args)[1], {"num_evaluations": state.evaluations, "f": state.f}


def main():
    """Rosenbrock's function in ten dimensions by each of them, beside optimistix's own BFGS."""

    def rosenbrock(y, args):
        return jnp.sum(args * (y[1:] - y[:-1] ** 2) ** 2 + (1 - y[:-1]) ** 2)

    methods = (optim.lbfgs, optim.limited_memory_conjugate_gradient, optim.fast_conjugate_gradient)
    solvers = {method.__name__: Minimiser(1e-8, 1e-8, method) for method in methods}
    solvers["optimistix's BFGS"] = optx.BFGS(1e-8, 1e-8)
    for name, solver in solvers.items():
        found = optx.minimise(rosenbrock, solver, jnp.zeros(10), 100.0, max_steps=2000, throw=False)
        evaluations = found.stats.get("num_evaluations", "?")
        print(f"{name}: f {rosenbrock(found.value, 100.0):.1e}, {found.stats['num_steps']} iterations, "
              f"{evaluations} evaluations")  # fmt: skip


if __name__ == "__main__":
    main()
