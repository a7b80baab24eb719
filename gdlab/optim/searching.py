"""A line search along a direction of a whole pytree, as every optimizer here that has one makes it.

Whatever the direction is, the rest is the same: the slope that the true gradient has along it, the search,
one more of steepest descent where nothing lower was found, and what the state tells of it afterwards. An
optimizer may stand behind others in `optax.chain`: what these make of the gradient decides the direction,
while slopes and values are always those of the error function, as in `optax.lbfgs`.
"""

import difflib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.records import CONVERGED, DIVERGED, LINE_SEARCH_FAILED, OK, TRACE_COLUMNS, LineSearchTrace

ARGUMENTS = ("value", "grad", "value_fn", "new_descent")  # of an update, besides those of value_fn


class Attempt(NamedTuple):
    """Where the searches of one iteration stand; scalars () unless said.

    searching: another one is due; direction, grad: pytrees; rows: of the trace, None where none is kept.
    """

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


class Course(NamedTuple):
    """Where an optimizer wants to go: direction, a pytree; slope () of the error along it; restarted (),
    whether what it had learned was given up; steepest (), whether that is steepest descent."""

    direction: Any
    slope: Any
    restarted: Any
    steepest: Any


def unsearched(params: Any, max_evaluations: int | None) -> dict[str, Any]:
    """The fields of a state before the first iteration; max_evaluations None keeps no trace."""
    dtype = searched_dtype(params)
    zeros, scalar = optax.tree.zeros_like(params), jnp.zeros((), dtype)
    return {
        "direction": zeros,
        "value": jnp.full((), jnp.inf, dtype),  # not known yet; optax's convention
        "grad": zeros,
        "fresh": jnp.bool_(True),
        "step_size": scalar,
        "step_size_max": scalar,
        "slope": scalar,
        "evaluations": jnp.int32(0),
        "restarted": jnp.bool_(False),
        "status": jnp.int32(OK),
        "line_search": None if max_evaluations is None else _empty_trace(max_evaluations, dtype),
    }


def descended(
    line_search: Callable,
    course: Course,
    value_fn: Callable,
    params: Any,
    value: Any,
    gradient: Any,
    steepest: Callable,
    previous: tuple,
    max_evaluations: int | None,
) -> tuple[Any, dict[str, Any]]:
    """(the step eta_k d_k, the fields of the state after it) of one iteration.

    Args:
      line_search: as `two_phase`, its options bound.
      course: direction and slope at `params`.
      value_fn: params -> (), the error; value (), gradient: at `params`.
      steepest: () -> (direction of steepest descent, slope along it), searched where `course` gives nothing
        lower.
      previous: as of `two_phase`.
      max_evaluations: of the trace, None where none is kept.
    """
    finite = jnp.isfinite(value) & jnp.isfinite(course.slope)
    downhill = finite & (course.slope < 0)
    attempt = _first_attempt(downhill, course.direction, course.slope, value, gradient, max_evaluations)

    def search(attempt):
        return _search(attempt, line_search, value_fn, params, value, gradient, previous, course, steepest)

    attempt = jax.lax.while_loop(lambda a: a.searching, search, attempt)
    failed = attempt.step_size == 0
    searched = jnp.where(failed, LINE_SEARCH_FAILED, OK)
    status = jnp.where(downhill, searched, jnp.where(finite, CONVERGED, DIVERGED))
    return scaled(attempt.step_size, attempt.direction), {
        "direction": attempt.direction,
        "value": attempt.value,
        "grad": attempt.grad,
        "fresh": failed,
        "step_size": attempt.step_size,
        "step_size_max": attempt.step_size_max,
        "slope": attempt.slope,
        "evaluations": attempt.evaluations,
        "restarted": course.restarted | (attempt.attempts > 1),
        "status": status.astype(jnp.int32),
        "line_search": None if max_evaluations is None else LineSearchTrace(attempt.rows),
    }


def searched_dtype(params: Any) -> Any:
    """The precision of errors, slopes and step widths: that of the parameters, at least single."""
    return jnp.promote_types(optax.tree.dtype(params, "promote"), jnp.float32)


def dot(x: Any, y: Any, dtype: Any) -> Any:
    """x . y of two pytrees, summed in `dtype` where the leaves have less."""
    wide = lambda leaf: leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))  # noqa: E731
    return jnp.asarray(optax.tree.vdot(jax.tree.map(wide, x), jax.tree.map(wide, y)), dtype)


def steepest_descent(grads: Any, gradient: Any, dtype: Any) -> tuple[Any, Any]:
    """(direction, slope along it) of steepest descent.

    grads: what the transformations before made of `gradient`, the error's; their descent where it leads
    downhill, else the gradient's own.
    """
    if grads is gradient:
        return jax.tree.map(jnp.negative, gradient), -dot(gradient, gradient, dtype)
    slope = -dot(gradient, grads, dtype)
    downhill = slope < 0
    direction = jax.tree.map(lambda t, g: jnp.where(downhill, -t, -g), grads, gradient)
    return direction, jnp.where(downhill, slope, -dot(gradient, gradient, dtype))


def scaled(step_size: Any, direction: Any) -> Any:
    """eta d as a pytree like d; 0 where eta is, though d be not finite (0 times infinity is no number)."""
    # The direction is masked, not the product: a product and the sum that follows may be rounded as one.
    return jax.tree.map(lambda d: (step_size * jnp.where(step_size == 0, 0, d)).astype(d.dtype), direction)


