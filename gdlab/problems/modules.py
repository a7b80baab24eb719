"""Networks that are no Linen modules: nnx and Equinox modules, and pairs of functions (init, apply).

Each is taken apart into parameters, a nested dict of arrays by their places in the module, and a pure
function of them. What a network is, is told from the names of its classes, so that nothing is imported that
is not installed. Dropout is on exactly when there is a key.

nnx       a module, or a function of `rngs` that makes one: then its parameters are drawn from the run's seed
Equinox   a module of one example, which is mapped over a batch, or a function of `key` that makes one
pair      init(key) or init(key, example) -> params, any pytree; apply(params, x), which may take a key
"""

import inspect
import threading
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_one_at_a_time = threading.RLock()  # classes are changed while their modules are watched


class Pure(NamedTuple):
    """init(key, example) -> params; apply(params, x, key=None) -> output;
    activations(params, x, dropout=False) -> {layer: output}, with `dropout` also of those that drop out; None
    where nothing is known of layers."""

    init: Any
    apply: Any
    activations: Any


def adapted(model):
    """What `model` computes, as Pure; a Linen module as it is.

    Raises ValueError for what is no network, or keeps state that a pure loss cannot update.
    """
    if _is(model, "flax", "Module") and not _is(model, "flax.nnx", "Module"):
        return model
    if isinstance(model, tuple | list) and len(model) == 2 and all(map(callable, model)):
        return _pair(*model)
    if _is(model, "flax.nnx", "Module"):
        return _nnx(lambda key: model)
    if _is(model, "equinox", "Module"):
        return _equinox(lambda key: model)
    taken = _taken(model)
    if "rngs" in taken:
        return _nnx(lambda key: model(rngs=_rngs(key)))
    if "key" in taken:
        return _equinox(lambda key: model(key=key))
    raise ValueError(
        f"model: {type(model).__name__} is no network; allowed: a Linen module, an nnx module or a "
        "function of rngs that makes one, an Equinox module or a function of key that makes one, a pair of "
        "functions (init, apply)"
    )


def _taken(function: Any):
    """Names of what a function takes, or a class to be made; those that a partial has already, too."""
    function = function.func if isinstance(function, partial) else function
    function = vars(function).get("__init__") if isinstance(function, type) else function
    return inspect.signature(function).parameters if callable(function) else {}


def _pair(init, apply):
    keyed = "key" in inspect.signature(apply).parameters
    with_example = len(inspect.signature(init).parameters) > 1

    def draw(key, example):
        return init(key, example) if with_example else init(key)

    def call(params, x, key=None):
        return apply(params, x, key=key) if keyed else apply(params, x)

    return Pure(draw, call, None)


def _rngs(key):
    from flax import nnx

    return nnx.Rngs(key)


def _nnx(make):
    from flax import nnx

    # Types of nnx.split do not say how many parts there are.
    split: Any = nnx.split
    graph, shapes, rest = split(nnx.eval_shape(lambda: make(jax.random.key(0))), nnx.Param, ...)
    others = [leaf for _, leaf in nnx.to_flat_state(rest) if not isinstance(leaf, nnx.RngState)]
    names = {type(leaf).__name__ for leaf in others if isinstance(leaf, nnx.Variable)}
    if others and not names:
        # Constants. Compiled, so that of large networks no parameters are drawn for their sake.
        rest = jax.jit(lambda: split(make(jax.random.key(0)), nnx.Param, ...)[2])()
    else:
        rest = jax.tree.map(_unused, rest)
    if names:
        raise ValueError(
            f"the network keeps state besides its parameters ({', '.join(sorted(names))}), which a pure loss "
            "cannot update; use one without it, or batch normalisation as a Linen module"
        )

    def init(key, example):
        return _plain(nnx.to_pure_dict(split(make(key), nnx.Param, ...)[1]))

    def network(params, key):
        state = jax.tree.map(lambda leaf: leaf, shapes)
        nnx.replace_by_pure_dict(state, params)
        made = nnx.merge(graph, state, jax.tree.map(lambda leaf: leaf, rest))
        made.eval() if key is None else made.train()
        for number, (_, node) in enumerate(nnx.iter_graph(made)):
            if key is not None and isinstance(node, nnx.RngStream):
                node.key.set_value(jax.random.fold_in(key, number))
                node.count.set_value(jnp.zeros_like(node.count.get_value()))
        return made

    def apply(params, x, key=None):
        return network(params, key)(x)

    def activations(params, x, dropout=False):
        made = network(params, None)
        layers = [one for one in nnx.iter_graph(made) if isinstance(one[1], nnx.Module)]
        parts = [(path, node) for path, node in layers if dropout or not isinstance(node, nnx.Dropout)]
        return _watched(made, {"/".join(map(str, path)): node for path, node in parts if path}, x)

    return Pure(init, apply, activations)


