"""A schedule gives each example its turn, and gives the same answer wherever one begins to ask."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.data import Schedule

LABELS = np.repeat([0, 1, 2], 40)


def test_the_whole_set_is_one_descent():
    index, new_descent, descent, epoch = Schedule(10).rows(0, 5)
    assert index is None
    assert new_descent.tolist() == [True, False, False, False, False]
    assert descent.tolist() == epoch.tolist() == [0] * 5
    assert Schedule(10).rows(3, 5)[1].tolist() == [False, False]
    assert Schedule(10).descents(7) == 1


def test_becker_s_mini_batches():
    schedule = Schedule(120, batches=3, descent_length=20, labels=LABELS, seed=5)
    index, new_descent, descent, epoch = schedule.rows(0, 120)
    assert index.shape == (120, 40) and index.dtype == np.int32
    assert np.flatnonzero(new_descent).tolist() == [0, 20, 40, 60, 80, 100]
    assert descent.tolist() == np.repeat(np.arange(6), 20).tolist()
    assert epoch.tolist() == np.repeat([0, 1], 60).tolist()
    for e in (0, 1):
        subsets = index[60 * e : 60 * e + 60 : 20]
        assert sorted(subsets.ravel().tolist()) == list(range(120))
    assert all(np.array_equal(index[20 * m], index[20 * m + 19]) for m in range(6))
    assert not np.array_equal(np.sort(index[0]), np.sort(index[60]))
    assert schedule.descents(120) == 6 and schedule.descents(121) == 7


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    batches=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_classes_that_divide_are_exactly_balanced(sizes, batches, seed):
    labels = np.random.default_rng(seed).permutation(
        np.repeat(np.arange(len(sizes)), np.array(sizes) * batches)
    )
    schedule = Schedule(labels.size, batches=batches, labels=labels, seed=seed, descent_length=1)
    index, *_ = schedule.rows(0, batches)
    subsets = np.arange(labels.size)[None] if index is None else index
    for subset in subsets:
        assert np.bincount(labels[subset], minlength=len(sizes)).tolist() == sizes


@given(n=st.integers(12, 200), batches=st.integers(1, 12), seed=st.integers(0, 99))
def test_classes_that_do_not_divide_are_nearly_balanced(n, batches, seed):
    labels = np.random.default_rng(seed).integers(0, 3, n)
    schedule = Schedule(n, batches=batches, labels=labels, seed=seed, descent_length=1)
    index, *_ = schedule.rows(0, batches)
    subsets = np.arange(n)[None] if index is None else index
    assert subsets.shape == (batches, n // batches)
    assert np.unique(subsets).size == subsets.size
    share = np.bincount(labels, minlength=3) * schedule.batch_size / n
    for subset in subsets:
        assert np.all(np.abs(np.bincount(labels[subset], minlength=3) - share) < 3)


@given(
    batch_size=st.integers(1, 50),
    length=st.integers(1, 7),
    seed=st.integers(0, 10**9),
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_rows_do_not_depend_on_how_they_are_asked_for(batch_size, length, seed, cuts):
    def make():
        return Schedule(50, batch_size=batch_size, descent_length=length, seed=seed)

    whole = make().rows(0, 60)
    edges = sorted({0, 60, *cuts})
    asked_backwards = make()
    pieces = [asked_backwards.rows(a, b) for a, b in reversed(list(pairwise(edges)))]
    for column, parts in zip(whole, zip(*reversed(pieces), strict=True), strict=True):
        if column is not None:
            np.testing.assert_array_equal(column, np.concatenate(parts))


def test_plain_mini_batches():
    schedule = Schedule(10, batch_size=4, labels=np.arange(10))
    index, new_descent, _, epoch = schedule.rows(0, 6)
    assert schedule.batches == 2 and schedule.descent_length == 1
    assert new_descent.all() and epoch.tolist() == [0, 0, 1, 1, 2, 2]
    assert all(np.unique(index[e : e + 2]).size == 8 for e in (0, 2, 4))


def test_seeds_and_epochs_differ():
    first, other = (Schedule(100, batches=2, seed=seed).rows(0, 4)[0] for seed in (0, 1))
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[:2], first[2:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batches": 11}, ["batches = 11", "only 10"]),
        ({"batch_size": 0}, ["batch_size = 0", "at least 1"]),
        ({"batches": 2, "batch_size": 5}, ["batches = 2", "batch_size = 5", "exclude"]),
        ({"batches": 2, "descent_length": 0}, ["descent_length = 0"]),
        ({"batches": 2, "labels": [1, 2]}, ["one label per example", "(2,)"]),
        ({"batches": 2, "balanced": True}, ["labels" , "None"]),
        ({"seed": -1}, ["seed = -1"]),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError) as error:
        Schedule(10, **arguments)
    assert all(word.strip("s") in str(error.value) for word in words), error.value


@given(st.integers(0, 5), st.integers(0, 3), st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3))
def test_shares_show_as_much_of_each_class_and_others_in_each_epoch(seed, epoch, shares):
    labels = np.repeat([0, 1, 2], [40, 25, 60])
    schedule = Schedule(125, batch_size=5, seed=seed, labels=labels, shares=shares)
    wanted = [max(1, round(n * share)) for n, share in zip((40, 25, 60), shares, strict=True)]
    assert schedule.batches == sum(wanted) // 5
    begin = epoch * schedule.batches
    index, _, _, epochs = schedule.rows(begin, begin + schedule.batches)
    assert (epochs == epoch).all()
    assert len(np.unique(index)) == index.size  # no example twice in an epoch
    seen = np.bincount(labels[index.ravel()], minlength=3)
    assert (seen <= wanted).all()
    assert sum(wanted) - seen.sum() == sum(wanted) % 5


def test_shares_reach_every_example_in_the_long_run():
    labels = np.repeat([0, 1], [20, 20])
    schedule = Schedule(40, batch_size=5, labels=labels, shares=[0.25, 1.0])
    index = schedule.rows(0, schedule.batches * 40)[0]
    counts = np.bincount(index.ravel(), minlength=40)
    assert (counts > 0).all()
    assert counts[20:].sum() == 4 * counts[:20].sum()


def test_whole_shares_change_nothing():
    labels = np.repeat([0, 1, 2], [40, 25, 60])
    plain, whole = (Schedule(125, batch_size=10, labels=labels, shares=s) for s in (None, [1, 1, 1]))
    np.testing.assert_array_equal(plain.rows(0, 30)[0], whole.rows(0, 30)[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shares": [1.0, 1.0]}, "one label per example"),
        ({"labels": [0, 1, 2, 0], "shares": [1.0, 1.0]}, "3 classes"),
        ({"labels": [0, 1, 1, 0], "shares": [1.0, 0.0]}, "above 0, up to 1"),
        ({"labels": [0, 1, 1, 0], "shares": [1.0, np.nan]}, "above 0, up to 1"),
        ({"labels": [0, 1, 1, 0], "shares": [0.5, 0.5], "batch_size": 3}, "leave 2 examples"),
    ],
)
def test_shares_that_cannot_be_used_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Schedule(4, **options)
