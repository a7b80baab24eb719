"""Error rates, clusters, confusions and single images, each against counting by hand."""

import itertools
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gdlab.analysis import class_curves

labels_of = st.lists(st.integers(0, 3), min_size=1, max_size=9).map(sorted)


@given(labels_of, st.integers(0, 5), st.integers(0, 1000))
def test_error_rates_count_the_wrong_images_of_each_class(labels, dumps, seed):
    predicted = np.random.default_rng(seed).integers(0, 4, (dumps, len(labels))).astype(np.uint16)
    starts = class_curves.starts_of(labels, 4)
    right = class_curves.right_of(predicted, np.array(labels, np.uint16))
    rates = class_curves.error_rates(right, starts)
    assert rates.shape == (4, dumps)
    for c in range(4):
        own = [i for i, label in enumerate(labels) if label == c]
        assert own == list(range(starts[c], starts[c + 1]))
        expected = [np.mean(row[own] != c) if own else np.nan for row in predicted]
        np.testing.assert_allclose(rates[c], expected, rtol=1e-6)


def _curves():
    """Curves of three kinds [9, 40], by turns hard, easy and in between, and one class without images."""
    rng = np.random.default_rng(0)
    level = np.array([0.9, 0.1, 0.5] * 3)[:, None]
    curves = np.clip(level + rng.normal(0, 0.02, (9, 40)), 0, 1)
    return np.insert(curves, 4, np.nan, axis=0).astype(np.float32)


def test_clusters_are_ordered_from_easy_to_hard():
    rates = _curves()
    found = class_curves.clusters(rates, 3)
    assert found.cluster.tolist() == [2, 0, 1, 2, -1, 0, 1, 2, 0, 1]
    assert found.sizes.tolist() == [3, 3, 3] and found.empty == 1
    for c in range(3):
        np.testing.assert_allclose(found.curves[c], rates[found.cluster == c].mean(axis=0), rtol=1e-6)
    assert (np.diff(found.curves.mean(axis=1)) > 0).all()
    hardness = rates.mean(axis=1)
    assert found.order.tolist() == [c for c in np.argsort(hardness) if c != 4]
    again = class_curves.clusters(rates, 3)
    assert all(np.array_equal(one, two) for one, two in zip(found, again, strict=True))


@given(hnp.arrays(np.float32, (7, 4), elements=st.floats(0, 1, width=16)), st.integers(1, 9))
def test_clusters_divide_the_classes_whatever_the_curves(rates, k):
    found = class_curves.clusters(rates, k)
    distinct = len({tuple(row) for row in rates.tolist()})
    assert len(found.sizes) == min(k, distinct)
    assert sorted(found.order.tolist()) == list(range(7)) and found.sizes.sum() == 7
    assert (found.sizes > 0).all() and (np.diff(found.curves.mean(axis=1)) >= -1e-6).all()
    assert (np.diff(found.cluster[found.order]) >= 0).all()


def test_k_means_reaches_the_best_division_into_two():
    rates = np.random.default_rng(3).random((8, 3)).astype(np.float32)

    def spread(cluster):
        return sum(((rates[cluster == c] - rates[cluster == c].mean(axis=0)) ** 2).sum() for c in (0, 1))

    divisions = [np.array([number >> i & 1 for i in range(8)]) for number in range(1, 255)]
    assert spread(class_curves.clusters(rates, 2).cluster) == pytest.approx(min(map(spread, divisions)))


def test_classes_without_images_and_records_without_dumps():
    found = class_curves.clusters(np.full((3, 4), np.nan), 2)
    assert found.cluster.tolist() == [-1] * 3 and found.empty == 3 and len(found.curves) == 0
    found = class_curves.clusters(np.empty((3, 0)), 2)
    assert found.cluster.tolist() == [0] * 3 and found.curves.shape == (1, 0)
    assert class_curves.clusters(np.full((1, 5), 0.5), 4).sizes.tolist() == [1]


