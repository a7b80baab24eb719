"""What a loop hands over of its parameters, on its way into the run folder."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from gdlab import store
from gdlab.recorder.copies import on_host
from gdlab.recorder.handover import Handover
from gdlab.recorder.keeping import Keeper, Measure, Series
from gdlab.recorder.observation import Observation
from gdlab.store import kept
from gdlab.store.functions import OBSERVED

EXAMPLES = 32  # of which `predict` and `activations` are written
if TYPE_CHECKING:
    from gdlab.recorder.measuring import Measuring

_NUMBERS = (bool, int, float, complex, np.number)


class Parameters:
    """Of one Recorder. handover: what was given once; keeper: decides what is kept; facts: what is known of
    the
    run by now that its identity should say, until it is `told`."""

    def __init__(self, handover: Handover):
        self.handover = handover
        self.keeper = Keeper(
            handover.budget - self._of_examples(),
            moments=handover.moments,
            states="step" in handover.functions,
            every=handover.every,
        )
        self.facts: dict[str, Any] = {}
        self._notes: list[str] = []
        self._written = False
        self._first: dict[str, Any] = {}
        self._form: dict[str, Any] = {}

    def begin(self, path: str, last: int) -> None:
        """The run in `path` is begun; what an earlier session kept counts, what another left is removed.

        What cannot be told or removed is said, and then nothing more is kept of parameters.
        """
        self.path, self.keeper.last = path, last
        try:
            self._take_over(path, last)
        except (store.StoreError, OSError) as error:
            self.keeper.active = False
            self._notes.append(f"nothing is kept of parameters: {error!s:.500}")

    def _take_over(self, path, last):
        for kind in (kept.POINTS, kept.MOMENTS, kept.STATES):
            # A process that was killed may have kept parameters of iterations that it had not committed.
            end = last if kind == kept.MOMENTS else last + 1
            belongs = last >= 0 and kind in self.keeper.series and self.keeper.active
            there = [number for number in kept.names(path, kind) if belongs and number <= end]
            for number in set(kept.names(path, kind)) - set(there):
                kept.remove(path, kind, number)
            if kind in self.keeper.series:
                self.keeper.series[kind] = Series(kind, there)

    @property
    def used(self) -> bool:
        """Whether there is anything that an iteration which goes back would cut."""
        return self._written or any(series.kept for series in self.keeper.series.values())

    def notes(self) -> list[str]:
        """What there is to say that was not yet asked for."""
        found = self._notes + self.keeper.notes
        self._notes, self.keeper.notes = [], []
        return found

    def start(self, step: int, handed: dict[str, Any]) -> list:
        """What is to be done with the parameters before iteration `step`."""
        return self.keeper.start(step, handed["params"], handed["aux"], handed["state"])

    def look(self, step: int, count: int, handed: dict[str, Any], layout: Any = None) -> list:
        """What is to be done after `count` iterations from `step` on, with what is handed over then; layout:
        of
        the Observation of these iterations."""
        if handed["params"] is None and handed["state"] is None:
            return self.keeper.look(step, count, None)
        if not self._written:
            self._written = True
            self._write_once(handed)
        self._watch_form(count, handed, layout)
        return self.keeper.look(step, count, **handed)

    def finish(self) -> list:
        """What is to be done when nothing more comes."""
        try:
            return self.keeper.finish()
        except Exception as error:  # the run ends well all the same
            self._notes.append(f"the end of the path is not kept: {error!s:.500}")
            return []

    def measuring(self, measure: Measure) -> "Measuring":
        """Takes dumps such as this one, the first; ValueError where there can be none."""
        from gdlab.recorder.measuring import Measuring  # who takes no dumps needs none of it

        aux = measure.trees.get("aux")
        examples, classes = self.handover.examples, self.handover.classes
        return Measuring(self.handover.functions, examples, classes, measure.trees["params"], aux)

    def _write_once(self, handed):
        """The functions and the examples, and what the run's identity says of them."""
        given = self.handover
        self._notes += given.write_examples(self.path)
        facts: dict[str, Any] = {
            "parameters": sum(np.size(leaf) for leaf in jax.tree.leaves(handed["params"]))
        }
        if given.classes:
            facts["classes"] = list(given.classes)
        if given.examples:
            facts["examples"] = len(next(iter(next(iter(given.examples.values())).values())))
        self.facts = {**self.facts, **facts}
        if given.functions:
            self._notes += self._write_functions(handed)

    def _write_functions(self, handed):
        from gdlab.exported import write_functions

        given = dict(self.handover.functions)
        if "step" in given:
            given["step"] = observed(given["step"])
        arrays = next(iter(self.handover.examples.values()), {})
        batch, make = handed["batch"], self.handover.batch
        if batch is None and make is not None:
            batch = make(0)
        x = arrays.get("x")
        if x is None and isinstance(batch, dict):
            x = batch.get("x")
        if batch is None and arrays:
            batch = dict(arrays)
        if x is not None:  # where a function takes so many examples alone, not too many
            x = x[:EXAMPLES]
        examples = {name: handed[name] for name in ("params", "aux", "state")}
        return write_functions(self.path, **examples, batch=batch, x=x, **given, make_batch=make)

    def _watch_form(self, count, handed, layout):
        """In which form the loop runs its step: how many iterations a call, and whether it donates its
        state."""
        if "step" not in self.handover.functions or handed["state"] is None:
            return
        leaf = next((x for x in jax.tree.leaves(handed["state"]) if isinstance(x, jax.Array)), None)
        before = self._first.get("leaf")
        donated = bool(before is not None and before is not leaf and before.is_deleted())
        self._first["leaf"] = leaf
        donated = self._form.get("donated", False) or donated
        scan = max(count, self._form.get("scan", 1))  # the last one may be shorter
        if (scan, donated, layout) == self._first.get("form"):
            return
        self._first["form"] = scan, donated, layout
        self._form = {**self._form, "scan": scan, "donated": donated}
        if layout is not None:
            self._form |= {"numbers": list(layout.numbers), "quantities": list(layout.quantities)}
            self._form["layers"] = len(layout.layers)
        self.facts = {**self.facts, "form": self._form}

    def _of_examples(self):
        """Bytes that the examples take of the budget."""
        every = [array for part in self.handover.examples.values() for array in part.values()]
        return min(self.handover.budget // 4, sum(array.nbytes for array in every))


def observed(step: Callable) -> Callable:
    """The step, whose Observation has a place of its own in what it gives: ("seen", OBSERVED), wherever the
    loop has it, be it in its state."""

    def stepped(state, batch):
        after, seen = step(state, batch)
        nodes = jax.tree.leaves((seen, after), is_leaf=_is_observation)
        found = next((node.values for node in nodes if _is_observation(node)), None)
        return after, {"others": seen, **({} if found is None else {OBSERVED: found})}

    return stepped


def _is_observation(node):
    return isinstance(node, Observation)


def checked(handed: dict[str, Any], functions: bool) -> None:
    """ValueError where a metric goes by the name of something else. functions: whether any were handed
    over."""
    for name, value in handed.items():
        if value is None or (name == "aux" and functions):
            continue
        scalar = isinstance(value, jax.Array) and value.ndim == 0 and name != "params" and not functions
        if isinstance(value, _NUMBERS) or scalar:
            raise ValueError(
                f"{name}={on_host(value)!s:.40} is a number: by this name the recorder is handed "
                f"{_MEANING[name]}; call the metric otherwise, or give it in a mapping: write(step, "
                f"{{'{name}': ...}})"
            )


_MEANING = {
    "params": "the parameters after the step",
    "batch": "the batch of the iteration",
    "aux": "what the loss takes besides parameters and batch",
    "state": "the whole state of the training after the step",
}
