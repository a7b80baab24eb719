"""A dataset is arrays that share their first axis, and the names of the classes."""

from typing import NamedTuple

import numpy as np


class Dataset(NamedTuple):
    """Labelled examples.

    train    {"x": float [n, ...], "y": int32 [n]}; images are [n, height, width, channels]
    test     the same for examples that training never sees, or None
    classes  the classes' names; y holds positions in it
    source   digest of the files that they were read from; None where there are none
    notes    sentences to be told before training: what was left out, what was read with difficulty
    """

    name: str
    train: dict[str, np.ndarray]
    test: dict[str, np.ndarray] | None
    classes: tuple[str, ...]
    source: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)


def whole_number(name: str, value, least: int) -> int:
    """Returns `value` where it is a whole number of at least `least`; else raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} = {value!r} is not allowed; it must be a whole number of at least {least}")
    return int(value)


def stratified(y: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """A mask over the labels y that marks `fraction` of each class, rounded, at random."""
    mask = np.zeros(y.size, bool)
    for c in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == c))
        mask[members[: round(fraction * members.size)]] = True
    return mask
