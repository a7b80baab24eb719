"""The problem and the examples of a recorded loop's run, as probes know them, from what the run carries."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.data.dataset import Dataset
from gdlab.exported import Functions
from gdlab.records import Problem
from gdlab.store import DamagedRun, kept
from gdlab.training.leaf_names import names_of


def problem_of(functions: Functions, last: Any, current: Callable[[], Any]) -> Problem:
    """The Problem of a run's functions.

    last: what they take besides parameters, as it was handed over last, nested dicts or None; current(): the
    same as it was with the parameters that were asked for last, None where there are none.
    """
    names = functions.names
    problem = functions.problem(last)
    loss = problem.loss
    takes = len(functions.trees.get("batch", ())) > 0

    def checked(params, batch, *, key=None, **more):
        if batch is None and takes:
            raise ValueError(
                "the loss needs examples, which were not handed over: gdlab.Recorder(..., examples={'train': "
                "{'x': x, 'y': y}})"
            )
        return loss(params, batch, key=key, **more)

    told = {name: _with_aux(functions, name, last) for name in ("predict", "activations") if name in names}
    statistics = None if last is None else Statistics(last, current)
    return problem._replace(loss=checked, statistics=statistics, **told)


def dataset_of(run: Any, functions: Functions, parts: tuple[str, ...], last: Any) -> Dataset | None:
    """The examples that were handed over, None where none were; parts: which there are."""
    found = {}
    names: tuple[str, ...] = ()
    for part in parts:
        there = kept.read(run.path, kept.EXAMPLES, part)
        found[part] = joined(there.trees.get("examples", []))
        _check_examples(found[part], run.path / kept.EXAMPLES / part)
        told = there.facts.get("classes", ())
        names = tuple(map(str, told)) if isinstance(told, list) else ()
    if not found or not all(found.values()):
        return None
    train = found["train"] if "train" in found else found["test"]
    return Dataset(run.name, train, found.get("test"), names or _classes(functions, train, last))


def _check_examples(arrays, where):
    """DamagedRun where they are not of as many examples each."""
    if () in (lengths := {array.shape[:1] for array in arrays.values()}) or len(lengths) > 1:
        told = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise DamagedRun(f"arrays of as many examples each are expected; it has {told:.200}", where)


def joined(leaves: list[kept.Leaf]) -> dict[str, np.ndarray]:
    """{"inputs/x": array} of the leaves of a batch or of examples; "x" for one that is a bare array.
    No two have one name, as of `gdlab.training.leaf_names`."""
    names = names_of(leaf.place for leaf in leaves)
    return {names[leaf.place] if leaf.place else "x": leaf.array for leaf in leaves}


class Statistics:
    """What `predict` takes besides parameters and examples: not measured on examples, but handed over with
    the parameters that were asked for last."""

    def __init__(self, last: Any, current: Callable[[], Any]):
        self._last, self._current = last, current

    def __call__(self, params, given):
        """`given`, which is what `examples` gives."""
        return given

    def examples(self) -> Any:
        """What stands in the place of examples that statistics are measured on."""
        found = self._current()
        return self._last if found is None else found


def _with_aux(functions, name, last):
    """A function of (params, x, statistics), where these are what was handed over as aux."""
    leaf = next(iter(functions.trees.get("x", ())), None)

    def given(params, x, statistics=None):
        problem = functions.problem(last if statistics is None else statistics)
        call = partial(getattr(problem, name), params)
        x = x if leaf is None else jnp.asarray(x).astype(leaf.dtype)
        size = None if leaf is None else leaf.shape[0]
        return call(x) if size in (None, x.shape[0]) else _in_blocks(call, x, size)

    return given


def _in_blocks(call, x, size):
    """call(x) [B, ...] of a function that takes `size` examples, no more and no less."""
    count = -(-x.shape[0] // size)
    padded = jnp.concatenate([x, jnp.repeat(x[-1:], count * size - x.shape[0], axis=0)])
    found = jax.lax.map(call, padded.reshape(count, size, *x.shape[1:]))
    return jax.tree.map(lambda one: one.reshape(count * size, *one.shape[2:])[: x.shape[0]], found)


def _classes(functions, train, last):
    """As many names as `predict` gives numbers."""
    if "predict" not in functions.names or not {"x", "y"} <= train.keys():
        return ()
    predict = _with_aux(functions, "predict", last)
    answer = jax.eval_shape(predict, functions.params, jnp.asarray(train["x"][:1]))
    wide = tuple[int, ...](getattr(answer, "shape", ()))
    return tuple(map(str, range(wide[1]))) if len(wide) == 2 else ()
