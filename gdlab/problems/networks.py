"""What every problem with a Flax network needs: parameters, outputs, and what the layers say.

A network is any flax.linen module whose only state are its parameters. Where its `__call__` takes
`train`, dropout is on exactly when a key is given.
"""

import inspect

import jax
import jax.numpy as jnp


def initial_parameters(model, example):
    """Returns (key) -> params: the module's parameters for `example` [1, ...], in JAX's default float.

    They are drawn in float32, so that a run in float64 starts at the same point.
    Raises ValueError where the module has state other than parameters.
    """

    def init(key):
        example32 = jnp.asarray(example, jnp.float32)
        variables = model.init(key, example32)
        others = sorted(set(variables) - {"params"})
        if others:
            raise ValueError(
                f"{type(model).__name__} keeps state besides its parameters ({', '.join(others)}), "
                "which a pure loss cannot update; use a network without it"
            )
        return jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(float)), variables["params"])

    return init


def outputs(model, params, x, *, key=None):
    """The module's output for x [B, ...], computed in the parameters' dtype."""
    x = x.astype(dtype_of(params))
    if "train" not in inspect.signature(type(model).__call__).parameters:
        return model.apply({"params": params}, x)
    rngs = None if key is None else {"dropout": key}
    return model.apply({"params": params}, x, train=key is not None, rngs=rngs)


def layer_activations(model, params, x):
    """What every submodule returns for x [B, ...]: {"block/layer": [B, ...]}, before functions on it."""
    x = x.astype(dtype_of(params))
    _, state = model.apply({"params": params}, x, capture_intermediates=True, mutable=["intermediates"])
    found = jax.tree_util.tree_leaves_with_path(
        state["intermediates"], is_leaf=lambda v: isinstance(v, tuple)
    )
    named = {"/".join(str(part.key) for part in path[:-1]): value[0] for path, value in found}
    return {name: value for name, value in named.items() if name and isinstance(value, jax.Array)}


def dtype_of(params):
    """The dtype of the first array of `params`."""
    return jax.tree.leaves(params)[0].dtype
