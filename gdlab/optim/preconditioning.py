"""A preconditioner of one's own: a function that multiplies a gradient by some inverse Hessian."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp


def checked(name: str, preconditioner: Callable | None) -> Callable | None:
    """(vector, params) -> vector, where `preconditioner` is (vector) or (vector, params); None of None.

    What is returned refuses, when it is traced, a product of another structure, shape or dtype.

    Raises:
      ValueError: what is no function, or one of other arguments.
    """
    if preconditioner is None:
        return None
    if not callable(preconditioner):
        raise ValueError(f"{name}: preconditioner={preconditioner!r} is not a function (vector) -> vector")
    with_params = _takes(name, preconditioner)

    def multiply(vector, params):
        found = preconditioner(vector, params) if with_params else preconditioner(vector)
        given, back = (jax.tree.map(_kind, tree) for tree in (vector, found))
        if given != back:
            raise ValueError(
                f"{name}: preconditioner makes {back} of {given}; its product is a pytree like the vector, "
                "with the same shapes and dtypes"
            )
        return found

    return multiply


def at(preconditioner: Callable | None, params: Any) -> Callable | None:
    """vector -> vector, the preconditioner at `params`; None of None."""
    return None if preconditioner is None else partial(preconditioner, params=params)


def _takes(name, function):
    """Whether `function` is given the parameters, too."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of what Python cannot look into
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = any(p.kind is p.VAR_POSITIONAL for p in parameters) or positional
    needed = sum(p.default is p.empty for p in positional)
    if not least or needed > 2 or any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        raise ValueError(f"{name}: preconditioner takes (vector) or (vector, params), not {function}")
    return needed == 2


def _kind(leaf):
    return f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}"
