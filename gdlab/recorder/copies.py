"""Copies of pytrees that the loop may overwrite or donate in its next iteration.

All arrays on the device are copied by one compiled program, so that it costs one call and no wait; their way
to the host begins at once, and whoever needs the values waits for them there. Places of leaves are words, as
everywhere in a run folder; from them nested dicts are made, in which layers have the names that they had.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.recorder.moments import plain
from gdlab.store.kept import Leaf, is_kept
from gdlab.training.leaf_names import words


class Form:
    """How a pytree is put together. treedef; places: the words of each leaf's path."""

    def __init__(self, tree: Any, treedef: Any):
        paths = jax.tree_util.tree_flatten_with_path(plain(tree))[0]
        if len(paths) != treedef.num_leaves:
            paths = jax.tree_util.tree_flatten_with_path(tree)[0]
        self.treedef, self.places = treedef, tuple(words(path) for path, _ in paths)

    def nested(self, leaves: list) -> Any:
        """Nested dicts of the leaves; the leaf itself where that is all there is."""
        if self.places == ((),):
            return leaves[0]
        tree: dict[str, Any] = {}
        for place, leaf in zip(self.places, leaves, strict=True):
            node = tree
            for word in place[:-1]:
                node = node.setdefault(word, {})
            node[place[-1]] = leaf
        return tree

    def original(self, nested: Any) -> Any:
        """The pytree as the loop has it, of nested dicts."""
        leaves = []
        for place in self.places:
            node = nested
            for word in place:
                node = node[word]
            leaves.append(node)
        return jax.tree.unflatten(self.treedef, leaves)


class Copy:
    """A copy of a pytree. form; nbytes: of its leaves; arrays: they, random keys as their data; kinds: names
    of
    the kinds of keys, None for other leaves."""

    def __init__(self, form, arrays, kinds):
        self.form, self.arrays, self.kinds = form, arrays, kinds
        self.nbytes = sum(array.nbytes for array in arrays)

    @property
    def taken(self) -> int:
        """Bytes that it takes in a file, or rather more."""
        words = sum(len(ascii(word)) for place in self.form.places for word in place)
        return size_of(self.nbytes, len(self.arrays)) + words

    def values(self) -> list:
        """The leaves on the device, random keys as they were."""
        return [
            array if kind is None else jax.random.wrap_key_data(array, impl=kind)
            for array, kind in zip(self.arrays, self.kinds, strict=True)
        ]

    def leaves(self) -> list[Leaf]:
        """As they are written into a run folder; waits for the values."""
        found = zip(self.form.places, self.arrays, self.kinds, strict=True)
        return [Leaf(place, on_host(array), kind) for place, array, kind in found]

    def shape(self) -> tuple:
        """What is another where one of two pytrees cannot take the other's place."""
        return self.form.treedef, tuple((array.shape, array.dtype) for array in self.arrays)


HEAD, HEAD_OF_LEAF = 1024, 256  # bytes of a file besides the values, of it and of each leaf, and rather less
_forms: dict[Any, Form] = {}
_MOST_FORMS = 256


def copies(trees: dict[str, Any]) -> dict[str, Copy]:
    """{name: Copy} of pytrees of arrays and numbers; those that are None are left out.

    Raises ValueError where a leaf is no array, was donated already, or lies on several processes.
    """
    flat = {name: flattened(tree) for name, tree in trees.items() if tree is not None}
    for name, (leaves, _) in flat.items():
        _check(name, leaves)
    kinds = {name: [_key_kind(leaf) for leaf in leaves] for name, (leaves, _) in flat.items()}
    device = [leaf for leaves, _ in flat.values() for leaf in leaves if isinstance(leaf, jax.Array)]
    copied = iter(_copied(device))
    found = {}
    for name, (leaves, form) in flat.items():
        arrays = [next(copied) if isinstance(leaf, jax.Array) else np.array(leaf) for leaf in leaves]
        found[name] = Copy(form, arrays, kinds[name])
    return found


def size_of(values: int, leaves: int) -> int:
    """Bytes of a file with so many bytes of values in so many leaves, of short names."""
    return values + HEAD + leaves * HEAD_OF_LEAF


def flattened(tree: Any) -> tuple[list, Form]:
    """(leaves, Form) of a pytree."""
    leaves, treedef = jax.tree.flatten(tree)
    form = _forms.get(treedef)
    if form is None:
        if len(_forms) >= _MOST_FORMS:
            _forms.clear()
        form = _forms[treedef] = Form(tree, treedef)
    return leaves, form


def nbytes(tree: Any) -> int:
    """Bytes of the leaves of a pytree; 0 for None."""
    leaves = jax.tree.leaves(tree)
    return sum(leaf.nbytes if hasattr(leaf, "nbytes") else np.asarray(leaf).nbytes for leaf in leaves)


def shape_of(tree: Any) -> tuple:
    """`Copy.shape` of a pytree that is not copied."""
    leaves, form = flattened(tree)
    _check("params", leaves)
    found = []
    for leaf in leaves:
        data = jax.eval_shape(jax.random.key_data, leaf) if _key_kind(leaf) else leaf
        found.append((np.shape(data), data.dtype if hasattr(data, "dtype") else np.asarray(data).dtype))
    return form.treedef, tuple(found)


def on_host(array: Any) -> np.ndarray:
    """The values; of an array that lies whole on several devices those of one."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable and array.is_fully_replicated:
        array = array.addressable_data(0)
    return np.asarray(array)


def _copied(arrays):
    if not arrays:
        return []
    try:
        found = _together(arrays)
    except ValueError:  # arrays of different devices
        found = [_together([array])[0] for array in arrays]
    for array in found:
        if array.is_fully_addressable:
            array.copy_to_host_async()
    return found


@jax.jit
def _together(arrays):
    return [jnp.copy(jax.random.key_data(array) if _is_key(array) else array) for array in arrays]


def _is_key(leaf):
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _key_kind(leaf):
    """The name of the kind of a random key; None for everything else."""
    if not isinstance(leaf, jax.Array) or not _is_key(leaf):
        return None
    return str(jax.random.key_impl(leaf))


def _check(name, leaves):
    for leaf in leaves:
        if isinstance(leaf, jax.Array):
            if leaf.is_deleted():
                raise ValueError(f"{name}: an array was donated before it was handed to the recorder")
            if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
                raise ValueError(
                    f"{name}: an array lies on several processes and cannot be kept by one; hand over what "
                    "jax.experimental.multihost_utils.process_allgather makes of it in all of them"
                )
            dtype = None if _is_key(leaf) else leaf.dtype
        elif not isinstance(leaf, (np.ndarray, np.generic, bool, int, float, complex)):
            raise ValueError(f"{name}: a {type(leaf).__name__} is no array")
        else:
            dtype = np.asarray(leaf).dtype
        if dtype is not None and not is_kept(dtype):
            raise ValueError(f"{name}: an array of {dtype} cannot be kept")
