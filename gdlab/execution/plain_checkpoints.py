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

FILE, _CURSORS, _PARAMS, _DUMPED = "state.npz", "cursors", ".params", "dumped"
_HEADER = 4096  # bytes beside an entry's numbers, at most
_BROKEN = (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, NotImplementedError, RecursionError)


def save(folder, state, cursors, dumped=None):
    """Write `state`, a pytree of arrays, and `cursors` (rows per array) into a folder; dumped: the parameters
    of the last dump, where there was one."""
    entries: Any = {_CURSORS: np.array(json.dumps(cursors)), **_named(state), **_named(dumped, _DUMPED)}
    np.savez(Path(folder) / FILE, **entries)


def restore(folder, like):
    """(state, cursors); `like` has the structure of the state.

    Raises DamagedRun where the file is not what `save` writes of such a state.
    """
    shapes = _shapes(like)
    places = [name for name in shapes if name.startswith(_PARAMS)]
    dumped = {_DUMPED + name.removeprefix(_PARAMS): shapes[name] for name in places}

    def whole(names):
        if names not in ({*shapes, _CURSORS}, {*shapes, *dumped, _CURSORS}):
            raise ValueError(f"it holds {', '.join(names)} instead of {', '.join(shapes)}")

    def told(file):
        return {str(name): int(rows) for name, rows in json.loads(file[_CURSORS].item()).items()}

    arrays, cursors = _read(folder, shapes, {**shapes, **dumped}, whole, told)
    return _filled(like, arrays.values()), cursors


def restore_dumped(folder, like):
    """The parameters of the last dump; `like` has the structure of the parameters. Raises as `restore`."""
    shapes = _shapes(like, _DUMPED)

    def whole(names):
        if not shapes.keys() <= names:
            raise ValueError("it holds no parameters of a dump")

    return _filled(like, _read(folder, shapes, shapes, whole)[0].values())


def _read(folder, wanted, known, whole, told=lambda file: None):
    """({name: array} of the entries `wanted`, what `told(file)` says); raises DamagedRun.

    known: {name: shape and dtype} of entries whose size is looked at; whole(names) raises ValueError where
    the file has not the entries that it should have.
    """
    where = Path(folder) / FILE
    try:
        _check_sizes(where, known, whole)
        with np.load(where, allow_pickle=False) as file:
            found = told(file)
            arrays = {name: file[name] for name in wanted}
    except _BROKEN as error:
        raise DamagedRun(f"no training state of this run: {error}", where) from error
    for name, array in arrays.items():
        if (array.shape, array.dtype) != (wanted[name].shape, wanted[name].dtype):
            there, asked = (f"{one.dtype}{one.shape}" for one in (array, wanted[name]))
            raise DamagedRun(f"{name} is {there}, not {asked} as in this run", where)
    return arrays, found


def _check_sizes(where, known, whole):
    """ValueError where the archive holds other entries, or packed ones: a few bytes may become gigabytes."""
    with zipfile.ZipFile(where) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        whole(entries.keys())
        for name, entry in entries.items():
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise ValueError(f"{name} is packed")
            if name not in known and name != _CURSORS:
                continue  # nothing reads it
            numbers = known[name].size * known[name].dtype.itemsize if name in known else 1 << 20
            if entry.file_size > numbers + _HEADER:
                raise ValueError(f"{name} has {entry.file_size:,} bytes, at most {numbers + _HEADER:,} fit")


def _shapes(like, before=""):
    """{name: shape and dtype} of the entries of a pytree."""
    pairs = jax.tree_util.tree_leaves_with_path(like)
    return {before + jax.tree_util.keystr(path): jax.eval_shape(_data, leaf) for path, leaf in pairs}


def _filled(like, arrays):
    """A pytree like `like` of arrays, in order."""
    leaves, structure = jax.tree.flatten(like)
    return jax.tree.unflatten(structure, [_leaf(*pair) for pair in zip(arrays, leaves, strict=True)])


def _named(state, before=""):
    pairs = jax.tree_util.tree_leaves_with_path(state)
    return {before + jax.tree_util.keystr(path): np.asarray(_data(leaf)) for path, leaf in pairs}


def _data(leaf):
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _leaf(array, like):
    if array.dtype == like.dtype:
        return jax.numpy.asarray(array)
    return jax.random.wrap_key_data(array, impl=jax.random.key_impl(like))
