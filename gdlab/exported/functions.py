"""The functions that a run carries, as functions again: a Problem for probes, a step, batches."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.exported import checking, trees
from gdlab.exported.derivatives import loss_of, one_after_the_other, outputs_of
from gdlab.exported.exporting import GRID, here, role
from gdlab.exported.signature import cast, described, signature, turned_leaves
from gdlab.models.images_last import is_images_last
from gdlab.records import Problem
from gdlab.store import NoFunctions, Refused
from gdlab.store import functions as files
from gdlab.store.functions import Leaf
from gdlab.training.leaf_names import names_of

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
        program = self.program(name)
        if not self.has(name, "pull"):
            return one_after_the_other(program)(*leaves)
        moves = [trees.moves(leaf) for tree in self._function(name).takes for leaf in self.trees[tree]]
        return outputs_of(program, self.program(name, "pull"), moves)(*leaves)

    def problem(self, aux: Any = None) -> Problem:
        """The Problem of the run's loss, predict and activations.

        Parameters are nested dicts as `params`; a batch is a dict of arrays (`trees["batch"]` has the
        places, `gdlab.training.leaf_names` its names). aux: what the functions need besides, as nested
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
            wanted = [tuple(one.shape) for one in signature(carried, self.trees, exact)[0]]

        def program(*leaves):
            kind = exact if wanted is not None and _fits(leaves, wanted) else part
            if kind not in opened:
                opened[kind] = self._opened(carried, kind)
            return opened[kind](*leaves)

        return program

    def _opened(self, carried, part):
        program = carried.programs[part]
        where = os.path.join(self.path, files.FOLDER, program.file)
        data = files.load(self.path, program)
        takes, gives = signature(carried, self.trees, part)
        try:
            return checking.opened(data, takes, gives, where).call
        except Refused as error:
            if not error.args[0].startswith("no "):
                raise
            raise Refused(f"{error.args[0]}; {self._written()}", where) from error

    def _loss(self, name, aux, params, batch, *, key=None, statistics=None):
        """As `Problem.loss`."""
        name = self._variant(name, key, statistics)
        kind = "images_last" if is_images_last() and self.has(name, "images_last") else "value"
        first, *others = self._values(name, aux, {"params": params, "batch": batch, "key": key}, kind)
        if (name, kind) not in self._losses:
            self._losses[name, kind] = self._made(name, kind)
        return self._losses[name, kind](first, [leaf for part in others for leaf in part])

    def _made(self, name, kind):
        """The loss of its programs; in the other layout, which is for values alone, without derivatives."""
        more = ("gradient", "curvature", "grid") if kind == "value" else ()
        parts = {part: self.program(name, part) for part in more if self.has(name, part)}
        parts["value"] = self.program(name, kind)
        leaves = self.trees[self._function(name).takes[0]]
        return loss_of(parts, [trees.moves(leaf) for leaf in leaves], GRID, self._without(f"{name}: its"))

    def _outputs(self, name, aux, params, x, statistics=None, **options):
        """As `Problem.predict` and `Problem.activations`."""
        name = self._variant(name, None, statistics)
        given = {"params": params, "x": x, "statistics": statistics}
        values = self._values(name, aux, given)
        found = self.call(name, *(leaf for part in values for leaf in part))
        leaves = self.trees[self._function(name).gives]
        if name.startswith("activations"):
            return dict(zip(names_of(leaf.path for leaf in leaves).values(), found, strict=True))
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

    def _values(self, name, aux, given, kind="value"):
        """[leaves] of each tree that a program of a function takes."""
        batch = given.get("batch")
        if isinstance(batch, dict) and "aux" in batch:
            aux, given = batch["aux"], {**given, "batch": {n: a for n, a in batch.items() if n != "aux"}}
        found = []
        for tree in self._function(name).takes:
            leaves, what = self.trees[tree], role(tree)
            if kind == "images_last" and what == "batch":
                leaves = turned_leaves(leaves)
            value = aux if what == "aux" else given.get(what)
            if value is None and leaves:
                raise ValueError(f"{name} needs {what}: {described(leaves)}")
            values = trees.to_leaves(value, leaves, what) if leaves else []
            found.append(
                [cast(one, leaf, f"{name}: {what}") for one, leaf in zip(values, leaves, strict=True)]
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


def _fits(leaves, shapes):
    """Whether arrays have these shapes; None: any length."""
    return all(
        len(leaf.shape) == len(shape)
        and all(wanted in (None, size) for size, wanted in zip(leaf.shape, shape, strict=True))
        for leaf, shape in zip(leaves, shapes, strict=True)
    )
