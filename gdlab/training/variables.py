"""Pytrees as they come from network libraries, seen as trees of plain arrays."""

import sys
from typing import Any

import jax


def plain(tree: Any) -> Any:
    """A pytree without the variables of Flax nnx: with the arrays that these hold, at the same places."""
    nnx = sys.modules.get("flax.nnx")  # nobody has variables who has not imported it
    if nnx is None:
        return tree
    is_variable = lambda node: isinstance(node, nnx.Variable)  # noqa: E731
    return jax.tree.map(
        lambda node: node.get_value() if is_variable(node) else node, tree, is_leaf=is_variable
    )
