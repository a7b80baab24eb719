"""What a loop hands to `Recorder.write`, taken apart: which numbers, and whether they are computed yet."""

import operator
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from gdlab.recorder.observation import Observation
from gdlab.recorder.rows import Handed

_PLAIN = (float, int, np.ndarray, type(None))  # the question whether something is JAX's takes 2 us
MOST_STEPS = 1 << 53  # beyond it a float no longer counts by one


class Written(NamedTuple):
    """One call of `write`, with numbers that may still be computed."""

    step: Any
    seconds: float
    layout: tuple | None = None
    values: Any = None
    metrics: Mapping[str, Any] = MappingProxyType({})
    commands: tuple = ()  # what is to be done with the parameters of the iteration
    moved: bool = False  # whether the parameters were handed over


def _is_observation(node):
    return isinstance(node, Observation)


def holds_observation(tree: Any) -> bool:
    """Whether there is an Observation anywhere in a pytree."""
    return any(map(_is_observation, jax.tree.leaves(tree, is_leaf=_is_observation)))


def found_in(seen: Any) -> tuple:
    """(layout, values) of the Observation in `seen`, (None, None) where it is None or empty.

    What lies in a larger state may be donated to the next step, and its buffer gone by then: it is copied.
    """
    if seen is None:
        return None, None
    if isinstance(seen, Observation):
        return (None, None) if seen.values is None else (seen.layout, seen.values)
    for node in jax.tree.leaves(seen, is_leaf=_is_observation):
        if _is_observation(node):
            values = node.values
            if values is None:
                return None, None
            values = values if hasattr(values, "is_ready") else jax.tree.leaves(values)[0]
            return node.layout, jax.numpy.array(values, copy=True)
    raise ValueError(
        f"there is no Observation in the {type(seen).__name__} that was given: return the one of "
        "gdlab.observe(...) from the step, or make the optimizer by gdlab.watch(...)"
    )


def kept(value: Any) -> Any:
    """A number that can be kept until it is computed: an array of its own, as the loop may donate this."""
    if type(value) in _PLAIN or not isinstance(value, jax.Array):
        return value
    if value.is_deleted():  # whoever reads it says so
        return value
    return _on_host(value) if value.is_ready() else jax.numpy.array(value, copy=True)


def is_ready(written: Written) -> bool:
    """Whether all of its numbers are computed, or can be no more."""
    arrays = (written.step, written.values, *written.metrics.values())
    try:
        return all(
            array.is_deleted() or array.is_ready()  # of a deleted one the question ends the process
            for array in arrays
            if type(array) not in _PLAIN and isinstance(array, jax.Array)
        )
    except RuntimeError:  # deleted: whoever reads it says so
        return True


def handed(written: Written) -> tuple[Handed | None, list[ValueError]]:
    """A `Handed` of NumPy arrays, None where there is nothing to record, and what is wrong with the metrics
    that are left out. ValueError: the iteration or the Observation is not what is expected."""
    step = number_of(written.step)
    values: Any = None
    count, scanned = 1, False
    if written.values is not None:
        values = _on_host(written.values)
        scanned = values.ndim == 2
        if values.ndim not in (1, 2):
            raise ValueError(f"an Observation of shape {values.shape}: [S], or [T, S] of a scan, is expected")
        values = np.atleast_2d(values)
        count = len(values)
    metrics: dict[str, Any] = {}
    wrong: list[ValueError] = []
    for name, value in written.metrics.items() if count else ():
        try:
            metrics[name] = _fitting(name, value, count, scanned)
        except ValueError as error:
            wrong.append(error)
    if count == 0 or (values is None and not metrics):
        return None, wrong
    return Handed(step, written.seconds, written.layout, values, metrics, count, written.moved), wrong


def number_of(step: Any) -> int:
    """The iteration as a number; one that is on the device is waited for. ValueError where it is none."""
    if type(step) is not int:
        step = operator.index(np.asarray(step).item() if hasattr(step, "item") else step)
    if not 0 <= step < MOST_STEPS:
        raise ValueError(f"step={step:.6g}: iterations count from 0 to {MOST_STEPS:,}")
    return step


def iterations_of(values: Any) -> int:
    """Of how many iterations the values of an Observation are, which are not waited for."""
    return int(values.shape[0]) if getattr(values, "ndim", 1) == 2 else 1


def _fitting(name, value, count, scanned):
    """A number, or one of each iteration of a scan."""
    found = _numbers(name, value)
    if type(found) is float:
        return found
    if count == 1 and np.size(found) == 1:
        return float(np.squeeze(found))
    if np.shape(found) == () or (scanned and np.shape(found) == (count,)):
        return found
    more = f", or {count}, one of each iteration" if scanned else ""
    raise ValueError(f"{name} has shape {np.shape(found)}: one number is expected{more}")


def _on_host(array):
    if isinstance(array, jax.Array) and not array.is_fully_addressable and array.is_fully_replicated:
        array = array.addressable_data(0)
    return np.asarray(array)


def _numbers(name, value):
    """A number, or an array of numbers, as float64; the commonest kinds first."""
    if not isinstance(name, str):
        raise ValueError(f"{name!r:.80}: the name of a metric is a text")
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise ValueError(
                f"{name}: an integer of {value.bit_length()} bits is no number to draw"
            ) from None
    found = _on_host(value)
    if found.dtype.kind not in "bfiu" and found.dtype.name != "bfloat16":
        raise ValueError(f"{name}={value!r:.80}: a number is expected")
    return found.astype(float)
