"""The structure of a network, read off its parameters and its computation: layers, groups, data flow.

The parameter tree says which layers there are and how they are grouped. The order in which the computation
uses them, and what flows from which layer into which, is read off the jaxpr, so that any network will do.
"""

from collections import Counter
from typing import Any, NamedTuple

import jax

from gdlab.training.leaf_names import names_of, words

_NOTHING: frozenset = frozenset()


class _Value(NamedTuple):
    """What is known of a variable: whether it depends on the examples, and its layers, which are those that
    the examples went through last, or, of what does not depend on them, those whose kernels are in it."""

    data: bool
    layers: frozenset


_CONSTANT = _Value(False, _NOTHING)


def describe(problem, params_template, example) -> dict[str, list]:
    """Layers and groups of the network that a problem trains, and the flow of data between layers.

    Args:
      problem: a gdlab Problem.
      params_template: its parameters, or their shapes: a pytree.
      example: x [B, ...] as `problem.predict` takes it, or, for a problem that predicts nothing, a batch as
        `problem.loss` does. Only its shape is used.

    Returns:
      {"nodes": [{"name", "parent", "first", "filters", "weights", "kind"}, ...], "edges": [[i, j], ...]}.
      A layer is a kernel: a leaf called "kernel", or of two or more axes, of which the last are the filters.
      Nodes are in depth-first order, layers in the order of first use; layers that are not used come last.
      parent is a position or -1; first, filters are a range of all filters; weights count one filter of a
      layer, and all of a group; kind is "conv" (3 or more axes), "dense" or "group". Edge [i, j]: layer j is
      given what passed layer i last. Where branches are added, the next layer has an edge from each; a branch
      that is a sum itself counts as its last layers, so that of a row of shortcuts each is one edge. A layer
      used again has no edge to itself. Both lists are empty for a problem without kernels.
    """
    layers = _layers(params_template)
    computation = problem.loss if problem.predict is None else problem.predict
    flow = _traced(computation, params_template, example, layers)
    if len(flow.order) < len(layers) and problem.activations is not None:
        flow = _traced(problem.activations, params_template, example, layers)
    order = list(dict.fromkeys([*flow.order, *layers]))
    nodes, place = _nodes(order, layers)
    edges = sorted([place[source], place[target]] for source, target in flow.edges if source != target)
    return {"nodes": nodes, "edges": edges}


def kernels(network, tree) -> dict[int, Any]:
    """{position of a layer's node: its kernel [..., filters]}, ascending, of a pytree like the parameters."""
    found = {layer.name: layer.leaf for layer in _layers(tree).values()}
    named = {i: node["name"] for i, node in enumerate(network["nodes"]) if node["kind"] != "group"}
    return {i: found[name] for i, name in named.items()}


class _Layer(NamedTuple):
    name: str
    groups: tuple[str, ...]  # names of the groups it lies in, outermost first
    leaf: Any


