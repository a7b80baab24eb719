"""The moments that an optimizer keeps, found in its state by their class, never by the name of a field.

A state may lie anywhere: in a chain, in `optax.MultiSteps`, `inject_hyperparams`, `masked` and `partition`,
in a state of one's own, and, with Flax nnx, inside variables. What belongs to which parameter is told by its
place in the tree, so that states of some of the parameters only are understood, too.
"""

from functools import cache
from typing import Any

import jax
import optax

from gdlab.training.variables import plain

# (Name in optax, field of the first moment, field of the second), None where it has none.
_STATES = (
    ("ScaleByAdamState", "mu", "nu"),
    ("ScaleByAmsgradState", "mu", "nu"),
    ("ScaleByBeliefState", "mu", "nu"),
    ("ScaleByNovogradState", "mu", None),  # its second moment is one number a layer
    ("ScaleByLionState", "mu", None),
    ("TraceState", "trace", None),
    ("EmaState", "ema", None),
    ("ScaleByRStdDevState", "mu", "nu"),
    ("ScaleByRmsState", None, "nu"),
    ("ScaleByRssState", None, "sum_of_squares"),
    ("ScaleByAdaDeltaState", None, "e_g"),
)
_INJECTED = ("InjectHyperparamsState", "InjectStatefulHyperparamsState")


@cache
def _known() -> dict[type, tuple[str | None, str | None]]:
    """{class: fields}; the two without a public name are asked of what makes them."""
    found: dict[type, tuple[str | None, str | None]] = {
        getattr(optax, name): (first, second) for name, first, second in _STATES if hasattr(optax, name)
    }
    found[type(optax.scale_by_rms(bias_correction=True).init({}))] = (None, "nu")
    found[type(optax.scale_by_stddev(bias_correction=True).init({}))] = ("mu", "nu")
    return found


@cache
def _injected() -> tuple[type, ...]:
    return tuple(getattr(optax, name) for name in _INJECTED if hasattr(optax, name))


def moments(opt_state: Any) -> tuple[dict, dict]:
    """({place: first moment}, {place: second moment}) of every parameter that has one.

    place: the path of `jax.tree_util` in the tree of parameters. Where several states keep a moment of one
    parameter, the one that comes first in the chain counts.
    """
    first: dict = {}
    second: dict = {}
    known = _known()
    for state in _of_class(opt_state, tuple(known)):
        for found, field in zip((first, second), known[type(state)], strict=True):
            if field is not None:
                found.update({**dict(places(getattr(state, field))), **found})
    return first, second


def learning_rate(opt_state: Any) -> Any:
    """The learning rate that `optax.inject_hyperparams` keeps in the state, (); None where it does not."""
    for state in _of_class(opt_state, _injected()):
        if "learning_rate" in state.hyperparams:
            return state.hyperparams["learning_rate"]
    return None


def places(tree: Any) -> list[tuple[tuple, Any]]:
    """[(path, leaf)] of the leaves that are numbers with a fraction: of others there is no gradient."""
    leaves = jax.tree_util.tree_leaves_with_path(plain(tree))
    numbers = [
        (path, leaf) for path, leaf in leaves if hasattr(leaf, "dtype") or type(leaf) in (float, complex)
    ]
    arrays = [(path, jax.numpy.asarray(leaf)) for path, leaf in numbers]
    return [(path, leaf) for path, leaf in arrays if jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact)]


def _of_class(tree, classes):
    """The outermost nodes of a pytree that are of these classes."""
    found = jax.tree.leaves(plain(tree), is_leaf=lambda node: isinstance(node, classes))
    return [node for node in found if isinstance(node, classes)]
