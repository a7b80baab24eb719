"""What a loop hands over once, when its Recorder is made: functions, examples, and how much may be kept."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gdlab.messages import counted
from gdlab.recorder.units import in_bytes, said
from gdlab.store import kept

BUDGET = "2 GB"
FUNCTIONS = ("loss", "predict", "activations", "step")
_PARTS = ("train", "test")
_SHARE = 4  # of the budget, one part is for the examples


class Handover(NamedTuple):
    """functions: {"loss", "predict", "activations", "step": callables}, those that were given; batch: a
    function
    of the iteration, or None; examples: {"train", "test": {name: array}}; classes: their names, or None;
    budget: bytes; moments: how many, which, or None; every: iterations between dumps, or None."""

    functions: dict[str, Callable]
    batch: Callable | None
    examples: dict[str, dict[str, np.ndarray]]
    classes: tuple[str, ...] | None
    budget: int
    moments: int | tuple[int, ...] | None
    every: int | None

    @property
    def labelled(self) -> bool:
        """Whether there are labelled test examples, which dumps are taken of."""
        return {"x", "y"} <= self.examples.get("test", {}).keys()

    def write_examples(self, path: str) -> list[str]:
        """The examples, as many as a quarter of the budget holds, into the run in `path`; what was left
        out."""
        notes = []
        room = self.budget // _SHARE // max(len(self.examples), 1)
        for part, arrays in self.examples.items():
            count = len(next(iter(arrays.values())))
            each = max(1, sum(array.nbytes for array in arrays.values()) // count)
            fitting = min(count, room // each)
            if fitting < count:
                notes.append(
                    f"of {counted(count, 'example')} of {part!r} the first {fitting:,} are kept: a quarter "
                    f"of the budget of {said(self.budget)} holds no more"
                )
            if fitting:
                leaves = [kept.Leaf((name,), array[:fitting]) for name, array in arrays.items()]
                facts = {"classes": list(self.classes)} if self.classes else {}
                kept.write(path, kept.EXAMPLES, part, {"examples": leaves}, facts)
        return notes


def handover(
    *,
    loss: Any = None,
    predict: Any = None,
    activations: Any = None,
    step: Any = None,
    batch: Any = None,
    examples: Any = None,
    classes: Any = None,
    budget: Any = BUDGET,
    moments: Any = None,
    every: Any = None,
) -> Handover:
    """What was given, checked. ValueError names what is wrong and what would be right."""
    functions = {}
    for name, function in zip(FUNCTIONS, (loss, predict, activations, step), strict=True):
        if function is not None:
            functions[name] = _callable(name, function)
    if batch is not None:
        _callable("batch", batch)
    found = _examples(examples)
    if classes is not None:
        classes = tuple(map(str, classes))
        if len(classes) < 2 or len(set(classes)) < len(classes):
            raise ValueError(f"classes={classes!r:.80}: two or more different names are expected")
    if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
        raise ValueError(
            f"every={every!r:.80}: iterations between two dumps, a whole number above 0, are expected"
        )
    made = Handover(
        functions, batch, found, classes, in_bytes(0 if budget is None else budget), _moments(moments), every
    )
    if every is not None and not (made.labelled and "predict" in functions):
        raise ValueError(
            'every= takes dumps, which need predict= and examples={"test": {"x": ..., "y": ...}}'
        )
    return made


def _callable(name, function):
    if not callable(function):
        raise ValueError(f"{name}={function!r:.80}: a function is expected")
    if inspect.iscoroutinefunction(function):
        raise ValueError(f"{name}: a plain function is expected, this one is asynchronous")
    return function


def _moments(moments):
    """None, a number, or the iterations."""
    if moments is None:
        return None
    if isinstance(moments, int) and not isinstance(moments, bool) and moments >= 0:
        return moments
    if isinstance(moments, (Sequence, set, frozenset, range, np.ndarray)) and not isinstance(moments, str):
        numbers = [int(number) for number in moments]
        if all(number >= 0 for number in numbers):
            return tuple(sorted(set(numbers)))
    raise ValueError(f"moments={moments!r:.80}: how many, or a list of iterations, is expected")


def _examples(examples):
    if examples is None:
        return {}
    if not isinstance(examples, Mapping) or not examples or not set(examples) <= set(_PARTS):
        raise ValueError(
            'examples: {"train": {"x": ..., "y": ...}, "test": {...}} is expected, one of the two at least'
        )
    return {part: _arrays(part, tree) for part, tree in examples.items() if tree is not None}


def _arrays(part, tree):
    """{name: array [n, ...]} of a pytree of arrays with a common first axis."""
    from gdlab.recorder.copies import flattened, on_host
    from gdlab.training.leaf_names import names_of

    leaves, form = flattened(tree)
    names = names_of(form.places)
    names = [names[place] if place else "x" for place in form.places]
    arrays = {name: on_host(leaf) for name, leaf in zip(names, leaves, strict=True)}
    lengths = {len(array) if array.ndim else 0 for array in arrays.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"examples[{part!r}]: arrays with one common first axis are expected, found lengths "
            f"{sorted(lengths)}"
        )
    return arrays
