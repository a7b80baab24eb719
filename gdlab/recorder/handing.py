"""What a loop hands to `Recorder.write`, taken apart: which numbers, and whether they are computed yet."""

import operator
from typing import Any, NamedTuple

import jax
import numpy as np

from gdlab.recorder.observation import Observation
from gdlab.recorder.rows import Handed


class Written(NamedTuple):
    """One call of `write`, with numbers that may still be computed."""

    step: Any
    seconds: float
    layout: tuple | None
    values: Any
    metrics: dict[str, Any]


def _is_observation(node):
    return isinstance(node, Observation)


def holds_observation(tree: Any) -> bool:
    """Whether there is an Observation anywhere in a pytree."""
    return any(map(_is_observation, jax.tree.leaves(tree, is_leaf=_is_observation)))


def found_in(seen: Any) -> tuple:
    """(layout, values) of the Observation in `seen`, (None, None) where it is None.

    What lies in a larger state may be donated to the next step, and its buffer gone by then: it is copied.
    """
    if seen is None:
        return None, None
    if isinstance(seen, Observation):
        return seen.layout, seen.values
    for node in jax.tree.leaves(seen, is_leaf=_is_observation):
        if _is_observation(node):
            values = node.values
            values = values if hasattr(values, "is_ready") else jax.tree.leaves(values)[0]
            return node.layout, jax.numpy.array(values, copy=True)
    raise ValueError(
        f"there is no Observation in the {type(seen).__name__} that was given: return the one of "
        "gdlab.observe(...) from the step, or make the optimizer by gdlab.watch(...)"
    )


def arrays_of(written: Written) -> list[jax.Array]:
    """Those of its numbers that may still be computed."""
    return [x for x in (written.step, written.values, *written.metrics.values()) if isinstance(x, jax.Array)]


def handed(written: Written) -> Handed:
    """A `Handed` of NumPy arrays; ValueError says what has a shape or kind that is not expected."""
    step = operator.index(np.asarray(written.step).item() if hasattr(written.step, "item") else written.step)
    if step < 0:
        raise ValueError(f"step={step}: iterations count from 0")
    values, count, scanned = None, 1, False
    if written.values is not None:
        values = _on_host(written.values)
        scanned = values.ndim == 2
        if values.ndim not in (1, 2):
            raise ValueError(f"an Observation of shape {values.shape}: [S], or [T, S] of a scan, is expected")
        values = np.atleast_2d(values)
        count = len(values)
    metrics = {name: _numbers(name, value) for name, value in written.metrics.items()}
    for name, value in metrics.items():
        if type(value) is not float and value.shape != () and not (scanned and value.shape == (count,)):
            raise ValueError(
                f"{name} has shape {value.shape}: one number is expected"
                + (f", or {count}, one of each iteration" if scanned else "")
            )
    return Handed(step, written.seconds, written.layout, values, metrics, count)


def _on_host(array):
    if isinstance(array, jax.Array) and not array.is_fully_addressable and array.is_fully_replicated:
        array = array.addressable_data(0)
    return np.asarray(array)


def _numbers(name, value):
    """A number, or an array of numbers, as float64; the commonest kinds first."""
    if type(value) is float or type(value) is int:
        return float(value)
    found = _on_host(value)
    if found.dtype.kind not in "bfiu" and found.dtype.name != "bfloat16":
        raise ValueError(f"{name}={value!r:.80}: a number is expected")
    return found.astype(float)
