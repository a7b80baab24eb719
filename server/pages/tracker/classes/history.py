"""One image through the training: what it was taken for at every dump; and the images that flip at a dump."""

from typing import NamedTuple

import numpy as np

from gdlab.analysis import class_curves

MOST_LABELS = 10  # that have a row of their own; the others share one


class History(NamedTuple):
    """Labels of an image over the dumps. labels: the true one, then by how often; -1 stands for all others.
    place int [D]: which of them at each dump; first_right: dump or -1; flips; share_right in [0, 1]."""

    true: int
    labels: tuple[int, ...]
    place: np.ndarray
    first_right: int
    flips: int
    share_right: float


def history(predicted, true: int) -> History:
    """The History of an image from its predicted labels [D]."""
    predicted = np.asarray(predicted).astype(int)
    values, count = np.unique(predicted, return_counts=True)
    order = values[np.argsort(-count, kind="stable")]
    labels = [true, *[int(value) for value in order if value != true]]
    if len(labels) > MOST_LABELS:
        labels = [*labels[: MOST_LABELS - 1], -1]
    place = np.full(len(predicted), len(labels) - 1)
    for at, label in enumerate(labels):
        place[predicted == label] = at
    row = class_curves.images(predicted[:, None] == true).columns
    numbers = int(row["first_right"][0]), int(row["flips"][0]), float(row["share_right"][0])
    return History(true, tuple(labels), place, *numbers)


def flipped(flips, starts, dump: int, classes, window: int, rules) -> np.ndarray:
    """Images of the classes (of all for none) that show one of the rules' patterns at a dump, int [n].

    flips: gdlab.analysis.anomalies.Flips; starts [C + 1]: where the images of each class begin.
    """
    first, last = np.searchsorted(flips.dump, [dump, dump + 1])
    image = flips.image[first:last]
    stretch = {"left": flips.before[first:last], "right": flips.after[first:last]}
    shows = np.any([stretch[rule] >= window for rule in rules], axis=0) if len(image) else np.zeros(0, bool)
    if len(classes):
        of_class = np.searchsorted(starts, image, side="right") - 1
        shows &= np.isin(of_class, list(classes))
    return image[shows]
