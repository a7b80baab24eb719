"""How well each class and each image is recognised over the training.

From right and wrong of every validation image at every dump: the error rate of each class, groups of
classes with similar curves from easy to hard, classes that are mistaken for each other, and how single
images fare. DeepTracker 2018, sections 7.1.1 and 8.1; the wrong labels are its experts' wish (section 9).
"""

from typing import NamedTuple

import numpy as np

from gdlab.analysis.anomalies import checked_starts
from gdlab.records import Table

BLOCK = 1 << 22  # predictions that are counted at once
STARTS = (10, 100)  # beginnings of k-means at least and at most, of which the best result is kept
WORK = 1 << 24  # numbers that beginnings may look at in one step, all together


class Clusters(NamedTuple):
    """Classes by the course of their error rates, the easiest cluster first.

    cluster int [C]: of each class, -1 where the class has no images; curves float64 [k, D]: mean error
    rate of each cluster; sizes int [k]; order int [C - empty]: the classes by cluster, then by mean error
    rate; empty: how many classes have no images. k may be smaller than asked for: see `clusters`.
    """

    cluster: np.ndarray
    curves: np.ndarray
    sizes: np.ndarray
    order: np.ndarray
    empty: int


def starts_of(labels, classes: int) -> np.ndarray:
    """Where each class begins among ascending labels [images], int64 [C + 1].

    Raises ValueError where labels do not ascend, or are not below the number of classes.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or (labels[1:] < labels[:-1]).any():
        raise ValueError("labels have to ascend: images are sorted by their true class")
    if len(labels) and (labels[-1] >= classes or labels[0] < 0):
        wrong = labels[-1] if labels[-1] >= classes else labels[0]
        raise ValueError(f"label {wrong}: allowed: 0 to {classes - 1}, there are {classes} classes")
    return np.searchsorted(labels, np.arange(classes + 1)).astype(np.int64)


def right_of(predicted, labels) -> np.ndarray:
    """Whether each prediction [D, images] is the image's label [images], bool [D, images]."""
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    if predicted.ndim != 2 or labels.shape != predicted.shape[1:]:
        raise ValueError(f"predicted {predicted.shape} and labels {labels.shape}: allowed: [D, n] and [n]")
    return predicted == labels[None]


