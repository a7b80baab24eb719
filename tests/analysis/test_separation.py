"""The best thresholds against trying all of them."""

from itertools import combinations_with_replacement, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis.separation import best_thresholds, two_threshold_accuracy


def _brute_force(codes, labels):
    """Every pair of thresholds, every order of the classes."""
    values = np.unique(codes[np.isfinite(codes)])
    cuts = [-np.inf, *values, np.inf]
    best = 0
    for low, high in combinations_with_replacement(cuts, 2):
        interval = (codes >= low).astype(int) + (codes >= high)
        for order in permutations(np.unique(labels)):
            best = max(best, np.sum((np.array(order)[interval] == labels) & np.isfinite(codes)))
    return best / codes.size


@given(
    st.lists(
        st.tuples(st.sampled_from([*np.arange(6.0), np.nan, np.inf]), st.integers(0, 2)),
        min_size=1,
        max_size=9,
    )
)
def test_against_brute_force(examples):
    codes = np.array([code for code, _ in examples] + [1.0, 2.0, 3.0])
    labels = np.array([label for _, label in examples] + [0, 1, 2])
    assert two_threshold_accuracy(codes, labels) == _brute_force(codes, labels)


@given(st.integers(0, 1000), st.integers(2, 5))
def test_the_thresholds_give_the_accuracy_they_promise(seed, classes):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 30)])
    codes = rng.standard_normal(labels.size).round(1) + labels * rng.uniform(0, 2)
    found = best_thresholds(codes[:, None], labels)
    predicted = found.order[np.searchsorted(found.thresholds, codes, side="right")]
    assert np.mean(predicted == labels) == found.accuracy
    assert np.all(np.diff(found.thresholds[np.isfinite(found.thresholds)]) >= 0)
    assert found.accuracy >= np.bincount(labels).max() / labels.size


def test_any_order_and_perfect_classes():
    found = best_thresholds(np.array([5.0, 6.0, 1.0, 0.0, 3.0]), np.array([7, 7, 4, 4, 9]))
    assert found.accuracy == 1.0
    assert found.order.tolist() == [4, 9, 7] and found.thresholds.tolist() == [2.0, 4.0]


def test_codes_without_spread_recover_one_class():
    assert two_threshold_accuracy(np.zeros(6), np.array([0, 0, 0, 1, 1, 2])) == 0.5
    assert two_threshold_accuracy(np.full(4, np.nan), np.array([0, 0, 1, 2])) == 0.0


@pytest.mark.parametrize(
    ("codes", "labels", "words"),
    [([1.0, 2.0], [0, 1], "have 2"), ([1.0, 2.0, 3.0], [0, 1, 2, 2], "equally many")],
)
def test_wrong_arguments_are_named(codes, labels, words):
    with pytest.raises(ValueError, match=words):
        two_threshold_accuracy(np.array(codes), np.array(labels))
