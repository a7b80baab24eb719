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

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.linesearch import two_phase
from gdlab.optim.betas import polak_ribiere, polak_ribiere_plus
from gdlab.optim.preconditioning import checked
from gdlab.optim.searching import (
    Course,
    check_parameters,
    descended,
    dot,
    error_function,
    rows_of_trace,
    steepest_descent,
    unsearched,
)
from gdlab.records import LineSearchTrace

NAME = "conjugate_gradient"


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


def conjugate_gradient(
    beta: Callable = polak_ribiere,
    line_search: Callable = two_phase,
    *,
    has_aux: bool = False,
    preconditioner: Callable | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Nonlinear conjugate gradients with a line search.

    Args:
      beta: formula (grad, previous_grad, direction) -> (), one of `gdlab.optim`'s (`polak_ribiere`,
        `polak_ribiere_plus`, `fletcher_reeves`, `hestenes_stiefel`, `dai_yuan`, `hager_zhang`, `dai_kou`) or
        one's own, which with a preconditioner is given `preconditioned=(M grad, M previous_grad)` besides.
      line_search: `two_phase`, its options bound by `functools.partial(two_phase, sigma=0.1, ...)`.
      has_aux: whether `value_fn` returns (error, anything).
      preconditioner: (vector) -> M vector, or (vector, params) -> M vector, pytrees like the parameters, with
        M symmetric and positive definite, near the inverse Hessian: d_k = -M g_k + beta_k d_{k-1}. It is
        applied twice an iteration, to both gradients. Where -M g_k does not lead downhill, -g_k does.

    Returns:
      An optax.GradientTransformationExtraArgs whose `update(grads, state, params, value=, grad=,
      value_fn=, new_descent=False, **extra)` returns the step eta_k d_k. `value` and `grad` are J(theta_k)
      and g_k, `value_fn(params, **extra) -> ()` is the error on the current batch, `new_descent` (bool)
      begins anew with -g_k, as where the mini-batch changes. Works on any pytree, under jit, vmap and scan.
      Behind other transformations in `optax.chain`, as `optax.add_decayed_weights` or `clip`, `grads` is what
      these made of the gradient: directions are made of it, slopes and errors are those of `value_fn`.

    Raises:
      ValueError: wrong options; missing or unknown arguments; parameters that are not real floating-point
        numbers; use inside `optax.multi_transform` (a line search moves all parameters at once and cannot be
        applied to a part of them).
    """
    if not callable(beta):
        raise ValueError(
            f"beta={beta!r} is not a function (grad, previous_grad, direction) -> (); see gdlab.optim.betas"
        )
    if preconditioner is not None and not _takes_preconditioned(beta):
        raise ValueError(
            f"beta={beta!r} does not take preconditioned=(M grad, M previous_grad), which a formula beside a "
            "preconditioner needs"
        )
    max_evaluations = rows_of_trace(NAME, line_search)
    multiply = checked(NAME, preconditioner)

    def init(params):
        check_parameters(NAME, params)
        zeros = optax.tree.zeros_like(params)
        return ConjugateGradientState(previous_grad=zeros, **unsearched(params, max_evaluations))

    def update(
        grads, state, params=None, *, value=None, grad=None, value_fn=None, new_descent=False, **extra
    ):
        if params is None or value is None or value_fn is None:
            raise ValueError(
                "conjugate_gradient needs update(grads, state, params, value=, grad=, value_fn=)"
            )
        check_parameters(NAME, params)
        error = error_function(NAME, value_fn, extra, has_aux)
        gradient = grads if grad is None else grad
        dtype = state.value.dtype
        value = jnp.asarray(value, dtype)
        ahead, formula = grads, beta
        if multiply is not None:
            ahead, before = multiply(grads, params), multiply(state.previous_grad, params)
            formula = partial(beta, preconditioned=(ahead, before))
        course = _course(formula, grads, ahead, gradient, state, new_descent, dtype)
        # A new descent hands over no step width: the last one belongs to another error function.
        last = jnp.where(state.fresh | new_descent, 0, state.step_size)
        previous = (last, state.slope, last * jnp.asarray(optax.tree.norm(state.direction), dtype))
        steepest = partial(steepest_descent, ahead, gradient, dtype)
        step, fields = descended(
            line_search, course, error, params, value, gradient, steepest, previous, max_evaluations
        )
        return step, ConjugateGradientState(previous_grad=grads, **fields)

    return optax.GradientTransformationExtraArgs(init, update)


def fast_conjugate_gradient(**options: Any) -> optax.GradientTransformationExtraArgs:
    """Conjugate gradients with the setting that needed the fewest evaluations in `benchmarks/evaluations.py`.

    Polak-Ribiere+; the search starts with a step as long as the last one, may go ten times as far
    where it does not see the minimum yet, and is content with a fifth of the slope. `options` are those of
    `two_phase` and replace these; `keep_trace=False` where nobody looks at the searches.
    """
    setting: dict[str, Any] = {"initial": "previous_length", "sigma": 0.2, "rho": 1e-4, "beta": 10.0}
    setting["epsilon"] = 1e-6
    setting |= options
    return conjugate_gradient(polak_ribiere_plus, partial(two_phase, **setting))


def _course(beta, grads, ahead, gradient, state, new_descent, dtype):
    """The Course of an iteration: conjugate where that leads downhill, else of steepest descent.

    ahead: the preconditioned `grads`, or these themselves.
    """
    fresh = state.fresh | new_descent
    factor = beta(grads, state.previous_grad, state.direction)
    # After a reset the formula divides by zero; its value is then not used.
    lost = ~fresh & ~jnp.isfinite(factor)
    factor = jnp.where(fresh | lost, 0, factor)
    conjugate = jax.tree.map(lambda g, d: -g + factor.astype(g.dtype) * d, ahead, state.direction)
    slope = dot(gradient, conjugate, dtype)
    uphill = ~(slope < 0)
    steepest = fresh | uphill | (factor == 0)
    lowest, lowest_slope = steepest_descent(ahead, gradient, dtype)
    direction = jax.tree.map(lambda s, d: jnp.where(uphill, s, d), lowest, conjugate)
    slope = jnp.where(uphill, lowest_slope, slope)
    return Course(direction, slope, lost | (~fresh & uphill), steepest)


def _takes_preconditioned(beta):
    try:
        parameters = inspect.signature(beta).parameters
    except (TypeError, ValueError):  # of what Python cannot look into
        return True
    kinds = {parameter.kind for parameter in parameters.values()}
    return "preconditioned" in parameters or inspect.Parameter.VAR_KEYWORD in kinds
