"""Functions of a training, put into its run folder as programs."""

import datetime
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.exported import exporting
from gdlab.exported.checking import PLATFORMS
from gdlab.exported.trees import data_of, moves, taken
from gdlab.models.images_last import images_last, turned
from gdlab.store import Refused
from gdlab.store import functions as files
from gdlab.store.functions import Carried, Document, Leaf

EXACT = ("value", "gradient", "curvature", "pull")  # programs that have an exact one beside them
_LONGEST = 300  # characters of what JAX says


class Wanted(NamedTuple):
    """A function to be exported.

    name: as it is called in the run folder; call: of pytrees; takes: {tree: example}, in the order of its
    arguments; gives: name of the tree that it returns; symbolic: the trees whose leading axes may have any
    length; loss: whether it is one, with derivatives and a grid, whose first tree are the parameters;
    pull: whether it may be differentiated in reverse; images_last: whether it is kept in that layout of the
    batch, too, where the network knows it.
    """

    name: str
    call: Callable
    takes: Mapping[str, Any]
    gives: str
    symbolic: tuple[str, ...] = ()
    loss: bool = False
    images_last: bool = False
    pull: bool = False


def write(
    folder: Any, wanted: Iterable[Wanted], facts: Mapping[str, bool | tuple[str, ...]] = MappingProxyType({})
) -> list[str]:
    """Export what is wanted and put it into the run in `folder`, in place of what it carries.

    facts: kept beside, as of `gdlab.store.functions.Document`.
    Returns sentences about what could not be exported; raises DiskFull and NotWritable of the store.
    """
    work = _Work()
    for one in wanted:
        work.add(one)
    document = Document(
        jax=jax.__version__,
        date=datetime.date.today().isoformat(),
        x64=bool(jax.config.jax_enable_x64),
        trees=work.trees,
        functions=work.functions,
        notes=tuple(work.notes),
        facts=dict(facts),
    )
    if work.functions or work.notes:
        files.write(folder, document, work.programs)
    return work.notes


class _Work:
    """What has been exported so far."""

    def __init__(self):
        self.notes: list[str] = []
        self.trees: dict[str, tuple[Leaf, ...]] = {}
        self.functions: dict[str, Carried] = {}
        self.programs: dict[str, dict[str, bytes]] = {}

    def add(self, one):
        """Export one function; what cannot be exported becomes a note."""
        sizes: dict[int, str] = {}
        try:
            trees = {
                name: taken(example, name, sizes if name in one.symbolic else None)
                for name, example in one.takes.items()
            }
        except ValueError as error:
            self.notes.append(f"{one.name} is not carried: {error}")
            return
        flat: Any = exporting.over_leaves(one.call, list(trees.values()))
        flat = exporting.value_of(flat) if one.loss else Outputs(flat)
        trees, made = self._values(one, flat, trees, {symbol: size for size, symbol in sizes.items()})
        if made is None:
            return
        parts = {"value": made[0]}
        ways: dict[str, list] = {"value": [(flat, exporting.with_symbols(list(trees.values())))]}
        if one.loss:
            ways |= _derivatives(flat, list(trees.values()))
        if one.pull:
            ways |= _pulled(flat, list(trees.values()))
        if one.images_last:
            ways["images_last"] = [(_within_layout(flat), _turned(trees))]
        lengths = {symbol: size for size, symbol in sizes.items()}
        self._programs(one, ways, parts, lengths)
        gives = outputs([((), None)] if one.loss else flat.places, made[1])
        self.functions[one.name] = Carried(
            tuple(self._tree(name, tree.leaves, one.name) for name, tree in trees.items()),
            self._tree(one.gives, gives, one.name),
            {},
            exporting.here(),
            tuple(lengths[symbol] for tree in trees.values() for symbol in tree.symbols),
        )
        self.programs[one.name] = parts

    def _values(self, one, flat, trees, lengths):
        """(trees, the program of the values), with axes of any length where that can be."""
        try:
            return trees, exporting.program(flat, exporting.with_symbols(list(trees.values())))
        except Exception as error:  # whatever tracing and lowering somebody's code leads to
            problem = error
        fixed = {name: tree.fixed(lengths) for name, tree in trees.items()}
        takes = exporting.with_symbols(list(fixed.values()))
        if lengths:
            try:
                made = exporting.program(flat, takes)
            except Exception as error:
                problem = error
            else:
                told = ", ".join(map(str, lengths.values()))
                self.notes.append(f"{one.name} is carried for batches of {told} alone: {_said(problem)}")
                return fixed, made
        self.notes.append(f"{one.name} is not carried: {_said(problem)}{_callbacks(flat, takes)}")
        return trees, None

    def _programs(self, one, ways, parts, lengths):
        """Add to `parts` what it lacks of `ways` {program: [(function, takes) to try]}, and exact ones."""
        for part, tries in ways.items():
            problems = []
            for function, takes in tries:
                try:
                    if part not in parts:
                        parts[part] = exporting.program(function, takes)[0]
                    if part in EXACT and exporting.here() in PLATFORMS:
                        exact = [_of_lengths(shape, lengths) for shape in takes]
                        parts[f"{part}_exact"] = exporting.program(function, exact, [exporting.here()])[0]
                    break
                except Exception as error:
                    problems.append(error)
            if part not in parts and part != "images_last":  # which few networks know
                self.notes.append(f"{one.name}: its {part} is not carried: {_said(problems[-1])}")

    def _tree(self, name, leaves, function):
        """Keep a tree; returns its name: one of its own where another function has it in another form."""
        if self.trees.setdefault(name, leaves) == leaves:
            return name
        own = exporting.name_of(name, function)
        self.trees[own] = leaves
        return own


