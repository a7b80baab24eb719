"""A network without some of its filters: smaller parameters, and the same module taking them.

Which inputs of other layers a filter feeds is not guessed from names but tried out: the filter puts out
another number, and whatever differs listens to it. So any flax.linen network will do whose layers with a
kernel are modules of their own.
"""

from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

AT_ONCE = 16  # filters that are followed in one pass
TRIALS = 8  # with other numbers each: where the larger of two values is taken, one trial may miss the other
NUMBERS = 0.1, 0.9  # which no usual activation function treats alike


class Pruned(NamedTuple):
    """params: the smaller parameters; widths {layer: filters left}, of layers that became smaller;
    removed {layer: positions}; kept {layer: positions} of filters that were to go and could not, since they
    are outputs of the network, or are mixed with what comes from elsewhere (as where a shortcut is added)."""

    params: Any
    widths: dict[str, int]
    removed: dict[str, np.ndarray]
    kept: dict[str, np.ndarray]


@contextmanager
def narrowed(widths: Mapping[str, int]):
    """Within it, the layers of Flax modules have as many filters as `widths` {layer: filters} says, others as
    ever: `with narrowed(pruned.widths): model.apply({"params": pruned.params}, x)`.

    It holds while a function is traced. Layers are named as in the parameters ("block1/conv2").
    """

    def narrow(call, args, kwargs, context):
        width = widths.get("/".join(context.module.path))
        if width is not None and context.method_name == "__call__":
            # Flax freezes a bound module; this one lives for this call alone.
            object.__setattr__(context.module, "features", width)
        return call(*args, **kwargs)

    with nn.intercept_methods(narrow):
        yield


def prune(module, params, x, filters: Mapping[str, Any]) -> Pruned:
    """Takes filters out of the parameters: their kernels, their biases, their normalisation, and the weights
    by which other layers listen to them. Of every layer one filter stays.

    The network computes what it did where these filters gave 0 (behind a ReLU, as dead ones do); elsewhere
    what they contributed is missing, as if they gave 0.

    Args:
      module: a flax.linen module; its layers with a kernel have the attribute `features`.
      params: its parameters.
      x: an example [B, ...]; only its shape and dtype are used.
      filters: {name of a layer ("block1/conv2"): positions of its filters, from 0}.

    Raises:
      ValueError: no such layer or filter.
    """
    layers = _checked(params, filters)
    follow = _follower(module, params, x)
    removed, kept, cuts = {}, {}, {}
    for name, asked in layers.items():
        found, listeners = _removable(follow, params, name, asked)
        if len(found):
            removed[name] = found
            cuts.setdefault(name, {})["out"] = found
            for listener, inputs in listeners.items():
                before = cuts.setdefault(listener, {}).get("in", np.array([], int))
                cuts[listener]["in"] = np.union1d(before, inputs)
        if len(found) < len(asked):
            kept[name] = np.setdiff1d(asked, found)
    widths = {name: _leaf(params, name).shape[-1] - len(gone) for name, gone in removed.items()}
    return Pruned(_cut(params, cuts), widths, removed, kept)


def _checked(params, filters):
    layers = {}
    for name, positions in filters.items():
        kernel = _leaf(params, name)
        if kernel is None:
            raise ValueError(f"filters: there is no layer {name!r} with a kernel")
        found = np.unique(np.asarray(positions, int))
        if len(found) and not 0 <= found[0] <= found[-1] < kernel.shape[-1]:
            raise ValueError(f"filters of {name}: allowed: 0 to {kernel.shape[-1] - 1}")
        if len(found):
            layers[name] = found
    return layers


def _leaf(params, name):
    """The kernel of a layer; None where there is none."""
    for part in name.split("/"):
        params = params.get(part) if isinstance(params, Mapping) else None
    kernel = params.get("kernel") if isinstance(params, Mapping) else None
    return None if kernel is None or isinstance(kernel, Mapping) else kernel


def _follower(module, params, x):
    """(outputs {layer: [AT_ONCE, F]}, image [AT_ONCE]) -> {place: [AT_ONCE, inputs, ...]}, compiled once.

    Every layer puts out the given numbers, the same at all positions, and each example is one number
    throughout. A place is what arrives at a layer or a normalisation; "" is the network's output, and what
    cannot be cut has a "!" behind its name.
    """
    shape = (AT_ONCE, *x.shape[1:])

    @jax.jit
    def follow(outputs, image):
        arrived = {}

        def note(name, value):
            arrived[name] = (*arrived.get(name, ()), value)

        def intercept(call, args, kwargs, context):
            name = "/".join(context.module.path)
            if context.method_name != "__call__" or not args or not isinstance(args[0], jax.Array):
                return call(*args, **kwargs)
            if name in outputs:
                fits = _leaf(params, name).shape[-2] == args[0].shape[-1]
                note(name if fits else f"{name}!", args[0])
                out = call(*args, **kwargs)  # for its shape alone: XLA leaves the computation out
                return jnp.broadcast_to(outputs[name].reshape(AT_ONCE, *(1,) * (out.ndim - 2), -1), out.shape)
            if isinstance(context.module, nn.BatchNorm):
                note(name, args[0])
                return args[0]  # channel by channel: it passes them on
            if _own_parameters(params, name):
                note(f"{name}!", args[0])
            return call(*args, **kwargs)

        images = jnp.broadcast_to(image.reshape(-1, *(1,) * (len(shape) - 1)), shape)
        with nn.intercept_methods(intercept):
            out = module.apply({"params": params}, images.astype(x.dtype))
        note("", out.reshape(AT_ONCE, -1))
        return arrived

    return follow