def error_rates(right, starts) -> np.ndarray:
    """Share of each class's images that are wrong, float32 [C, D] in [0, 1]; NaN for classes without images.

    right: bool [D, images]; starts [C + 1]: images of class c are starts[c]:starts[c+1]. Raises
    ValueError where starts do not divide the images.
    """
    right = np.asarray(right, bool)
    starts = checked_starts(starts, right.shape[1])
    sizes = np.diff(starts)
    rates = np.full((len(sizes), len(right)), np.nan, np.float32)
    some = sizes > 0
    if some.any():
        # In blocks: NumPy widens what it adds up, and memory for all of it would take longer than the sums.
        step = max(1, BLOCK // right.shape[1])
        for first in range(0, len(right), step):
            part = right[first : first + step].view(np.uint8)
            hits = np.add.reduceat(part, starts[:-1][some], axis=1, dtype=np.uint32)
            rates[some, first : first + step] = (1 - hits / sizes[some]).T
    return rates


def clusters(rates, k: int, *, seed: int = 0) -> Clusters:
    """k-means over the curves of error rates [C, D], clusters ordered by their mean error rate.

    Classes without images (NaN) stay apart. Where fewer than k curves differ, each of them is a cluster.
    The best of STARTS beginnings (k-means++), more for fewer curves, the same for the same seed.
    Raises ValueError for k that is not an integer >= 1, and where a curve is NaN in some dumps only.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k={k!r}: allowed: an integer >= 1")
    rates = np.asarray(rates, np.float32)
    missing = np.isnan(rates)
    empty = missing.all(axis=1) if rates.shape[1] else np.zeros(len(rates), bool)
    if missing[~empty].any():
        which = int(np.flatnonzero(~empty & missing.any(axis=1))[0])
        raise ValueError(f"class {which} has error rates in some dumps only; allowed: all of them or none")
    there = np.flatnonzero(~empty)
    cluster = np.full(len(rates), -1)
    if not len(there) or not rates.shape[1]:
        cluster[there] = 0
        curves = np.empty((min(1, len(there)), rates.shape[1]))
        return Clusters(cluster, curves, np.full(len(curves), len(there)), there, int(empty.sum()))
    found = _k_means(rates[there], int(k), seed)
    hardness = rates[there].mean(axis=1, dtype=float)
    sizes = np.bincount(found)
    mean = np.bincount(found, hardness) / sizes
    rank = np.argsort(np.argsort(mean, kind="stable"))
    cluster[there] = rank[found]
    order = there[np.lexsort((hardness, cluster[there]))]
    curves = np.stack([rates[cluster == c].mean(axis=0, dtype=float) for c in range(len(sizes))])
    return Clusters(cluster, curves, np.bincount(cluster[there]), order, int(empty.sum()))


def confusable(predicted, starts, most: int = 20) -> Table:
    """The pairs of classes most often mistaken for each other in the given dumps, at most `most` of them.

    predicted: labels [d, images] of one dump or of an interval; starts as in `error_rates`. Returns, most
    frequent first (then by class): first, second (first < second), count (both ways), first_as_second,
    second_as_first, share (count over all predictions of the two classes' images). attrs: wrong, the
    number of all mistakes. Raises ValueError for labels beyond the classes, and for most below 1.
    """
    if not most >= 1:
        raise ValueError(f"most={most!r}: allowed: a number of pairs >= 1")
    predicted = np.asarray(predicted)
    if predicted.ndim != 2:
        raise ValueError(f"predicted has the shape {predicted.shape}; allowed: [dumps, images]")
    starts = checked_starts(starts, predicted.shape[1])
    classes, sizes = len(starts) - 1, np.diff(starts)
    if predicted.size and predicted.max() >= classes:
        raise ValueError(f"predicted label {predicted.max()}: allowed: 0 to {classes - 1}")
    counts = np.zeros(classes * classes, np.int64)
    row = np.repeat(np.arange(classes) * classes, sizes)
    rows = max(1, BLOCK // max(1, predicted.shape[1]))
    for i in range(0, len(predicted), rows):
        key = (row + predicted[i : i + rows]).ravel()
        counts += np.bincount(key, minlength=classes * classes)
    table = counts.reshape(classes, classes)
    np.fill_diagonal(table, 0)
    first, second = np.nonzero(np.triu(table + table.T))
    count = table[first, second] + table[second, first]
    top = np.lexsort((second, first, -count))[: int(most)]
    first, second, count = first[top], second[top], count[top]
    columns = {
        "first": first,
        "second": second,
        "count": count,
        "first_as_second": table[first, second],
        "second_as_first": table[second, first],
        "share": count / ((sizes[first] + sizes[second]) * max(1, len(predicted))),
    }
    return Table(columns, dict.fromkeys(columns, ("pair",)), {"wrong": int(table.sum())})


def images(right) -> Table:
    """How each image fared, from right (bool) [D, n]: first_right, share_right, always_wrong, flips [n].

    first_right: the first dump at which it was right, -1 where it never was; share_right: of all dumps,
    NaN where there are none; always_wrong: bool; flips: how often right and wrong changed.
    """
    right = np.asarray(right, bool)
    if right.ndim != 2:
        raise ValueError(f"right has the shape {right.shape}; allowed: [dumps, images]")
    dumps, count = right.shape
    ever = right.any(axis=0)
    first = np.where(ever, right.argmax(axis=0), -1) if dumps else np.full(count, -1)
    total = right.sum(axis=0, dtype=np.int32)
    changed = np.add.reduce(right[1:] != right[:-1], axis=0, dtype=np.int32)
    columns = {
        "first_right": first,
        "share_right": total / dumps if dumps else np.full(count, np.nan),
        "always_wrong": ~ever & (dumps > 0),
        "flips": changed,
    }
    return Table(columns, dict.fromkeys(columns, ("image",)), {})


def _k_means(curves, k, seed):
    """Cluster of each curve [C, D], numbered from 0 without a gap."""
    distinct, inverse = np.unique(curves, axis=0, return_inverse=True)
    if len(distinct) <= k:
        return inverse.reshape(-1)
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    # One thread is ten times as fast as several on curves so few, and rounds the same everywhere.
    starts = int(np.clip(WORK // (curves.size * k), *STARTS))
    with threadpool_limits(1):
        labels = KMeans(k, n_init=starts, random_state=seed).fit(curves).labels_
    return np.unique(labels, return_inverse=True)[1].reshape(-1)