def _derivatives(value, trees):
    """{program: [(function, takes) to be tried]} of a loss besides its value."""
    takes = exporting.with_symbols(trees)
    inexact = [moves(leaf) for leaf in trees[0].leaves]
    count = len(inexact)
    direction = [shape for shape, one in zip(takes, inexact, strict=False) if one]
    grid = exporting.grid_of(value, count, len(takes) - count)
    ways: dict[str, list] = {"grid": [(grid, exporting.on_grid(takes, count))]}
    if direction:
        ways["gradient"] = [(exporting.gradient_of(value, inexact), takes)]
        ways["curvature"] = [
            (exporting.curvature_of(value, inexact, forward), [*takes, *direction])
            for forward in (True, False)
        ]
    return ways


def _pulled(flat, trees):
    """{program: [(function, takes) to be tried]}: the reverse of a function whose outputs are all inexact."""
    takes = exporting.with_symbols(trees)
    gives = jax.eval_shape(flat, *takes)
    inexact = [moves(leaf) for tree in trees for leaf in tree.leaves]
    if not any(inexact) or not all(jnp.issubdtype(one.dtype, jnp.inexact) for one in gives):
        return {}
    back = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in gives]
    return {"pull": [(exporting.pull_of(flat, inexact), [*takes, *back])]}


def _within_layout(function):
    def within(*leaves):
        with images_last():
            return function(*leaves)

    return within


def _turned(trees):
    """What a program takes for the trees, images of the batch last."""
    takes, found = iter(exporting.with_symbols(list(trees.values()))), []
    for name, tree in trees.items():
        for shape in itertools.islice(takes, len(tree.leaves)):
            sizes = turned(shape.shape) if name == "batch" else shape.shape
            found.append(jax.ShapeDtypeStruct(sizes, shape.dtype))
    return found


def _of_lengths(shape, lengths):
    sizes = tuple(size if isinstance(size, int) else lengths[str(size)] for size in shape.shape)
    return jax.ShapeDtypeStruct(sizes, shape.dtype)


class Outputs:
    """A function over leaves that gives leaves, and, once it was traced, their places and kinds of keys."""

    def __init__(self, flat: Callable):
        self.flat = flat
        self.places: list[tuple[tuple[str, ...], str | None]] = []

    def __call__(self, *leaves):
        found = self.flat(*leaves)
        self.places = [(leaf.path, leaf.key) for leaf in taken(found, "its result").leaves]
        return tuple(data_of(found))


def outputs(places: Sequence[tuple[tuple[str, ...], str | None]], shapes: Sequence[Any]) -> tuple[Leaf, ...]:
    """The leaves of what a program gives."""
    return tuple(
        Leaf(path, tuple(n if isinstance(n, int) else None for n in one.shape), str(one.dtype), key)
        for (path, key), one in zip(places, shapes, strict=True)
    )


def _said(error):
    """What is wrong, in a line."""
    if isinstance(error, Refused):
        return error.args[0]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    first = lines[0]
    if ("_DimExpr" in first and "integer" in first) or first.startswith("Symbolic dimension"):
        return "it needs the number of examples as a constant (len(x), int()); x.shape[0] leaves it open"
    return first[:_LONGEST]


def _callbacks(function, takes):
    """'; it contains ...' for the operations that call the host, as no program that is kept may."""
    try:
        found = _names(jax.make_jaxpr(function)(*takes).jaxpr)
    except Exception:  # the same that was said already
        return ""
    told = sorted(name for name in found if "callback" in name or name == "debug_print")
    return f"; it contains {', '.join(told)}" if told else ""


def _is_jaxpr(value):
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


def _names(jaxpr):
    found = set()
    for equation in jaxpr.eqns:
        found.add(equation.primitive.name)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(inner):
                found |= _names(getattr(inner, "jaxpr", inner))
    return found