def _arrives(follow, sizes, changed, image_too):
    """{place: [AT_ONCE, inputs] bool}: what differs where the numbers of the filters `changed`
    {layer: [AT_ONCE, F] bool}, and with `image_too` those of the examples, are others."""
    rng = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for _ in range(TRIALS):
        one, other = [
            {layer: rng.uniform(*NUMBERS, (AT_ONCE, size)) for layer, size in sizes.items()} for _ in range(2)
        ]
        other = {layer: np.where(changed[layer], other[layer], one[layer]) for layer in sizes}
        images = rng.uniform(*NUMBERS, (2, AT_ONCE))
        both = follow(one, images[0]), follow(other, images[int(image_too)])
        for place, values in both[0].items():
            for before, after in zip(values, both[1][place], strict=True):
                differs = np.asarray(before != after).reshape(AT_ONCE, -1, before.shape[-1])
                mask = np.asarray(differs.any(axis=1))
                found[place] = found[place] | mask if place in found else mask
    return found


def _own_parameters(params, name):
    for part in name.split("/") if name else ():
        params = params.get(part, {}) if isinstance(params, Mapping) else {}
    return any(not isinstance(value, Mapping) for value in params.values())


def _removable(follow, params, name, asked):
    """(the filters of a layer that can go, {other layer or normalisation: its inputs that go with them})."""
    sizes = {layer: _leaf(params, layer).shape[-1] for layer in _layers(params)}
    asked = asked[: sizes[name] - 1]
    none = {layer: np.zeros((AT_ONCE, size), bool) for layer, size in sizes.items()}
    parts: dict[str, list] = {}
    for start in range(0, len(asked), AT_ONCE):
        here = asked[start : start + AT_ONCE]
        changed = none[name].copy()
        changed[np.arange(len(here)), here] = True
        for place, mask in _arrives(follow, sizes, none | {name: changed}, False).items():
            parts.setdefault(place, []).append(mask[: len(here)])
    reach = {place: np.concatenate(masks) for place, masks in parts.items()}
    stays = np.zeros(len(asked), bool)
    for place, mask in reach.items():
        if place == "" or place.endswith("!"):
            stays |= mask.any(axis=1)
    while not stays.all():
        # Everything but these filters changes: what does not listens to them alone.
        others = {layer: ~mask for layer, mask in none.items()}
        others[name][:, asked[~stays]] = False
        mixed = {place: mask[0] for place, mask in _arrives(follow, sizes, others, True).items()}
        more = ~stays & np.any([(mask & mixed[place]).any(axis=1) for place, mask in reach.items()], axis=0)
        if not more.any():
            break
        stays |= more
    inputs = {place: np.flatnonzero(mask[~stays].any(axis=0)) for place, mask in reach.items()}
    return asked[~stays], {place: found for place, found in inputs.items() if len(found)}


def _layers(params, above=""):
    """Names of the layers with a kernel."""
    found = []
    for name, part in params.items():
        path = f"{above}/{name}" if above else name
        if isinstance(part, Mapping):
            found += [path] if _leaf(params, name) is not None else _layers(part, path)
    return found


def _cut(params, cuts, above=""):
    """The parameters without what `cuts` {module: {"in": inputs, "out": filters}} names."""
    smaller = {}
    for name, part in params.items():
        path = f"{above}/{name}" if above else name
        if isinstance(part, Mapping):
            smaller[name] = _cut(part, cuts, path)
            continue
        cut = cuts.get(above, {})
        if name == "kernel" and part.ndim > 1:
            part = jnp.delete(part, cut.get("in", np.array([], int)), axis=-2)
            part = jnp.delete(part, cut.get("out", np.array([], int)), axis=-1)
        elif part.ndim == 1:
            # Of a layer its bias, of a normalisation what it scales and shifts its inputs by.
            part = jnp.delete(part, cut.get("out" if _has_kernel(params) else "in", np.array([], int)))
        smaller[name] = part
    return smaller


def _has_kernel(params):
    return not isinstance(params.get("kernel", {}), Mapping)