def error_function(name: str, value_fn: Callable, extra: dict[str, Any], has_aux: bool) -> Callable:
    """params -> (): `value_fn` with those further arguments of an update that are its own.

    Raises:
      ValueError: an argument that it does not take, or, when called, an error that is not a scalar.
    """
    _check_extra(name, value_fn, extra)

    def error(params):
        found = value_fn(params, **extra)
        if isinstance(found, tuple) and not has_aux:
            raise ValueError(
                f"{name}: value_fn returns a tuple of {len(found)}: one that hands out more than the error "
                f"needs {name}(has_aux=True)"
            )
        found = found[0] if has_aux else found
        if jnp.shape(found) != ():
            raise ValueError(
                f"{name}: value_fn returns the shape {jnp.shape(found)}; an error is a scalar, ()"
            )
        return found

    return error


def check_parameters(name: str, params: Any) -> None:
    """Raise ValueError unless all leaves are real floating-point arrays: along others there is no slope."""
    is_masked = lambda leaf: isinstance(leaf, optax.MaskedNode)  # noqa: E731
    for path, leaf in jax.tree_util.tree_leaves_with_path(params, is_leaf=is_masked):
        if is_masked(leaf):
            raise ValueError(
                f"{name} cannot run inside optax.multi_transform or optax.masked: its line search moves all "
                "parameters along one direction. Give it all of them, or that part as its own pytree."
            )
        dtype = jnp.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.floating):
            where = f"the parameter {jax.tree_util.keystr(path)}" if path else "the parameters"
            how = (
                "give real and imaginary part as two arrays"
                if jnp.issubdtype(dtype, jnp.complexfloating)
                else "leave it out of what is minimised, or make it a float"
            )
            raise ValueError(
                f"{name}: {where} has the dtype {dtype}; real floating-point numbers move: {how}"
            )


def rows_of_trace(name: str, line_search: Callable) -> int | None:
    """The number of rows of the search's trace, None where it keeps none.

    Tries the search, so that a wrong option fails here, where it was given, and not inside the first
    compilation. Raises ValueError for what is no function.
    """
    if not callable(line_search):
        raise ValueError(
            f"{name}: line_search={line_search!r} is not a function; use functools.partial(two_phase, "
            "sigma=...)"
        )
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    found = jax.eval_shape(
        lambda v, s: line_search(lambda eta: (v, s), v, s, squared_norm=v, previous=(v, s, v)), scalar, scalar
    )
    return None if found.line_search is None else found.line_search.rows.shape[0]


def _check_extra(name, value_fn, extra):
    if not extra:
        return
    try:
        parameters = inspect.signature(value_fn).parameters.values()
    except (TypeError, ValueError):  # of what Python cannot look into
        return
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return
    named = [one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
    for key in extra:
        if key not in named:
            near = difflib.get_close_matches(key, (*ARGUMENTS, *named[1:]), 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            own = (
                f"{', '.join(named[1:])} of value_fn" if named[1:] else "value_fn takes the parameters alone"
            )
            raise ValueError(
                f"{name}: update(..., {key}=) is unknown; allowed: {', '.join(ARGUMENTS)}; {own}.{hint}"
            )


def _first_attempt(downhill, direction, slope, value, grad, max_evaluations):
    """No step yet; max_evaluations None keeps no trace."""
    zero = jnp.zeros((), value.dtype)
    traced = max_evaluations is not None
    return Attempt(
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


def _search(attempt, line_search, value_fn, params, value, gradient, previous, course, steepest):
    """One line search along attempt.direction; prepares the second, of steepest descent, where it failed."""
    direction = attempt.direction
    dtype = value.dtype

    def phi(eta):
        point = jax.tree.map(lambda p, d: p + eta.astype(p.dtype) * d, params, direction)
        phi_eta, gradient_eta = jax.value_and_grad(value_fn)(point)
        return phi_eta.astype(dtype), dot(gradient_eta, direction, dtype), gradient_eta

    found = line_search(
        phi,
        value,
        attempt.slope,
        squared_norm=dot(direction, direction, dtype),
        previous=(jnp.where(attempt.attempts == 0, previous[0], 0), *previous[1:]),
        aux=gradient,
        has_aux=True,
    )
    success = found.step_size > 0
    again = ~success & (attempt.attempts == 0) & ~course.steepest
    rows = attempt.rows
    if rows is not None:
        new = found.line_search.rows.at[:, 0].set(attempt.attempts.astype(rows.dtype))
        rows = jax.lax.dynamic_update_slice_in_dim(rows, new, attempt.evaluations, 0)
    lowest, lowest_slope = steepest()
    return Attempt(
        attempts=attempt.attempts + 1,
        searching=again,
        direction=jax.tree.map(lambda s, d: jnp.where(again, s, d), lowest, direction),
        slope=jnp.where(again, lowest_slope, attempt.slope),
        step_size=found.step_size,
        step_size_max=found.step_size_max,
        value=found.phi,
        grad=found.aux,
        evaluations=attempt.evaluations + found.evaluations,
        rows=rows,
    )


def _empty_trace(max_evaluations, dtype):
    return LineSearchTrace(jnp.zeros((2 * max_evaluations, len(TRACE_COLUMNS)), dtype))
