"""Pytrees as flat leaves with their places as data: no class of somebody's own is needed to read them again.

A place is the words of the leaf's path, ("conv1", "kernel"), whatever the nodes were: mappings, tuples, nnx
states, modules. From leaves and places nested dicts are made, whose layers have the names that they had.
A random key goes as its data, uint32, and is made a key again where it is used.
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.store.functions import Leaf
from gdlab.training.leaf_names import names_of, words
from gdlab.training.variables import plain

# What JAX calls the kinds of random keys in a dtype, and where a key is made of data.
_KINDS = {"fry": "threefry2x32", "rbg": "rbg", "urbg": "unsafe_rbg"}


class Taken(NamedTuple):
    """A tree that a function takes: its leaves as they are recorded, and how it is put together again.

    symbols: for each axis of any length, in the order of the leaves, the name of its length ("b").
    """

    leaves: tuple[Leaf, ...]
    structure: Any
    symbols: tuple[str, ...] = ()

    def fixed(self, lengths: dict[str, int]) -> "Taken":
        """The same with the lengths {"b": 64} in place of symbols."""
        waiting = iter(self.symbols)
        leaves = [
            leaf._replace(shape=tuple(lengths[next(waiting)] if n is None else n for n in leaf.shape))
            for leaf in self.leaves
        ]
        return Taken(tuple(leaves), self.structure)


def taken(tree: Any, what: str, sizes: dict[int, str] | None = None) -> Taken:
    """The Taken of an example of a pytree, arrays or shapes; None is a tree without leaves.

    sizes: filled with {size: symbol} of the leading axes, which then may have any length: one for those that
    have the same one; None: none may.
    Raises ValueError for a leaf that is no array; what: the name of the tree for that message.
    """
    found, structure = jax.tree.flatten(tree)
    places = _places(tree, len(found))
    leaves, symbols = [], []
    for place, leaf in zip(places, found, strict=True):
        shape, dtype, key = _form(leaf, f"{what}: {'/'.join(place) or 'it'}")
        if sizes is not None and shape and key is None:
            symbols.append(sizes.setdefault(shape[0], f"b{len(sizes)}" if sizes else "b"))
            shape = (None, *shape[1:])
        leaves.append(Leaf(place, shape, dtype, key))
    return Taken(tuple(leaves), structure, tuple(symbols))


def data_of(tree: Any) -> list[jax.Array]:
    """The leaves of a pytree as arrays, random keys as their data."""
    return [_as_data(leaf) for leaf in jax.tree.leaves(tree)]


def put_together(leaves: Sequence[Any], tree: Taken) -> Any:
    """The pytree of these leaves, its random keys made keys again."""
    made = [
        leaf if form.key is None else jax.random.wrap_key_data(leaf, impl=_KINDS.get(form.key, form.key))
        for leaf, form in zip(leaves, tree.leaves, strict=True)
    ]
    return jax.tree.unflatten(tree.structure, made)


def shapes(leaves: Sequence[Leaf], symbols: Sequence[Any] = ()) -> list[jax.ShapeDtypeStruct]:
    """What a program takes for the leaves; symbols: what stands for each axis of any length, in order."""
    waiting = iter(symbols)
    return [
        jax.ShapeDtypeStruct(tuple(next(waiting) if n is None else n for n in leaf.shape), dtype_of(leaf))
        for leaf in leaves
    ]


def dtype_of(leaf: Leaf) -> np.dtype:
    """The dtype of a recorded leaf; ValueError where there is none of that name."""
    try:
        return jnp.dtype(leaf.dtype)
    except TypeError as error:
        raise ValueError(f"dtype {leaf.dtype!r} of {'/'.join(leaf.path)} is not known") from error


def moves(leaf: Leaf) -> bool:
    """Whether one may take derivatives with respect to the leaf."""
    return leaf.key is None and bool(jnp.issubdtype(dtype_of(leaf), jnp.inexact))


def to_tree(values: Sequence[Any], leaves: Sequence[Leaf]) -> Any:
    """Nested dicts of the values at the places of the leaves; a bare array for the one leaf at ()."""
    if len(leaves) == 1 and not leaves[0].path:
        return values[0]
    tree: dict[str, Any] = {}
    for value, leaf in zip(values, leaves, strict=True):
        node = tree
        for word in leaf.path[:-1]:
            node = node.setdefault(word, {})
        node[leaf.path[-1]] = value
    return tree


def to_leaves(tree: Any, leaves: Sequence[Leaf], what: str = "params") -> list[Any]:
    """The values at the places of the leaves, in their order.

    tree: nested dicts as `to_tree` makes them; names of dicts may join several words, {"conv1/kernel": ...}.
    A word counts before several joined ones, and a dict that has all of `gdlab.training.leaf_names.names_of`
    is taken by these names.
    Raises ValueError where one is missing, and where an array could stand at two places.
    """
    if len(leaves) == 1 and not leaves[0].path:
        return [tree]
    names = names_of(leaf.path for leaf in leaves).values()
    if all(_has(tree, name) for name in names):
        return [tree[name] for name in names]
    taken_by: dict[tuple[str, ...], str] = {}
    found = []
    for leaf in leaves:
        keys = _keys(tree, leaf.path)
        if keys is None:
            raise ValueError(_missing(tree, leaf.path, what))
        if keys in taken_by:
            both = f"both {taken_by[keys]} and {list(leaf.path)}"
            raise ValueError(f"{what}: {list(keys)} may be {both}: hand over dicts within dicts")
        taken_by[keys] = str(list(leaf.path))
        found.append(functools.reduce(operator.getitem, keys, tree))
    return found


def _keys(node, path):
    """The keys that lead from `node` to the place, None where none do."""
    if not path:
        return ()
    for n in range(1, len(path) + 1):
        name = "/".join(path[:n])
        rest = _keys(node[name], path[n:]) if _has(node, name) else None
        if rest is not None:
            return name, *rest
    return None


def _missing(node, path, what):
    """That there is nothing at the place, and what there is on the way to it."""
    at, length = 0, 1
    while at + length <= len(path):
        name = "/".join(path[at : at + length])
        if _has(node, name):
            node, at, length = node[name], at + length, 0
        length += 1
    there = ", ".join(sorted(map(str, node))) if isinstance(node, dict) else type(node).__name__
    return f"{what}: there is no {'/'.join(path)}; at {'/'.join(path[:at]) or 'the top'} is {there}"


def _has(node, name):
    return isinstance(node, dict) and name in node


def _places(tree, count):
    """The places of the leaves, no two the same and none within another."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(plain(tree))]
    if len(paths) != count:
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    found: list[tuple[str, ...]] = []
    used: set[tuple[str, ...]] = set()
    above: set[tuple[str, ...]] = set()
    for path in paths:
        place = plain_words = words(path)
        number = 1
        while place in used or place in above or any(place[:n] in used for n in range(len(place))):
            number += 1
            place = (f"{plain_words[0]} ({number})", *plain_words[1:])
        used.add(place)
        above.update(place[:n] for n in range(len(place)))
        found.append(place)
    return found


def _form(leaf, where):
    """(shape, dtype, kind of key) of a leaf as a program takes it."""
    if not hasattr(leaf, "dtype") and type(leaf) not in (bool, int, float, complex):
        raise ValueError(
            f"{where} is a {type(leaf).__name__}, not an array: hand over the arrays alone (Equinox: "
            "eqx.partition(model, eqx.is_array)[0]) and close over the rest"
        )
    if hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = jax.eval_shape(jax.random.key_data, leaf)
        return data.shape, str(data.dtype), str(leaf.dtype)[len("key<") : -1]
    if not isinstance(leaf, jax.ShapeDtypeStruct | jax.Array):
        leaf = jax.eval_shape(jnp.asarray, leaf)
    return tuple(leaf.shape), str(leaf.dtype), None


def _as_data(leaf):
    if hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return jnp.asarray(leaf)
