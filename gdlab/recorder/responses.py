"""What the layers of a network respond, as a function of parameters and examples: for
`Recorder(activations=...)`.

Flax tells what its modules return, under their names; both of its kinds are asked here, Linen modules by
`capture_intermediates`, nnx modules by `nnx.capture`. Any other network has a function of one's own.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax

_CALL = "__call__"
_DROPS = ("Dropout", "StochasticDepth")  # modules that change nothing where nothing is learned


def activations_of(module: Any, /, *arguments: Any, **options: Any) -> Callable:
    """(params, x[, aux]) -> {"block/layer": [B, ...]}: what every layer of a Flax module returns for x.

    Args:
      module: of Flax Linen: params are variables["params"] and aux the other collections, as
        {"batch_stats": ...}. Or of nnx: params are its `nnx.Param` state, aux the rest of its state; without
        aux this is what it was when the function was made. nnx modules are called in `eval()` mode.
      arguments, options: of the call besides x, such as train=False.

    Raises:
      TypeError: the module is of neither.
    """
    linen, nnx = (sys.modules.get(f"flax.{name}") for name in ("linen", "nnx"))
    if linen is not None and isinstance(module, linen.Module):
        return _of_linen(module, linen, arguments, options)
    if nnx is not None and isinstance(module, nnx.Module):
        return _of_nnx(module, nnx, arguments, options)
    raise TypeError(
        f"activations_of: a module of flax.linen or flax.nnx is expected, not a {type(module).__name__}; "
        f"write a "
        "function (params, x) -> {layer: array} for other networks"
    )


def _of_linen(module, linen, arguments, options):
    def told(layer, method):
        return method == _CALL and type(layer).__name__ not in _DROPS

    def activations(params, x, aux: Mapping | None = None):
        variables = {"params": params, **(aux or {})}
        mutable = ["intermediates", *(aux or {})]
        _, state = module.apply(
            variables, x, *arguments, capture_intermediates=told, mutable=mutable, **options
        )
        return _named(state["intermediates"])

    return activations


def _of_nnx(module, nnx, arguments, options):
    graph, _, rest = nnx.split(module, nnx.Param, ...)

    def activations(params, x, aux=None):
        made = nnx.merge(graph, params, rest if aux is None else aux, copy=True)
        made.eval()
        drops = {
            "/".join(map(str, path)) for path, node in nnx.iter_modules(made) if type(node).__name__ in _DROPS
        }
        _, state = nnx.capture(made, nnx.Intermediate, method_outputs=nnx.Intermediate)(
            x, *arguments, **options
        )
        return {name: value for name, value in _named(nnx.to_pure_dict(state)).items() if name not in drops}

    return activations


def _named(state):
    """{"block/layer": array} of {"block": {"layer": {"__call__": (array,)}}}; the first of several calls."""
    found = jax.tree_util.tree_leaves_with_path(state, is_leaf=lambda node: isinstance(node, tuple))
    named = {}
    for path, value in found:
        *place, method = (str(key.key) for key in path)
        if method == _CALL and place and isinstance(value, tuple) and hasattr(value[0], "shape"):
            named["/".join(place)] = value[0]
    return named