@given(labels_of, st.integers(1, 6), st.integers(0, 1000), st.integers(1, 4))
def test_confusable_classes_are_counted_both_ways(labels, dumps, seed, most):
    predicted = np.random.default_rng(seed).integers(0, 4, (dumps, len(labels))).astype(np.uint16)
    found = class_curves.confusable(predicted, class_curves.starts_of(labels, 4), most)
    pairs = {}
    for i, label in enumerate(labels):
        for guess in predicted[:, i].tolist():
            if guess != label:
                pair = pairs.setdefault((min(guess, label), max(guess, label)), [0, 0])
                pair[guess < label] += 1
    ranked = sorted(pairs, key=lambda pair: (-sum(pairs[pair]), pair))[:most]
    columns = found.columns
    assert list(zip(columns["first"], columns["second"], strict=True)) == ranked
    assert columns["count"].tolist() == [sum(pairs[pair]) for pair in ranked]
    assert columns["first_as_second"].tolist() == [pairs[pair][0] for pair in ranked]
    assert columns["second_as_first"].tolist() == [pairs[pair][1] for pair in ranked]
    of_both = [dumps * sum(label in pair for label in labels) for pair in ranked]
    np.testing.assert_allclose(
        columns["share"], [sum(pairs[p]) / n for p, n in zip(ranked, of_both, strict=True)]
    )
    assert found.attrs["wrong"] == sum(map(sum, pairs.values()))


def test_counting_in_blocks_is_counting(monkeypatch):
    predicted = np.random.default_rng(0).integers(0, 3, (50, 30)).astype(np.uint16)
    whole = class_curves.confusable(predicted, [0, 10, 20, 30])
    monkeypatch.setattr(class_curves, "BLOCK", 64)
    blocks = class_curves.confusable(predicted, [0, 10, 20, 30])
    assert all(np.array_equal(whole.columns[name], blocks.columns[name]) for name in whole.columns)


@given(hnp.arrays(bool, st.tuples(st.integers(0, 6), st.integers(0, 4))))
def test_single_images(right):
    columns = class_curves.images(right).columns
    for j, sequence in enumerate(right.T.tolist()):
        assert columns["first_right"][j] == (sequence.index(True) if True in sequence else -1)
        assert columns["always_wrong"][j] == (len(sequence) > 0 and True not in sequence)
        assert columns["flips"][j] == sum(a != b for a, b in pairwise(sequence))
        if sequence:
            assert columns["share_right"][j] == pytest.approx(sum(sequence) / len(sequence))
    assert np.isnan(columns["share_right"]).all() == (right.size == 0)


def test_wrong_arguments_are_named():
    right = np.zeros((2, 3), bool)
    with pytest.raises(ValueError, match="label 5: allowed: 0 to 3"):
        class_curves.starts_of([0, 5], 4)
    with pytest.raises(ValueError, match="ascend"):
        class_curves.starts_of([1, 0], 4)
    with pytest.raises(ValueError, match="allowed: \\[D, n\\] and \\[n\\]"):
        class_curves.right_of(np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match="starts="):
        class_curves.error_rates(right, [0, 2])
    for k in (0, 1.5, True):
        with pytest.raises(ValueError, match="k="):
            class_curves.clusters(np.zeros((2, 3)), k)
    with pytest.raises(ValueError, match="class 1 has error rates in some dumps only"):
        class_curves.clusters([[0, 0], [0, np.nan]], 2)
    with pytest.raises(ValueError, match="predicted label 7: allowed: 0 to 1"):
        class_curves.confusable(np.full((1, 3), 7), [0, 1, 3])
    with pytest.raises(ValueError, match="most=0"):
        class_curves.confusable(np.zeros((1, 3), int), [0, 1, 3], 0)
    with pytest.raises(ValueError, match="dumps, images"):
        class_curves.images(np.zeros(3, bool))


def test_the_best_partition_is_found():
    """Of 40 sets of noisy curves, against all partitions of their classes."""
    every = [np.array(p) for p in itertools.product(range(3), repeat=8) if len(set(p)) == 3]
    member = np.stack([[p == c for c in range(3)] for p in every]).astype(float)  # [P, 3, 8]
    sizes = member.sum(axis=2)

    def spreads(curves):
        means = np.einsum("pck,kd->pcd", member, curves) / sizes[..., None]
        return (curves**2).sum() - (sizes[..., None] * means**2).sum(axis=(1, 2))

    for seed in range(40):
        curves = np.random.default_rng(seed).random((8, 6)).astype(np.float32)
        found = class_curves.clusters(curves, 3).cluster
        within = sum(((curves[found == c] - curves[found == c].mean(axis=0)) ** 2).sum() for c in range(3))
        assert within == pytest.approx(spreads(curves.astype(float)).min(), rel=1e-5), seed
