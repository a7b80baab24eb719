"""Nonlinear conjugate gradients with an exact-minded line search, as an optax transformation.

theta_{k+1} = theta_k + eta_k d_k with d_0 = -g_0 and d_k = -g_k + beta_k d_{k-1}. The direction is
reset to -g_k where it would not lead downhill, after a failed line search and at the start of each
descent. A search that finds nothing lower is repeated once along -g_k; if that fails too the step
is zero and the status says so. J(theta_{k+1}) < J(theta_k) for every step that is taken.

The gradient that the line search computed at the accepted point rides along in the state (`value`,
`grad`), so that an iteration costs exactly its evaluations and none more: read it back with
`gdlab.optim.value_and_grad_from_state(value_fn)`.

Source: Polak and Ribiere 1969; Becker, Lippel, Zielke 2019, section 2.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.linesearch import two_phase
from gdlab.optim.betas import polak_ribiere, polak_ribiere_plus
from gdlab.records import CONVERGED, DIVERGED, LINE_SEARCH_FAILED, OK, TRACE_COLUMNS, LineSearchTrace


class ConjugateGradientState(NamedTuple):
    """State of `conjugate_gradient`; scalars () unless said.

    direction, previous_grad  d_{k-1} and g_{k-1}, pytrees like the parameters
    value, grad     J and its gradient at the new parameters, on the batch of this iteration
    fresh           True until the first step and after a failure: the next direction is -g
    step_size, step_size_max, slope, evaluations, restarted, status: of the last iteration
    line_search     LineSearchTrace of the last iteration, or None
    """

    direction: Any
    previous_grad: Any
    value: Any
    grad: Any
    fresh: Any
    step_size: Any
    step_size_max: Any
    slope: Any
    evaluations: Any
    restarted: Any
    status: Any
    line_search: LineSearchTrace | None


class _Attempt(NamedTuple):
    attempts: Any
    searching: Any
    direction: Any
    slope: Any
    step_size: Any
    step_size_max: Any
    value: Any
    grad: Any
    evaluations: Any
    rows: Any


def conjugate_gradient(
    beta: Callable = polak_ribiere, line_search: Callable = two_phase
) -> optax.GradientTransformationExtraArgs:
    """Nonlinear conjugate gradients with a line search.

    Args:
      beta: formula (grad, previous_grad, direction) -> (), one of `gdlab.optim`'s (`polak_ribiere`,
        `polak_ribiere_plus`, `fletcher_reeves`, `hestenes_stiefel`, `dai_yuan`, `hager_zhang`) or one's own.
      line_search: `two_phase`, its options bound by `functools.partial(two_phase, sigma=0.1, ...)`.

    Returns:
      An optax.GradientTransformationExtraArgs whose `update(grads, state, params, value=, grad=,
      value_fn=, new_descent=False)` returns the step eta_k d_k. `value` and `grad` are J(theta_k) and
      g_k, `value_fn(params) -> ()` is the error on the current batch, `new_descent` (bool) begins anew
      with -g_k, as where the mini-batch changes. Works on any pytree, under jit, vmap and scan.

    Raises:
      ValueError: wrong options, missing arguments, or use inside `optax.multi_transform` (a line search
        moves all parameters at once and cannot be applied to a part of them).
    """
    if not callable(beta):
        raise ValueError(
            f"beta={beta!r} is not a function (grad, previous_grad, direction) -> (); see gdlab.optim.betas"
        )
    if not callable(line_search):
        raise ValueError(
            f"line_search={line_search!r} is not a function; use functools.partial(two_phase, sigma=...)"
        )
    max_evaluations = _try_options(line_search)
    keep_trace = max_evaluations is not None

    def init(params):
        _refuse_masked(params)
        zeros = optax.tree.zeros_like(params)
        dtype = optax.tree.dtype(params, "promote")
        scalar = jnp.zeros((), dtype)
        return ConjugateGradientState(
            direction=zeros,
            previous_grad=zeros,
            value=jnp.full((), jnp.inf, dtype),  # not known yet; optax's convention
            grad=zeros,
            fresh=jnp.bool_(True),
            step_size=scalar,
            step_size_max=scalar,
            slope=scalar,
            evaluations=jnp.int32(0),
            restarted=jnp.bool_(False),
            status=jnp.int32(OK),
            line_search=_empty_trace(max_evaluations, dtype) if keep_trace else None,
        )

    def update(
        grads, state, params=None, *, value=None, grad=None, value_fn=None, new_descent=False, **extra
    ):
        del extra
        if params is None or value is None or value_fn is None:
            raise ValueError(
                "conjugate_gradient needs update(grads, state, params, value=, grad=, value_fn=)"
            )
        _refuse_masked(params)
        gradient = grads if grad is None else grad
        dtype = state.value.dtype
        value = jnp.asarray(value, dtype)
        direction, slope, restarted, steepest = _direction(beta, gradient, state, new_descent, dtype)
        finite = jnp.isfinite(value) & jnp.isfinite(slope)
        downhill = finite & (slope < 0)
        attempt = _first_attempt(downhill, direction, slope, value, gradient, max_evaluations)
        # A new descent hands over no step width: the last one belongs to another error function.
        last = jnp.where(state.fresh | new_descent, 0, state.step_size)
        previous = (last, state.slope, last * jnp.asarray(optax.tree.norm(state.direction), dtype))

        def search(attempt):
            return _search(attempt, line_search, value_fn, params, value, gradient, previous, steepest)

        attempt = jax.lax.while_loop(lambda a: a.searching, search, attempt)
        failed = attempt.step_size == 0
        searched = jnp.where(failed, LINE_SEARCH_FAILED, OK)
        status = jnp.where(downhill, searched, jnp.where(finite, CONVERGED, DIVERGED))
        trace = LineSearchTrace(attempt.rows) if keep_trace else None
        new_state = ConjugateGradientState(
            direction=attempt.direction,
            previous_grad=gradient,
            value=attempt.value,
            grad=attempt.grad,
            fresh=failed,
            step_size=attempt.step_size,
            step_size_max=attempt.step_size_max,
            slope=attempt.slope,
            evaluations=attempt.evaluations,
            restarted=restarted | (attempt.attempts > 1),
            status=status.astype(jnp.int32),
            line_search=trace,
        )
        return scaled(attempt.step_size, attempt.direction), new_state

    return optax.GradientTransformationExtraArgs(init, update)


def scaled(step_size, direction):
    """eta d as a pytree like d; 0 where eta is, though d be not finite (0 times infinity is no number)."""
    # The direction is masked, not the product: a product and the sum that follows may be rounded as one.
    return jax.tree.map(lambda d: step_size * jnp.where(step_size == 0, 0, d), direction)


def fast_conjugate_gradient(**options: Any) -> optax.GradientTransformationExtraArgs:
    """Conjugate gradients with the setting that needed the fewest evaluations in `benchmarks/evaluations.py`.

    Polak-Ribiere+; the search starts with a step as long as the last one, may go ten times as far
    where it does not see the minimum yet, and is content with a fifth of the slope. `options` are those of
    `two_phase` and replace these; `keep_trace=False` where nobody looks at the searches.
    """
    setting: dict[str, Any] = {"initial": "previous_length", "sigma": 0.2, "rho": 1e-4, "beta": 10.0}
    setting |= options
    return conjugate_gradient(polak_ribiere_plus, partial(two_phase, **setting))


def _direction(beta, gradient, state, new_descent, dtype):
    """(d_k, g_k . d_k, whether the conjugate direction was given up, whether d_k = -g_k)."""
    fresh = state.fresh | new_descent
    factor = beta(gradient, state.previous_grad, state.direction)
    # After a reset the formula divides by zero; its value is then not used.
    lost = ~fresh & ~jnp.isfinite(factor)
    factor = jnp.where(fresh | lost, 0, factor)
    conjugate = jax.tree.map(lambda g, d: -g + factor.astype(g.dtype) * d, gradient, state.direction)
    slope = jnp.asarray(optax.tree.vdot(gradient, conjugate), dtype)
    uphill = ~(slope < 0)
    steepest = fresh | uphill | (factor == 0)
    direction = jax.tree.map(lambda g, d: jnp.where(uphill, -g, d), gradient, conjugate)
    slope = jnp.where(uphill, -jnp.asarray(optax.tree.vdot(gradient, gradient), dtype), slope)
    return direction, slope, lost | (~fresh & uphill), steepest


def _first_attempt(downhill, direction, slope, value, grad, max_evaluations):
    """No step yet; max_evaluations None keeps no trace."""
    zero = jnp.zeros((), value.dtype)
    traced = max_evaluations is not None
    return _Attempt(
        attempts=jnp.int32(0),
        searching=downhill,
        direction=direction,
        slope=slope,
        step_size=zero,
        step_size_max=zero,
        value=value,
        grad=grad,
        evaluations=jnp.int32(0),
        rows=jnp.zeros((2 * max_evaluations, len(TRACE_COLUMNS)), value.dtype) if traced else None,
    )


def _search(attempt, line_search, value_fn, params, value, gradient, previous, steepest):
    """One line search along attempt.direction; prepares the second attempt along -g where it failed."""
    direction = attempt.direction
    dtype = value.dtype

    def phi(eta):
        point = jax.tree.map(lambda p, d: p + eta.astype(p.dtype) * d, params, direction)
        phi_eta, gradient_eta = jax.value_and_grad(value_fn)(point)
        return phi_eta, jnp.asarray(optax.tree.vdot(gradient_eta, direction), dtype), gradient_eta

    found = line_search(
        phi,
        value,
        attempt.slope,
        squared_norm=jnp.asarray(optax.tree.vdot(direction, direction), dtype),
        previous=(jnp.where(attempt.attempts == 0, previous[0], 0), *previous[1:]),
        aux=gradient,
        has_aux=True,
    )
    success = found.step_size > 0
    again = ~success & (attempt.attempts == 0) & ~steepest
    rows = attempt.rows
    if rows is not None:
        new = found.line_search.rows.at[:, 0].set(attempt.attempts.astype(rows.dtype))
        rows = jax.lax.dynamic_update_slice_in_dim(rows, new, attempt.evaluations, 0)
    return _Attempt(
        attempts=attempt.attempts + 1,
        searching=again,
        direction=jax.tree.map(lambda g, d: jnp.where(again, -g, d), gradient, direction),
        slope=jnp.where(again, -jnp.asarray(optax.tree.vdot(gradient, gradient), dtype), attempt.slope),
        step_size=found.step_size,
        step_size_max=found.step_size_max,
        value=found.phi,
        grad=found.aux,
        evaluations=attempt.evaluations + found.evaluations,
        rows=rows,
    )


def _empty_trace(max_evaluations, dtype):
    return LineSearchTrace(jnp.zeros((2 * max_evaluations, len(TRACE_COLUMNS)), dtype))


def _try_options(line_search):
    """Let a wrong option fail here, where it was given, and not inside the first compilation.

    Returns the number of rows of the search's trace, None where it keeps none.
    """
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    found = jax.eval_shape(
        lambda v, s: line_search(lambda eta: (v, s), v, s, squared_norm=v, previous=(v, s, v)), scalar, scalar
    )
    return None if found.line_search is None else found.line_search.rows.shape[0]


def _refuse_masked(params):
    leaves = jax.tree.leaves(params, is_leaf=lambda leaf: isinstance(leaf, optax.MaskedNode))
    if any(isinstance(leaf, optax.MaskedNode) for leaf in leaves):
        raise ValueError(
            "conjugate_gradient cannot run inside optax.multi_transform or optax.masked: its line search "
            "moves all parameters along one direction. Give it all of them, or that part as its own pytree."
        )
