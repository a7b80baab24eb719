"""The functions that a run carries, as functions again: a Problem for probes, a step, batches."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.exported import checking, trees
from gdlab.exported.derivatives import loss_of, one_after_the_other
from gdlab.exported.exporting import GRID, here, role
from gdlab.models.images_last import is_images_last
from gdlab.records import Problem
from gdlab.store import NoFunctions, Refused
from gdlab.store import functions as files
from gdlab.store.functions import Leaf

_MONTHS = 6  # for which JAX promises to read what it wrote


def open_functions(folder: str | os.PathLike) -> "Functions":
    """The Functions of the run in `folder`. Programs are read and checked when they are first needed.

    Raises:
      gdlab.store.NoFunctions: the run carries none; DamagedRun: their description is not whole; NewerSchema.
    """
    return Functions(folder)


class Functions:
    """What a run can compute by itself, without anybody's code.

    names: which functions there are ("loss", "predict", ...); trees: {name: leaves} of what they take and
    give; notes: sentences about what is missing and why; x64: whether they compute in 64 bits, as then
    whoever calls them has to (`gdlab.training.devices.precision`); params: the parameters' shapes as nested
    dicts.

    A program that is damaged or not allowed raises DamagedRun or Refused of gdlab.store where it is first
    called.
    """

    def __init__(self, folder: str | os.PathLike):
        self.path = os.fspath(folder)
        self._document = files.read(folder)
        self.names: tuple[str, ...] = tuple(self._document.functions)
        self.trees: dict[str, tuple[Leaf, ...]] = self._document.trees
        self.notes: tuple[str, ...] = self._document.notes
        self.x64: bool = self._document.x64
        self.facts: dict[str, bool | tuple[str, ...]] = self._document.facts
        self._programs: dict[tuple[str, str], Callable] = {}
        self._losses: dict[tuple[str, str], Callable] = {}

    @property
    def params(self) -> Any:
        """The parameters' shapes and dtypes as nested dicts, whose names are those of the layers."""
        return self.to_tree(trees.shapes(self._leaves("params")))

    def to_tree(self, leaves: Sequence[Any], of: str = "params") -> Any:
        """Nested dicts of arrays that come in the recorded order of the leaves of a tree."""
        return trees.to_tree(leaves, self._leaves(of))

    def to_leaves(self, tree: Any, of: str = "params") -> list[Any]:
        """The arrays of nested dicts in that order; ValueError where one is missing."""
        return trees.to_leaves(tree, self._leaves(of), of)

    def has(self, name: str, program: str = "value") -> bool:
        """Whether the run carries that function with that program."""
        found = self._document.functions.get(name)
        return found is not None and program in found.programs

    def call(self, name: str, *leaves: Any) -> tuple[Any, ...]:
        """What the function `name` gives, as leaves, for the leaves of all its trees one after the other."""
        return one_after_the_other(self.program(name))(*leaves)

    def problem(self, aux: Any = None) -> Problem:
        """The Problem of the run's loss, predict and activations.

        Parameters are nested dicts as `params`; a batch is a dict of arrays (`trees["batch"]` has the
        places; of deeper ones the words are joined by "/"). aux: what the functions need besides, as nested
        dicts at the places of `trees["aux"]`; a batch's entry "aux" is taken in its place.

        `init` gives zeros of the right shapes: where a training began is not a function of the run.
        Raises NoFunctions where it carries no loss.
        """
        if "loss" not in self.names:
            raise NoFunctions(self._without("loss"))
        statistics = "statistics" in self.names
        return Problem(
            init=self._init,
            loss=partial(self._loss, "loss", aux),
            predict=partial(self._outputs, "predict", aux) if "predict" in self.names else None,
            activations=partial(self._outputs, "activations", aux) if "activations" in self.names else None,
            statistics=self._statistics if statistics else None,
            additive=self.facts.get("additive") is True,
            data_loss=partial(self._loss, "data_loss", aux) if "data_loss" in self.names else None,
        )

    def step(self, state: Sequence[Any], batch: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """(state, seen) after one step, as leaves: of `trees["state"]`, and of `trees["stepped"]` below
        "seen"."""
        found = self.call("step", *state, *batch)
        gives = self.trees[self._function("step").gives]
        parts: dict[str, list[Any]] = {"state": [], "seen": []}
        for leaf, value in zip(gives, found, strict=True):
            parts[leaf.path[0]].append(value)
        return parts["state"], parts["seen"]

    def make_batch(self, iteration: Any) -> list[Any]:
        """The leaves of the batch of an iteration, in the order of `trees["batch"]`."""
        return list(self.call("make_batch", jnp.asarray(iteration, jnp.int32)))

    def program(self, name: str, part: str = "value") -> Callable:
        """A program of a function: over flat leaves, random keys as their data; compiled with what calls it.

        For arrays of the sizes that it was written with, on that platform, the exact one is taken.
        """
        key = name, part
        if key not in self._programs:
            self._programs[key] = self._chooser(name, part)
        return self._programs[key]

    def _chooser(self, name, part):
        carried = self._function(name)
        if part not in carried.programs:
            raise NoFunctions(self._without(f"{name}: its {part}"))
        opened: dict[str, Callable] = {}
        exact = f"{part}_exact"
        wanted = None
        if exact in carried.programs and carried.platform == here():
            wanted = [tuple(one.shape) for one in self._signature(carried, exact)[0]]

        def program(*leaves):
            kind = exact if [leaf.shape for leaf in leaves] == wanted else part
            if kind not in opened:
                opened[kind] = self._opened(carried, kind)
            return opened[kind](*leaves)

        return program

    def _opened(self, carried, part):
        program = carried.programs[part]
        where = os.path.join(self.path, files.FOLDER, program.file)
        data = files.load(self.path, program)
        takes, gives = self._signature(carried, part)
        try:
            return checking.opened(data, takes, gives, where).call
        except Refused as error:
            if not error.args[0].startswith("no "):
                raise
            raise Refused(f"{error.args[0]}; {self._written()}", where) from error

    def _signature(self, carried, part):
        """(what the program takes, what it gives), as shapes."""
        by_tree = [self.trees[name] for name in carried.takes]
        if part.endswith("_exact"):
            by_tree, part = _of_lengths(by_tree, carried.lengths), part.removesuffix("_exact")
        params = by_tree[0] if by_tree else ()
        if part == "images_last":
            turned = lambda leaf: leaf._replace(shape=_turned(leaf.shape))  # noqa: E731
            by_tree = [
                tuple(map(turned, leaves)) if role(name) == "batch" else leaves
                for name, leaves in zip(carried.takes, by_tree, strict=True)
            ]
        takes = [_Shape(leaf.shape, leaf.dtype) for leaves in by_tree for leaf in leaves]
        gives = [_Shape(leaf.shape, leaf.dtype) for leaf in self.trees[carried.gives]]
        moved = [_Shape(leaf.shape, leaf.dtype) for leaf in params if trees.moves(leaf)]
        if part == "gradient":
            gives += moved
        elif part == "curvature":
            takes, gives = takes + moved, moved + moved
        elif part == "grid":
            wide = [_Shape((GRID, *one.shape), one.dtype) for one in takes[: len(params)]]
            takes, gives = wide + takes[len(params) :], [_Shape((GRID,), one.dtype) for one in gives]
        return takes, gives

    def _loss(self, name, aux, params, batch, *, key=None, statistics=None):
        """As `Problem.loss`."""
        name = self._variant(name, key, statistics)
        first, *others = self._values(name, aux, {"params": params, "batch": batch, "key": key})
        kind = "images_last" if is_images_last() and self.has(name, "images_last") else "value"
        if (name, kind) not in self._losses:
            carried = self._function(name)
            parts = {
                part: self.program(name, part)
                for part in ("gradient", "curvature", "grid")
                if self.has(name, part)
            }
            if kind == "images_last":  # it is for looking at many values
                parts = {}
            parts["value"] = self.program(name, kind)
            leaves = self.trees[carried.takes[0]]
            moves = [trees.moves(leaf) for leaf in leaves]
            missing = self._without(f"{name}: its")
            self._losses[name, kind] = loss_of(parts, moves, GRID, missing)
        return self._losses[name, kind](first, [leaf for part in others for leaf in part])

    def _outputs(self, name, aux, params, x, statistics=None, **options):
        """As `Problem.predict` and `Problem.activations`."""
        name = self._variant(name, None, statistics)
        given = {"params": params, "x": x, "statistics": statistics}
        values = self._values(name, aux, given)
        found = self.call(name, *(leaf for part in values for leaf in part))
        leaves = self.trees[self._function(name).gives]
        if name.startswith("activations"):
            return {"/".join(leaf.path): value for leaf, value in zip(leaves, found, strict=True)}
        return trees.to_tree(found, leaves)

    def _statistics(self, params, x):
        """As `Problem.statistics`."""
        values = self._values("statistics", None, {"params": params, "x": x})
        found = self.call("statistics", *(leaf for part in values for leaf in part))
        return trees.to_tree(found, self.trees[self._function("statistics").gives])

    def _init(self, key):
        zeros = [jnp.zeros(one.shape, one.dtype) for one in trees.shapes(self._leaves("params"))]
        return self.to_tree(zeros)

    def _variant(self, name, key, statistics):
        """The function that takes a key or statistics, where there is one: others do not depend on a key."""
        if key is not None and f"{name}_key" in self.names:
            name = f"{name}_key"
        return name if statistics is None else f"{name}_statistics"

    def _values(self, name, aux, given):
        """[leaves] of each tree that a function takes."""
        batch = given.get("batch")
        if isinstance(batch, dict) and "aux" in batch:
            aux, given = batch["aux"], {**given, "batch": {n: a for n, a in batch.items() if n != "aux"}}
        found = []
        for tree in self._function(name).takes:
            leaves, what = self.trees[tree], role(tree)
            value = aux if what == "aux" else given.get(what)
            if value is None and leaves:
                raise ValueError(f"{name} needs {what}: {_described(leaves)}")
            values = trees.to_leaves(value, leaves, what) if leaves else []
            found.append(
                [_cast(one, leaf, f"{name}: {what}") for one, leaf in zip(values, leaves, strict=True)]
            )
        return found

    def _leaves(self, of):
        if of not in self.trees:
            raise NoFunctions(f"{self.path}: no function of it takes or gives {of}")
        return self.trees[of]

    def _function(self, name):
        if name not in self._document.functions:
            raise NoFunctions(self._without(name))
        return self._document.functions[name]

    def _written(self):
        document = self._document
        told = f"it was written on {document.date} by JAX {document.jax}, this is JAX {jax.__version__}"
        return (
            f"{told}; JAX promises to read what it wrote for {_MONTHS} months. The second way is the code "
            "itself, where GDLAB_TARGETS allows its import"
        )

    def _without(self, what):
        """That something is missing, and why."""
        name = what.partition(":")[0]
        told = [note for note in self.notes if note.startswith(name)]
        return " ".join([*told, f"{self.path} does not carry {what}"])


class _Shape(NamedTuple):
    shape: tuple
    dtype: str


def _of_lengths(by_tree, lengths):
    """Leaves with these lengths in place of the axes of any length."""
    waiting = iter(lengths)
    return [
        tuple(
            leaf._replace(shape=tuple(next(waiting) if n is None else n for n in leaf.shape))
            for leaf in leaves
        )
        for leaves in by_tree
    ]


def _turned(shape):
    return (shape[3], shape[1], shape[2], shape[0]) if len(shape) == 4 else shape


def _cast(value, leaf, what):
    """An array as a program takes it: keys as their data, numbers in its dtype where nothing is lost by
    kind."""
    if hasattr(value, "dtype") and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    value, wanted = jnp.asarray(value), trees.dtype_of(leaf)
    fits = len(value.shape) == len(leaf.shape) and all(
        size in (None, there) for size, there in zip(leaf.shape, value.shape, strict=True)
    )
    if not fits or not jnp.can_cast(value.dtype, wanted, "same_kind"):
        there = f"{value.dtype}[{', '.join(map(str, value.shape))}]"
        raise ValueError(f"{what}: {'/'.join(leaf.path) or 'it'} is {there}, {_described([leaf])} is needed")
    return value.astype(wanted)


def _described(leaves):
    """'x float32[any, 28, 28, 1], y int32[any]' of the first leaves."""
    told = []
    for leaf in leaves[:8]:
        sizes = ", ".join("any" if size is None else str(size) for size in leaf.shape)
        told.append(f"{'/'.join(leaf.path)} {leaf.dtype}[{sizes}]".strip())
    return ", ".join(told)
