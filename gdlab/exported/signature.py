"""What a program takes and gives, told from the leaves that functions.json names; and arrays made to fit."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.exported.exporting import GRID, role
from gdlab.exported.trees import dtype_of, moves
from gdlab.models.images_last import turned
from gdlab.store.functions import Carried, Leaf


class Shape(NamedTuple):
    """Of an array: None for an axis of any length; the dtype's name."""

    shape: tuple
    dtype: str


def signature(carried: Carried, trees: Mapping[str, tuple[Leaf, ...]], part: str) -> tuple[list, list]:
    """(what the program `part` of a function takes, what it gives), as Shapes; trees: {name: leaves}."""
    by_tree = [trees[name] for name in carried.takes]
    if part.endswith("_exact"):
        by_tree, part = _of_lengths(by_tree, carried.lengths), part.removesuffix("_exact")
    params = by_tree[0] if by_tree else ()
    if part == "images_last":
        by_tree = [
            turned_leaves(leaves) if role(name) == "batch" else leaves
            for name, leaves in zip(carried.takes, by_tree, strict=True)
        ]
    takes = [Shape(leaf.shape, leaf.dtype) for leaves in by_tree for leaf in leaves]
    gives = [Shape(leaf.shape, leaf.dtype) for leaf in trees[carried.gives]]
    moved = [Shape(leaf.shape, leaf.dtype) for leaf in params if moves(leaf)]
    if part == "gradient":
        gives += moved
    elif part == "curvature":
        takes, gives = takes + moved, moved + moved
    elif part == "pull":
        every = [leaf for leaves in by_tree for leaf in leaves]
        takes, gives = takes + gives, [Shape(leaf.shape, leaf.dtype) for leaf in every if moves(leaf)]
    elif part == "grid":
        wide = [Shape((GRID, *one.shape), one.dtype) for one in takes[: len(params)]]
        takes, gives = wide + takes[len(params) :], [Shape((GRID,), one.dtype) for one in gives]
    return takes, gives


def _of_lengths(by_tree, lengths):
    """Leaves with these lengths in place of the axes of any length."""
    waiting = iter(lengths)
    return [
        tuple(
            leaf._replace(shape=tuple(next(waiting) if n is None else n for n in leaf.shape))
            for leaf in leaves
        )
        for leaves in by_tree
    ]


def turned_leaves(leaves: Sequence[Leaf]) -> tuple[Leaf, ...]:
    """The leaves of a batch in the layout of `gdlab.models.images_last`."""
    return tuple(leaf._replace(shape=turned(leaf.shape)) for leaf in leaves)


def cast(value: Any, leaf: Leaf, what: str) -> jax.Array:
    """An array as a program takes it: keys as their data, numbers in its dtype where nothing is lost by
    kind."""
    if hasattr(value, "dtype") and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    value, wanted = jnp.asarray(value), dtype_of(leaf)
    fits = len(value.shape) == len(leaf.shape) and all(
        size in (None, there) for size, there in zip(leaf.shape, value.shape, strict=True)
    )
    if not fits or not jnp.can_cast(value.dtype, wanted, "same_kind"):
        there = f"{value.dtype}[{', '.join(map(str, value.shape))}]"
        raise ValueError(f"{what}: {'/'.join(leaf.path) or 'it'} is {there}, {described([leaf])} is needed")
    return value.astype(wanted)


def described(leaves: Sequence[Leaf]) -> str:
    """'x float32[any, 28, 28, 1], y int32[any]' of the first leaves."""
    told = []
    for leaf in leaves[:8]:
        sizes = ", ".join("any" if size is None else str(size) for size in leaf.shape)
        told.append(f"{'/'.join(leaf.path)} {leaf.dtype}[{sizes}]".strip())
    return ", ".join(told)
