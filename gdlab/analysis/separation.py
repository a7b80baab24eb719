"""How well numbers tell classes apart: the best thresholds between them.

A map to one dimension is useful where cutting the line at a few places recovers the classes
(Becker et al. 2019, Figure 5). The best places are found exactly: of all cuts between neighbouring
codes and all orders of the classes, none is better.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np


class Separation(NamedTuple):
    """accuracy in [0, 1]; thresholds [C - 1], rising (-inf, inf: the class gets no codes); order [C]
    labels from the lowest interval to the highest. A code equal to a threshold lies above it."""

    accuracy: float
    thresholds: np.ndarray
    order: np.ndarray


def best_thresholds(codes, labels) -> Separation:
    """The cuts of the line into as many intervals as there are classes that recover most labels.

    codes [n] or [n, 1], labels [n]. Codes that are not finite count as wrong. Raises ValueError where
    the shapes do not fit or where there are more than 7 classes (all orders are tried).
    """
    codes, labels = np.asarray(codes, np.float64).reshape(-1), np.asarray(labels)
    if codes.shape != labels.shape or codes.size == 0:
        raise ValueError(f"codes {codes.shape} and labels {labels.shape} must be equally many, and not none")
    classes = np.unique(labels)
    if classes.size > 7:
        raise ValueError(f"{classes.size} classes have too many orders to try; at most 7 are allowed")
    finite = np.isfinite(codes)
    values, position = np.unique(codes[finite], return_inverse=True)
    # below[c, i]: members of class c among the i lowest values; equal codes cannot be cut apart.
    below = np.zeros((classes.size, values.size + 1))
    for c, label in enumerate(classes):
        hits = np.bincount(position[labels[finite] == label], minlength=values.size)
        below[c, 1:] = np.cumsum(hits)
    right, cuts, order = max((*_best_cuts(below[list(o)]), o) for o in permutations(range(classes.size)))
    return Separation(right / codes.size, _between(values, cuts), classes[list(order)])


def two_threshold_accuracy(codes, labels) -> float:
    """The largest share of labels, in [0, 1], that two thresholds on the codes can recover.

    codes [n] or [n, 1]; labels [n] of three classes, in whichever order they come. Raises ValueError
    where there are not three classes.
    """
    classes = np.unique(labels)
    if classes.size != 3:
        raise ValueError(f"two thresholds divide three classes; the labels have {classes.size}")
    return best_thresholds(codes, labels).accuracy


def _best_cuts(below):
    """Most members recovered, and the cuts, when the intervals belong to the rows of `below` in turn."""
    best = below[0]
    choices = []
    for after in below[1:]:
        # Cut at i <= j: what the intervals so far recover up to i, and the next one's members in (i, j].
        gain = best - after
        reached = np.maximum.accumulate(gain)
        choices.append(np.maximum.accumulate(np.where(gain == reached, np.arange(gain.size), 0)))
        best = reached + after
    cut, cuts = below.shape[1] - 1, []
    for choice in reversed(choices):
        cut = int(choice[cut])
        cuts.append(cut)
    return best[-1], tuple(reversed(cuts))


def _between(values, cuts):
    edges = np.concatenate([[-np.inf], (values[:-1] + values[1:]) / 2, [np.inf]]) if values.size else [np.inf]
    return np.array([edges[cut] for cut in cuts])
