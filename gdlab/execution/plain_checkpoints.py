"""A training state as one NumPy file, `state.npz`: where orbax would take most of the time.

An entry per leaf, named by its place in the state, and the row counts that belong to it as JSON.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gdlab.store import DamagedRun

FILE, _CURSORS = "state.npz", "cursors"
_HEADER = 4096  # bytes beside an entry's numbers, at most
_BROKEN = (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, NotImplementedError, RecursionError)


def save(folder, state, cursors):
    """Write `state`, a pytree of arrays, and `cursors` (rows per array) into a folder."""
    entries: Any = {_CURSORS: np.array(json.dumps(cursors)), **_named(state)}
    np.savez(Path(folder) / FILE, **entries)


def restore(folder, like):
    """(state, cursors); `like` has the structure of the state.

    Raises DamagedRun where the file is not what `save` writes of such a state.
    """
    where = Path(folder) / FILE
    wanted = jax.tree_util.tree_leaves_with_path(like)
    shapes = {jax.tree_util.keystr(path): jax.eval_shape(_data, leaf) for path, leaf in wanted}
    try:
        _check_sizes(where, shapes)
        with np.load(where, allow_pickle=False) as file:
            cursors = {str(name): int(rows) for name, rows in json.loads(file[_CURSORS].item()).items()}
            arrays = {name: file[name] for name in shapes}
    except _BROKEN as error:
        raise DamagedRun(f"no training state of this run: {error}", where) from error
    for name, array in arrays.items():
        if (array.shape, array.dtype) != (shapes[name].shape, shapes[name].dtype):
            found, asked = (f"{one.dtype}{one.shape}" for one in (array, shapes[name]))
            raise DamagedRun(f"{name} is {found}, not {asked} as in this run", where)
    leaves = [_leaf(arrays[jax.tree_util.keystr(path)], leaf) for path, leaf in wanted]
    return jax.tree.unflatten(jax.tree.structure(like), leaves), cursors


def _check_sizes(where, shapes):
    """ValueError where the archive holds other entries, or packed ones: a few bytes may become gigabytes."""
    with zipfile.ZipFile(where) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        if entries.keys() != {*shapes, _CURSORS}:
            raise ValueError(f"it holds {', '.join(entries)} instead of {', '.join(shapes)}")
        for name, entry in entries.items():
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise ValueError(f"{name} is packed")
            numbers = shapes[name].size * shapes[name].dtype.itemsize if name in shapes else 1 << 20
            if entry.file_size > numbers + _HEADER:
                raise ValueError(f"{name} has {entry.file_size:,} bytes, at most {numbers + _HEADER:,} fit")


def _named(state):
    pairs = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(_data(leaf)) for path, leaf in pairs}


def _data(leaf):
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _leaf(array, like):
    if array.dtype == like.dtype:
        return jax.numpy.asarray(array)
    return jax.random.wrap_key_data(array, impl=jax.random.key_impl(like))
