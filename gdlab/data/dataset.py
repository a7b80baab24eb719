"""A dataset is arrays that share their first axis, and the names of the classes."""

from typing import NamedTuple

import numpy as np


class Dataset(NamedTuple):
    """Examples, labelled or not.

    train    {"x": float [n, ...], "y": int32 [n]}; images are [n, height, width, channels]. Where nothing is
             classified, arrays [n, ...] by any names and of any kind, as the problem reads them
    test     the same for examples that training never sees, or None
    classes  the classes' names; y holds positions in it. () where there are none
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


def held_out(dataset: Dataset, share: float) -> Dataset:
    """The dataset with a share of its training examples in place of its test set, which nobody sees then.

    Of each class the same share, where there are classes; the same examples in every run. Raises ValueError
    where one of the two parts would be empty.
    """
    rng, count = np.random.default_rng(0), len(next(iter(dataset.train.values())))
    y = labels_of(dataset)
    mask = stratified(np.zeros(count, np.int32) if y is None else y, share, rng)
    if mask.all() or not mask.any():
        raise ValueError(f"of {count} training examples {int(mask.sum())} would be held out")
    parts = ({name: array[rows] for name, array in dataset.train.items()} for rows in (~mask, mask))
    train, rest = parts
    return dataset._replace(train=train, test=rest)


def labels_of(dataset: Dataset) -> np.ndarray | None:
    """The labels of the training examples, whole numbers [n]; None where y is anything else."""
    y = np.asarray(dataset.train.get("y", 0.0))
    return y if y.ndim == 1 and y.dtype.kind in "iu" else None


def stratified(y: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """A mask over the labels y that marks `fraction` of each class, rounded, at random."""
    mask = np.zeros(y.size, bool)
    for c in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == c))
        mask[members[: round(fraction * members.size)]] = True
    return mask