def _unused(leaf):
    """In place of the state of a random stream, which is set before it is drawn from."""
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key(0) if is_key else jnp.zeros(leaf.shape, leaf.dtype)


def _equinox(make):
    import equinox

    def divided(key):
        # In float32, whatever the precision is, so that a run in float64 starts at the same point.
        with jax.enable_x64(False):
            drawn, static = equinox.partition(make(key), equinox.is_inexact_array)
        return drawn, static

    drawn, static = divided(jax.random.key(0))
    places = [_words(path) for path, _ in jax.tree_util.tree_leaves_with_path(drawn)]
    structure = jax.tree.structure(drawn)
    del drawn

    def init(key, example):
        return _nested(dict(zip(places, jax.tree.leaves(divided(key)[0]), strict=True)))

    def network(params, key):
        leaves = [_at(params, place) for place in places]
        made = equinox.combine(jax.tree.unflatten(structure, leaves), static)
        return equinox.nn.inference_mode(made, key is None)

    def apply(params, x, key=None):
        made = network(params, key)
        if key is None:
            return jax.vmap(made)(x)
        keys = jax.random.split(key, len(x))
        return jax.vmap(lambda one, k: made(one, key=k))(x, keys)

    def activations(params, x, dropout=False):
        made = network(params, None)
        parts = [(path, node) for path, node in _submodules(made, ()) if path]
        parts = [one for one in parts if dropout or not isinstance(one[1], equinox.nn.Dropout)]
        inner = {"/".join(map(str, path)): node for path, node in parts}
        return jax.vmap(lambda one: _watched(made, inner, one))(x)

    return Pure(init, apply, activations)


def _watched(network, parts, x):
    """{name: what the part returned when network(x) was computed}, of those that gave an array."""
    found: dict[str, Any] = {}
    names = {id(part): name for name, part in parts.items()}
    with _told(names, {type(part) for part in parts.values()}, found):
        network(x)
    return found


@contextmanager
def _told(names, classes, found):
    """Within it, calls of the objects with these ids put what they return into `found`."""

    def told(call, self, *args, **kwargs):
        result = call(self, *args, **kwargs)
        if id(self) in names and isinstance(result, jax.Array):
            found[names[id(self)]] = result
        return result

    with _one_at_a_time:
        before = {one: one.__call__ for one in classes if "__call__" in vars(one)}
        try:
            for one, call in before.items():
                type.__setattr__(one, "__call__", _method(partial(told, call)))
            yield
        finally:
            for one, call in before.items():
                type.__setattr__(one, "__call__", call)


def _method(function):
    """`function` as a method, which a partial is not."""
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


def _submodules(node, path):
    """(place, module) of an Equinox module and all within it."""
    if _is(node, "equinox", "Module"):
        yield path, node
        node = vars(node)
    if isinstance(node, list | tuple):
        node = dict(enumerate(node))
    for name, child in node.items() if isinstance(node, dict) else ():
        yield from _submodules(child, (*path, name))


def _is(value, package, name):
    """Whether a class of that name, defined in `package`, is among the classes of a value."""
    return any(
        base.__name__ == name and f"{base.__module__}.".startswith(f"{package}.")
        for base in type(value).__mro__
    )


def _words(path):
    """The keys of a path of `jax.tree_util`: names, and numbers of what stands in a list."""
    return tuple(getattr(key, "key", getattr(key, "name", getattr(key, "idx", str(key)))) for key in path)


def _nested(leaves):
    """{place: leaf} as dicts within dicts."""
    made: dict[Any, Any] = {}
    for path, leaf in leaves.items():
        inner = made
        for word in path[:-1]:
            inner = inner.setdefault(word, {})
        inner[path[-1]] = leaf
    return made


def _at(tree, path):
    for word in path:
        tree = tree[word]
    return tree


def _plain(tree):
    """Dicts and their arrays, without the State of nnx."""
    return (
        {name: _plain(part) for name, part in tree.items()} if hasattr(tree, "items") else jnp.asarray(tree)
    )
