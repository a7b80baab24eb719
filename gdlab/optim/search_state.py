"""What an optimizer's state holds of its line search, found by the type of that state and by nothing else.

A state carries copies of the parameters, and a parameter may be called "value", "grad" or "step_size" as
well; optax's own look-ups by name would take it for a field of the search.
"""

import jax
import jax.numpy as jnp
import optax

from gdlab.optim.limited_memory import LbfgsState
from gdlab.optim.nonlinear_cg import ConjugateGradientState

# Those that tell of their iteration by themselves: direction, slope, step sizes, status, trace.
TELLING_STATES = (ConjugateGradientState, LbfgsState)
# optax's searches keep the error and the gradient under the same names.
SEARCH_STATES = (
    *TELLING_STATES,
    optax.ScaleByBacktrackingLinesearchState,
    optax.ScaleByZoomLinesearchState,
)


def search_state(opt_state):
    """The state of the line search within an optimizer's state, one of SEARCH_STATES; None where it has none.

    One that keeps no gradient counts as none: what it has evaluated cannot be used again.

    Raises:
      ValueError: several line searches, of which each would move all parameters.
    """
    nodes = jax.tree.leaves(opt_state, is_leaf=_is_search)
    found = [node for node in nodes if _is_search(node) and node.grad is not None]
    if len(found) > 1:
        raise ValueError(
            f"the optimizer has {len(found)} line searches; one at most can move the parameters: chain or "
            "nest no second one"
        )
    return found[0] if found else None


def ends_with_search(opt_state):
    """Whether the step is the search's own, so that the error and gradient it left are those where the step
    ends: nothing stands behind the search in a chain, or around it, that could have changed the step.

    What only passes steps on cannot be told from what changes them, so it counts as changing them.
    """
    while type(opt_state) is tuple and opt_state:  # of optax.chain
        opt_state = opt_state[-1]
    return _is_search(opt_state)


def with_search_state(opt_state, **fields):
    """The optimizer's state with other `fields` (as `value=`, `grad=`) in the state of its line search."""

    def change(node):
        return node._replace(**fields) if _is_search(node) and node.grad is not None else node

    return jax.tree.map(change, opt_state, is_leaf=_is_search)


def value_and_grad_from_state(value_fn):
    """As `optax.value_and_grad_from_state`, whatever the parameters are called.

    Args:
      value_fn: (params, ...) -> (), the error function.

    Returns:
      (params, ..., state) -> (J, gradient): what the last line search left in the optimizer's `state`;
      computed where it left nothing finite, as before the first step.

    Raises:
      ValueError: the state is that of an optimizer without a line search, or with several.
    """

    def value_and_grad(params, *args, state, **kwargs):
        found = search_state(state)
        if found is None:
            raise ValueError(
                "the optimizer keeps no error and gradient from a line search; use jax.value_and_grad"
            )

        def evaluate():
            value, grad = jax.value_and_grad(value_fn)(params, *args, **kwargs)
            return value.astype(found.value.dtype), grad

        return jax.lax.cond(jnp.isfinite(found.value), lambda: (found.value, found.grad), evaluate)

    return value_and_grad


def _is_search(node):
    return isinstance(node, SEARCH_STATES)
