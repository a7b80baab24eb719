"""A training state as one NumPy file, `checkpoints/<step>/state.npz`, made visible by one rename.

An entry per leaf, named by its place in the state, and the row counts that belong to it as JSON.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

_FILE, _CURSORS, _PART = "state.npz", "cursors", ".part"


def steps(folder):
    """Iterations kept in a folder of checkpoints, ascending."""
    try:
        names = [name for name in os.listdir(folder) if name.isdecimal() and name.isascii()]
    except OSError:
        return []
    return sorted(int(name) for name in names if (Path(folder) / name / _FILE).is_file())


def save(folder, step, state, cursors):
    """Keep `state`, a pytree of arrays, and `cursors` (rows per array) of a step that is not kept yet."""
    part, whole = Path(folder) / f"{step}{_PART}", Path(folder) / str(step)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    entries: Any = {_CURSORS: np.array(json.dumps(cursors)), **_named(state)}
    np.savez(part / _FILE, **entries)
    part.rename(whole)


def restore(folder, step, like):
    """(state, cursors); `like` has the structure of the state.

    Raises ValueError where the file holds another structure, other shapes or other types.
    """
    where = Path(folder) / str(step) / _FILE
    with np.load(where, allow_pickle=False) as file:
        cursors = {name: int(rows) for name, rows in json.loads(file[_CURSORS].item()).items()}
        wanted = jax.tree_util.tree_leaves_with_path(like)
        names = [jax.tree_util.keystr(path) for path, _ in wanted]
        if {*names, _CURSORS} != {*file.files}:
            raise ValueError(
                f"{where} holds another state: {', '.join(file.files)} instead of {', '.join(names)}"
            )
        leaves = [_read(file[name], leaf, where, name) for name, (_, leaf) in zip(names, wanted, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(like), leaves), cursors


def _named(state):
    pairs = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(_data(leaf)) for path, leaf in pairs}


def _data(leaf):
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _read(array, like, where, name):
    wanted = jax.eval_shape(_data, like)
    if (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
        raise ValueError(
            f"{where}: {name} is {array.dtype}{array.shape}, not {wanted.dtype}{wanted.shape} as in this run"
        )
    if wanted.dtype == like.dtype:
        return jax.numpy.asarray(array)
    return jax.random.wrap_key_data(array, impl=jax.random.key_impl(like))