def _layers(tree):
    """{path of a kernel: _Layer}, in the order of the leaves."""
    leaves = {words(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
    found = {path: leaf for path, leaf in leaves.items() if len(leaf.shape) > (path[-1:] != ("kernel",))}
    modules = Counter(path[:-1] or path for path in found)
    groups = {path[:length] for path in modules for length in range(1, len(path))}
    own = {}
    for path in found:
        module = path[:-1] or path
        own[path] = module if modules[module] == 1 and module not in groups else path
    names = names_of([*sorted(groups), *own.values()])
    layers = {}
    for path, leaf in found.items():
        above = tuple(names[own[path][:length]] for length in range(1, len(own[path])))
        layers[path] = _Layer(names[own[path]], above, leaf)
    return layers


def _nodes(order, layers):
    """(the nodes, {path: position}) of layers in order of use."""
    first_use: dict[str, int] = {}
    for number, path in enumerate(order):
        for name in (*layers[path].groups, layers[path].name):
            first_use.setdefault(name, number)
    order = sorted(order, key=lambda p: [first_use[name] for name in (*layers[p].groups, layers[p].name)])
    nodes, place, at, first = [], {}, {}, 0
    for path in order:
        name, groups, leaf = layers[path]
        parent = -1
        for group in groups:
            if group not in at:
                at[group] = len(nodes)
                nodes.append(_node(group, parent, first, 0, 0, "group"))
            parent = at[group]
            nodes[parent]["filters"] += leaf.shape[-1]
            nodes[parent]["weights"] += _size(leaf.shape)
        place[path] = len(nodes)
        kind = "conv" if len(leaf.shape) > 2 else "dense"
        nodes.append(_node(name, parent, first, leaf.shape[-1], _size(leaf.shape[:-1]), kind))
        first += leaf.shape[-1]
    return nodes, place


def _node(*values):
    return dict(zip(("name", "parent", "first", "filters", "weights", "kind"), values, strict=True))


def _size(shape):
    size = 1
    for extent in shape:
        size *= int(extent)
    return size


class _Flow:
    """Walks a jaxpr and notes which layers it uses, in order, and what flows into each."""

    def __init__(self):
        self.order: dict[tuple, None] = {}
        self.edges: set[tuple] = set()
        self.before: dict[tuple, set] = {}  # all layers that the input of a layer went through

    def through(self, jaxpr, inputs):
        """The values of a (closed) jaxpr's results, of those of its arguments."""
        jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
        known = dict.fromkeys(jaxpr.constvars, _CONSTANT)
        known |= dict(zip(jaxpr.invars, inputs, strict=True))

        def read(variable):
            return _CONSTANT if hasattr(variable, "val") else known[variable]

        for equation in jaxpr.eqns:
            results = self._equation(equation, [read(variable) for variable in equation.invars])
            known |= dict(zip(equation.outvars, results, strict=True))
        return [read(variable) for variable in jaxpr.outvars]

    def _equation(self, equation, inputs):
        parameters = equation.params
        match equation.primitive.name:
            case "cond":
                ways = [self.through(branch, inputs[1:]) for branch in parameters["branches"]]
                return [_joined(inputs[0], *values) for values in zip(*ways, strict=True)]
            case "while":
                start = parameters["cond_nconsts"]
                return self._loop(parameters["body_jaxpr"], inputs[start:], parameters["body_nconsts"])[0]
            case "scan":
                carry = parameters["num_consts"], parameters["num_carry"]
                return self._loop(parameters["jaxpr"], inputs, *carry)[parameters["length"] > 0]
        for inner in parameters.values():
            if len(getattr(getattr(inner, "jaxpr", inner), "invars", ())) == len(inputs) > 0:
                return self.through(inner, inputs)
        return self._step(equation, inputs)

    def _loop(self, body, inputs, start, count=None):
        """A loop's results after any number of rounds, and after one or more; its carry are `count` of the
        inputs from `start` on, None: all of these."""
        stop = len(inputs) if count is None else start + count
        carry = inputs[start:stop]
        while True:
            results = self.through(body, [*inputs[:start], *carry, *inputs[stop:]])
            joined = [_joined(*pair) for pair in zip(carry, results[: len(carry)], strict=True)]
            if joined == carry:
                return [*carry, *results[len(carry) :]], results
            carry = joined

    def _step(self, equation, inputs):
        """One operation: where examples meet kernels, they pass these layers."""
        result = _joined(*inputs)
        branches = equation.primitive.name in ("add", "add_any") and all(value.data for value in inputs)
        # What adds to itself, as a normalisation's mean does, has passed the same layers.
        if branches and inputs[0] != inputs[1]:
            result = _joined(*(value._replace(layers=self._last(value.layers)) for value in inputs))
        # A number made of kernels, as the length of all weights, is no layer that anything passes.
        arrays = zip(equation.invars, inputs, strict=True)
        weights = [v.layers for variable, v in arrays if not v.data and len(variable.aval.shape) > 0]
        used = _NOTHING.union(*weights)
        if result.data and used:
            self._pass(result.layers, used)
            result = _Value(True, used)
        return [result] * len(equation.outvars)

    def _pass(self, sources, targets):
        self.order |= dict.fromkeys(sorted(targets))
        self.edges |= {(source, target) for source in sources for target in targets}
        for target in targets:
            found = self.before.setdefault(target, set())
            found |= sources.union(*(self.before[source] for source in sources))

    def _last(self, layers):
        """Those of the layers that no other of them comes after; in a circle none comes after another."""

        def comes_after(other, layer):
            return layer in self.before.get(other, ()) and other not in self.before.get(layer, ())

        return frozenset(layer for layer in layers if not any(comes_after(other, layer) for other in layers))


def _joined(*values):
    """What may be any of these, or is made of them all: of examples where one is."""
    data = any(value.data for value in values)
    return _Value(data, _NOTHING.union(*(value.layers for value in values if value.data == data)))


def _traced(function, params, example, layers):
    """The _Flow of function(params, example)."""
    flow = _Flow()
    if layers:
        closed = jax.make_jaxpr(function)(params, example)
        paths = [words(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        weights = [_Value(False, frozenset({path} & layers.keys())) for path in paths]
        examples = [_Value(True, _NOTHING)] * len(jax.tree.leaves(example))
        flow.through(closed, [*weights, *examples])
    return flow
