"""What is kept of every iteration besides scalars and traces: parameter vectors, steps layer by layer, and
the terms that an error is made of.

A layer is what shares the last but one name of a parameter tree: kernel and bias of "conv1" are one.
The same description serves the compiled loop (what to gather), the run folder (which arrays) and the
packing of rows, so that they cannot disagree.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gdlab.store import ArraySpec
from gdlab.training.leaf_names import names_of
from gdlab.training.loop import TERMS

LAYER_ARRAYS = ("layer/update_norm", "layer/param_norm")


def layer_names(params):
    """Names of the layers of a parameter pytree ("block/conv1"), in the order of its leaves; no two alike.

    A leaf at the top is a layer of its own; a bare array is the layer "params".
    """
    return tuple(dict.fromkeys(layers_of(params)))


def layers_of(tree):
    """The layer's name of each leaf, in the order of the leaves.

    Layers are told apart by their place in the tree: where a name with a slash ("block/conv1") reads like
    that of a layer within a module, the later one is called "block/conv1 (2)".
    """
    places = [path[:-1] or path for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    names = names_of(places)
    return [names[place] for place in places]


def layer_norms(tree, names):
    """|.|_2 over each layer of a pytree like the parameters, [len(names)], in the order of `names`."""
    squares = dict.fromkeys(names, 0.0)
    for name, leaf in zip(layers_of(tree), jax.tree.leaves(tree), strict=True):
        squares[name] += jnp.vdot(leaf, leaf)
    return jnp.sqrt(jnp.stack([squares[name] for name in names]))


def collector(*, path, layers):
    """For `make_training`: what to gather of an iteration, or None for nothing.

    path: theta_{k+1} as one vector [p]; layers: |theta_{k+1} - theta_k| and |theta_k| of each layer [L].
    """
    if not (path or layers):
        return None

    def collect(before, updates, after):
        gathered = {}
        if layers:
            names = layer_names(before)
            for name, tree in zip(LAYER_ARRAYS, (updates, before), strict=True):
                gathered[name] = layer_norms(tree, names)
        if path:
            gathered["path"] = ravel_pytree(after)[0]
        return gathered

    return collect


def specs(params, *, path, layers, terms=()):
    """{name: ArraySpec} of the arrays that a run folder needs for it; terms: names of those of the error."""
    dtype = np.dtype(jax.tree.leaves(params)[0].dtype).str.lstrip("<")
    names = layer_names(params)
    arrays = {}
    if layers:
        spec = ArraySpec(dtype=dtype, row_shape=(len(names),), columns=names, dims=("iteration", "layer"))
        arrays |= dict.fromkeys(LAYER_ARRAYS, spec)
    if path:
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        arrays["path"] = ArraySpec(dtype=dtype, row_shape=(size,))
        arrays["path_step"] = ArraySpec(dtype="i8", row_shape=())
    metric = ArraySpec(dtype="f8", row_shape=(2,), columns=("iteration", "value"))
    return arrays | {TERMS + name: metric for name in terms}


def rows(collected, step, done):
    """{name: rows [done, ...]} of a chunk that began at iteration `step`; collected: NumPy arrays or None."""
    packed = {name: array[:done] for name, array in (collected or {}).items()}
    if "path" in packed:
        packed["path_step"] = np.arange(step + 1, step + done + 1)
    number = np.arange(step, step + done, dtype=float)
    for name in packed:
        if name.startswith(TERMS):
            packed[name] = np.stack([number, packed[name]], axis=1)
    return packed
