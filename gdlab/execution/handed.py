"""A recorded loop of somebody's own as probes see a training: its functions, and the parameters it has kept.

Nothing is trained again here, unless the loop handed over its step (`gdlab.execution.stepping`): theta_k is
there where the run keeps it, a step k -> k + 1 where it keeps a moment. What is not there is an error that
says what is, and which line in the loop would hand it over.
"""

import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import store
from gdlab.analysis import handed
from gdlab.data.dataset import Dataset
from gdlab.execution.comparisons import Comparisons, Report
from gdlab.execution.handed_problem import dataset_of, joined, problem_of
from gdlab.execution.identity import differences as changed
from gdlab.execution.identity import identity
from gdlab.execution.replaying import Step
from gdlab.execution.stepping import Stepping
from gdlab.exported import Functions, open_functions
from gdlab.records import Problem, StepInfo
from gdlab.store import kept
from gdlab.training.devices import in_its_precision, precision
from gdlab.training.leaf_names import names_of

VERSION = 2  # `record.version` of what is measured of such runs


class Assembled(NamedTuple):
    """What probes ask for of what a training is made of."""

    problem: Problem
    dataset: Dataset | None
    data: dict | None
    key: Any


class HandedOver:
    """The run of a Recorder, with what its loop handed over. Attributes as of
    `gdlab.execution.replay.Replay`.

    Raises StoreError where the run cannot be read, or carries no functions.
    """

    def __init__(self, path: str | os.PathLike):
        self.run = store.open_run(path)
        self.of = self.run.key
        self.functions: Functions = open_functions(path)
        self.columns = self.run.columns("scalars")
        self.handed = handed.of(self.run)
        self.config = {
            **self.run.config,
            "precision": "float64" if self.functions.x64 else "float32",
            "seed": 0,
        }
        self.version = VERSION
        self._comparisons = Comparisons(self.run)
        self._memo: dict[Hashable, Any] = {}
        self._aux: Any = None

    def in_precision(self) -> AbstractContextManager[None]:
        """JAX in the precision of the run within the block."""
        return precision(self.config["precision"])

    def stale(self) -> bool:
        """Whether the folder holds another run by now, or this one resumed, or with other functions."""
        self.run.refresh()
        self.handed = handed.of(self.run)
        return self.run.key != self.of or self.handed.functions != frozenset(self.functions.names)

    def memo(self, name: Hashable, build: Callable[[], Any]) -> Any:
        """What `build()` returned the first time."""
        if name not in self._memo:
            self._memo[name] = build()
        return self._memo[name]

    def report(self) -> Report:
        """Report of every iteration that was run again; none without `step`."""
        self._comparisons.keep()
        return self._comparisons.report(changed(self.run.identity, identity()) if self.handed.states else [])

    @cached_property
    def assembly(self) -> Assembled:
        """Problem and examples."""
        with self.in_precision():
            last = self._last_aux()
            dataset = dataset_of(self.run, self.functions, self.handed.parts, last)
            data = None
            if dataset is not None:
                data = {name: jnp.asarray(array) for name, array in dataset.train.items()}
            problem = problem_of(self.functions, last, lambda: self._aux)
            return Assembled(problem, dataset, data, jax.random.key(0))

    @in_its_precision
    def params(self, iteration: int) -> Any:
        """theta_k as nested dicts. ValueError where the run does not keep it: names those near it that it
        keeps."""
        leaves = self._kept(iteration)
        if leaves is None and self._stepping is not None and self._stepping.can(iteration):
            self._aux = None
            return self.functions.to_tree(self._stepping.params(iteration))
        if leaves is None:
            raise ValueError(self._missing(iteration))
        return self.functions.to_tree([jnp.asarray(leaf.array) for leaf in leaves])

    @in_its_precision
    def passed(self, iterations: int) -> Any:
        """The parameters after so many recorded iterations, a point of the path, as nested dicts; of a loop
        that leaves iterations out they may lie between two rows."""
        number = self.handed.path[iterations]
        leaves = self._checked(self._read(kept.POINTS, number).get("params"), kept.POINTS, number)
        return self.functions.to_tree([jnp.asarray(leaf.array) for leaf in leaves])

    @in_its_precision
    def steps(
        self, start: int, stop: int, progress: Callable[[float, str], object] = lambda fraction, text: None
    ) -> Iterator[Step]:
        """A Step for each iteration of [start, stop) that is a moment, in order."""
        stop = min(stop, self.run.rows("scalars"))
        if self._stepping is not None and self._stepping.over(start, stop):
            for row, *ends in self._stepping.steps(start, stop, progress):
                before, after = map(self.functions.to_tree, ends)
                updates = jax.tree.map(lambda old, new: new - old, before, after)
                yield Step(row, before, updates, self.info(row))
            return
        for k in self.handed.moments:
            if start <= k < stop:
                progress((k - start) / (stop - start), f"moment {k:,}")
                yield self._moment(k)

    @in_its_precision
    def batch(self, iteration: int) -> dict | None:
        """The batch of an iteration; its entry "aux" is what the loss took besides."""
        if iteration in self.handed.moments:
            trees = self._read(kept.MOMENTS, self.handed.moments[iteration])
            aux = {"aux": self._nested(trees["aux"])} if trees.get("aux") else {}
            if "batch" in trees:
                return {**joined(trees["batch"]), **aux}
        if "make_batch" in self.functions.names:
            leaves = self.functions.make_batch(self.number(iteration))
            return dict(zip(names_of(self._batch_places()).values(), leaves, strict=True))
        raise ValueError(
            f"the batch of iteration {iteration:,} was not handed over: recorder.write(step, ..., "
            f"batch=batch), or "
            "gdlab.Recorder(..., batch=batch_of) with a pure function of the iteration"
        )

    def key(self, iteration: int) -> None:
        """None: what is random in a loss was handed over with its batch, as aux."""
        return

    def number(self, row: int) -> int:
        """The iteration of a row, as the loop counts."""
        return int(self.run.array("iteration", row, row + 1)[0]) if "iteration" in self.run.arrays else row

    # -- private ------------------------------------------------------------------------------------

    @cached_property
    def _stepping(self):
        """What runs the loop again, as far as it has batches; None where its step or its states were not
        handed over."""
        if not (self.handed.states and "step" in self.functions.names):
            return None
        return Stepping(self.run, self.functions, self.handed, self.number, self._comparisons.add)

    def _kept(self, iteration):
        """The leaves of theta_k, and with them what else the functions take then; None where it is not
        kept."""
        there = self.handed
        if iteration in there.points:
            found = self._read(kept.POINTS, there.points[iteration])
            self._aux = self._nested(found["aux"]) if found.get("aux") else None
            return self._checked(found.get("params"), kept.POINTS, iteration)
        for numbers, tree in ((there.moments, "params"), (there.after, "after")):
            if iteration in numbers:
                number = numbers[iteration]
                found = self._read(kept.MOMENTS, number)
                self._aux = self._nested(found["aux"]) if found.get("aux") else None
                return self._checked(found.get(tree), kept.MOMENTS, number)
        return None

    def _checked(self, leaves, kind, number):
        """Leaves that the functions take: as a stranger may have put others there."""
        wanted = self.functions.trees["params"]
        found = [] if leaves is None else [(leaf.array.shape, leaf.array.dtype.name) for leaf in leaves]
        if found != [(leaf.shape, leaf.dtype) for leaf in wanted]:
            where = os.path.join(self.run.path, kind, str(number))
            raise store.DamagedRun("its parameters are not those that the functions of the run take", where)
        return leaves

    def _moment(self, k):
        found = self._read(kept.MOMENTS, self.handed.moments[k])
        before, after = (
            self.functions.to_tree(
                [jnp.asarray(leaf.array) for leaf in self._checked(found.get(name), kept.MOMENTS, k)]
            )
            for name in ("params", "after")
        )
        self._aux = self._nested(found["aux"]) if found.get("aux") else None
        updates = jax.tree.map(lambda old, new: new - old, before, after)
        return Step(k, before, updates, self.info(k))

    def info(self, k: int) -> StepInfo:
        """What was recorded of iteration k."""
        row = dict(zip(self.columns, self.run.array("scalars", k, k + 1)[0].tolist(), strict=True))
        fields = {name: row.get(name, np.nan) for name in StepInfo._fields}
        return StepInfo(**{**fields, "line_search": None})

    def _missing(self, iteration):
        known = self.handed.known.tolist()
        if not known:
            return (
                f"the parameters of iteration {iteration:,} were not handed over: recorder.write(step, ..., "
                "params=params)"
            )
        near = ", ".join(f"{k:,}" for k in kept.nearest(known, iteration))
        more = "gdlab.Recorder(..., step=train_step, batch=batch_of) lets any iteration between be run again"
        if self.handed.steps:
            more = "Iterations were left out of the record before it, so it cannot be run again"
        return (
            f"iteration={iteration:,}: its parameters were not kept; those near it that were: {near}. {more}"
        )

    def _last_aux(self):
        """What the functions take besides parameters, as it was handed over last; None where they take
        nothing."""
        if "aux" not in self.functions.trees:
            return None
        for kind, numbers in ((kept.POINTS, self.handed.path), (kept.MOMENTS, self.handed.moments)):
            for number in sorted(numbers.values(), reverse=True):
                found = self._read(kind, number)
                if found.get("aux"):
                    return self._nested(found["aux"])
        return None

    def _read(self, kind, number):
        """The trees of a file; ValueError where a running loop has given it up meanwhile."""
        try:
            takes = self.functions.trees.get("params", ())
            return kept.read(self.run.path, kind, number, {"params": takes, "after": takes}).trees
        except FileNotFoundError:
            raise ValueError(f"{kind}/{number} is kept no longer: the run goes on; ask again") from None

    def _nested(self, leaves):
        return self.functions.to_tree([jnp.asarray(leaf.array) for leaf in leaves], "aux")

    def _batch_places(self):
        return [leaf.path for leaf in self.functions.trees["batch"]]
