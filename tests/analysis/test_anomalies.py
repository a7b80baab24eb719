"""The two rules against their definitions, scores, and what is proposed on noise and on plants."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from gdlab.analysis import anomalies, coincidence

records = hnp.arrays(bool, st.tuples(st.integers(0, 9), st.integers(1, 5)))


def _left(a, i, w):
    return i - w >= 0 and len(set(a[i - w : i])) == 1 and a[i] != a[i - 1]


def _right(a, i, w):
    return i >= 1 and i + w <= len(a) and len(set(a[i : i + w])) == 1 and a[i] != a[i - 1]


def _by_definition(right, holds, w):
    return np.array([[holds(list(a), i, w) for a in right.T] for i in range(len(right))], bool).reshape(
        right.shape
    )


@given(records, st.integers(1, 11))
def test_the_rules_are_their_definitions(right, window):
    np.testing.assert_array_equal(
        anomalies.left_rule(right, window), _by_definition(right, _left, window), strict=True
    )
    np.testing.assert_array_equal(
        anomalies.right_rule(right, window), _by_definition(right, _right, window), strict=True
    )


@given(records, st.integers(1, 11))
def test_the_literal_right_rule_is_the_left_rule_backwards_in_time(right, window):
    backwards = anomalies.left_rule(right[::-1], window)[::-1]
    np.testing.assert_array_equal(anomalies.right_rule(right, window, literal=True), backwards)
    literal = anomalies.right_rule(right, window, literal=True)
    np.testing.assert_array_equal(literal[:-1], anomalies.right_rule(right, window)[1:])


@given(records)
def test_flips_hold_the_constant_stretches_on_both_sides(right):
    found = anomalies.flips(right)
    seen = list(zip(found.dump.tolist(), found.image.tolist(), strict=True))
    assert seen == [(int(i) + 1, int(j)) for i, j in zip(*np.nonzero(right[1:] != right[:-1]), strict=True)]
    for i, j, before, after in zip(*found[:4], strict=True):
        stretch = right[i - before : i, j]
        assert len(set(stretch)) == 1 and (i == before or right[i - before - 1, j] != stretch[0])
        stretch = right[i : i + after, j]
        assert len(set(stretch)) == 1 and (i + after == len(right) or right[i + after, j] != stretch[0])


@given(records, st.integers(1, 4), st.sampled_from(["left", "right"]), st.booleans(), st.data())
def test_scores_count_the_images_of_each_class(right, window, rule, literal, data):
    images = right.shape[1]
    cuts = sorted(data.draw(st.lists(st.integers(0, images), max_size=3)))
    starts = [0, *cuts, images]  # equal cuts are classes without images
    if rule == "left":
        marks = anomalies.left_rule(right, window)
    else:
        marks = anomalies.right_rule(right, window, literal)
    expected = [marks[:, a:b].sum(axis=1) for a, b in pairwise(starts)]
    found = anomalies.class_scores(marks, starts)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(anomalies.scores(right, starts, window, rule, literal), expected)


@given(hnp.arrays(np.int32, (3, 6), elements=st.integers(0, 5)), st.integers(1, 6))
def test_anomalies_are_the_cells_at_or_above_the_threshold(scores, threshold):
    found = anomalies.anomalies(scores, threshold).columns
    rows = list(zip(found["class"], found["dump"], found["score"], strict=True))
    assert rows == [(c, d, scores[c, d]) for c in range(3) for d in range(6) if scores[c, d] >= threshold]


def test_both_rules_together():
    right = np.zeros((8, 4), bool)
    right[4:, :3] = True  # three of four images of the only class learn at dump 4, and keep it
    right[6, 0] = False
    found = anomalies.detect(right, [0, 4], 2, 2).columns
    assert found["dump"].tolist() == [4, 4] and found["rule"].tolist() == ["left", "right"]
    assert found["score"].tolist() == [3, 3]
    literal = anomalies.detect(right, [0, 4], 2, 2, literal=True).columns
    assert literal["dump"].tolist() == [3, 4] and literal["rule"].tolist() == ["right", "left"]


def _independent(seed, dumps=120, classes=20, images=30):
    """Sequences that flip independently, each image at a rate of its own, more often in the beginning."""
    rng = np.random.default_rng(seed)
    rate = rng.beta(1, 12, classes * images)
    profile = 0.5 + 2 * np.exp(-np.arange(dumps) / 25)
    flipped = rng.random((dumps, classes * images)) < rate * profile[:, None]
    return np.logical_xor.accumulate(flipped, axis=0), np.arange(classes + 1) * images


def test_independent_flips_give_hardly_any_anomalies():
    found = [anomalies.propose(*_independent(seed)).found for seed in range(10)]
    assert np.mean(found) <= 1.0  # the number of false ones that is allowed
    loose = [anomalies.propose(*_independent(seed), false_anomalies=500.0).found for seed in range(3)]
    assert np.mean(loose) > 1.0  # it is the allowance that keeps them away


def test_planted_anomalies_are_found_and_little_else():
    others = 0
    for seed in range(5):
        right, starts = _independent(seed)
        right[70:, 90:112] ^= True  # 22 of the 30 images of class 3, for good
        right[40, 300:322] ^= True  # 22 of those of class 10, for one dump
        chosen = anomalies.propose(right, starts)
        found = anomalies.detect(right, starts, chosen.window, chosen.threshold).columns
        cells = set(zip(found["class"].tolist(), found["dump"].tolist(), strict=True))
        assert {(3, 70), (10, 40)} <= cells
        others += len(cells - {(3, 70), (10, 40), (10, 41)})
        assert chosen.found == len(found["dump"])
    assert others <= 5  # one per record is allowed


def test_a_shaken_beginning_does_not_hide_what_comes_later(monkeypatch):
    for seed in range(3):
        right, starts = _independent(seed)
        for dump in (10, 14, 18, 22):  # all classes, most of their images
            right[dump:] ^= np.random.default_rng(seed + dump).random(600) < 0.7
        right[100:, 150:163] ^= True  # 13 of the 30 images of class 5
        chosen = anomalies.propose(right, starts)
        assert anomalies.scores(right, starts, chosen.window)[5, 100] >= chosen.threshold
        with monkeypatch.context() as patch:
            patch.setattr(coincidence, "PASSES", 1)  # with the outliers in the rates
            blunt = anomalies.propose(right, starts)
        assert anomalies.scores(right, starts, blunt.window)[5, 100] < blunt.threshold


def _rates_by_hand(scored, reach, keep):
    """Sums of each window of columns, one by one."""
    rates, (classes, count) = np.zeros(scored.shape), scored.shape
    reach = min(reach, count)

    def ratio(rows, columns):
        number = keep[rows, columns].sum()
        return (scored * keep)[rows, columns].sum() / number if number else 0.0

    everything = slice(None), slice(None)
    for i in range(count):
        start = min(max(i - reach // 2, 0), count - reach)
        near = slice(start, start + reach)
        overall = ratio(*everything)
        trend = ratio(slice(None), near) / overall if overall else 0.0
        for c in range(classes):
            rates[c, i] = max(ratio(slice(c, c + 1), slice(None)) * trend, ratio(slice(c, c + 1), near))
    return rates


@given(
    hnp.arrays(np.int32, (3, 7), elements=st.integers(0, 5)),
    hnp.arrays(bool, (3, 7)),
    st.integers(1, 9),
)
def test_rates_are_those_of_the_kept_cells(scored, keep, reach):
    found = coincidence._rates(scored, reach, keep)
    np.testing.assert_allclose(found, _rates_by_hand(scored, reach, keep), rtol=1e-12, atol=1e-15)
    assert coincidence._rates(scored[:, :0], reach, keep[:, :0]).shape == (3, 0)


@given(records, st.integers(1, 4), st.sampled_from(["left", "right"]), st.booleans())
def test_members_are_the_marked_images_of_a_class(right, window, rule, literal):
    if rule == "left":
        marks = anomalies.left_rule(right, window)
    else:
        marks = anomalies.right_rule(right, window, literal)
    images = right.shape[1]
    starts = [0, images // 2, images]
    for c in range(2):
        for dump in range(len(right)):
            found = anomalies.members(right, starts, c, dump, window, rule, literal)
            own = np.flatnonzero(marks[dump, starts[c] : starts[c + 1]]) + starts[c]
            assert found.tolist() == own.tolist()


def test_slow_learning_is_no_anomaly_but_a_sudden_one_is():
    rng = np.random.default_rng(0)
    dumps, images = 200, 40
    learned = rng.integers(60, 120, (10, images))  # every class within 60 dumps, image by image
    learned[4, :25] = 90
    right = np.arange(dumps)[:, None] >= learned.reshape(-1)
    starts = np.arange(11) * images
    chosen = anomalies.propose(right, starts)
    found = anomalies.detect(right, starts, chosen.window, chosen.threshold).columns
    assert set(zip(found["class"].tolist(), found["dump"].tolist(), strict=True)) == {(4, 90)}


def test_the_bound_holds_and_the_threshold_is_the_smallest_that_keeps_it():
    right, starts = _independent(1)
    tried = anomalies.propose(right, starts, false_anomalies=2.0).tried.columns
    assert (tried["expected"] <= 2.0 / len(tried["window"])).all()
    window, threshold = int(tried["window"][2]), int(tried["threshold"][2])
    total, least = 0.0, 0.0
    for rule, first, last in (("left", window, None), ("right", 1, 1 - window or None)):
        scored = anomalies.scores(right, starts, window, rule)[:, first:last]
        rates = coincidence._rates(scored, 15, scored < threshold)
        for t in (threshold, threshold - 1):
            tail = np.where(t < rates + 1, 1.0, stats.binom.sf(t - 1, 30, rates / 30))
            tail[rates == 0] = 0
            total, least = (total + tail.sum(), least) if t == threshold else (total, least + tail.sum())
    # Rates are rounded up by at most 2 %.
    assert total <= tried["expected"][2] <= total * 1.02**threshold
    assert least * 1.02**threshold > 2.0 / len(tried["window"])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.integers(1, 8))
def test_a_binomial_reaches_far_values_more_often_than_any_sum_of_independent_marks(rates, threshold):
    chances = np.array([1.0])
    for p in rates:
        chances = np.convolve(chances, [1 - p, p])
    count, mean = len(rates), sum(rates)
    if mean + 1 <= threshold:
        binomial = stats.binom.sf(threshold - 1, count, mean / count)
        assert chances[threshold:].sum() <= binomial + 1e-12


@pytest.mark.parametrize("dumps", [0, 1, 2, 3, 7])
def test_short_records_are_answered_honestly(dumps):
    right = np.arange(dumps * 6).reshape(dumps, 6) % 5 < 2
    assert not anomalies.left_rule(right, 8).any() and not anomalies.right_rule(right, 8).any()
    chosen = anomalies.propose(right, [0, 3, 3, 6])
    assert chosen.window == 2 and chosen.threshold >= 2
    assert len(anomalies.detect(right, [0, 3, 3, 6], 8, 1).columns["dump"]) == 0


def test_where_any_score_may_be_chance_nothing_is_an_anomaly():
    right = np.random.default_rng(0).random((60, 4)) < 0.5  # two images a class: flips coincide all the time
    chosen = anomalies.propose(right, [0, 2, 4], windows=[1])
    assert (chosen.threshold, chosen.found) == (3, 0)
    assert (anomalies.scores(right, [0, 2, 4], 1) == 2).any()


def test_wrong_arguments_are_named():
    right = np.zeros((5, 4), bool)
    for window in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match=r"window=.*allowed: an integer >= 1"):
            anomalies.left_rule(right, window)
    for threshold in (0, 0.5, float("nan"), True):
        with pytest.raises(ValueError, match=r"threshold=.*allowed"):
            anomalies.anomalies(np.zeros((2, 3), int), threshold)
    for starts in ([0, 3], [1, 4], [0, 3, 2, 4], [0], [[0, 4]]):
        with pytest.raises(ValueError, match="starts="):
            anomalies.scores(right, starts, 2)
    with pytest.raises(ValueError, match=r"rule='up': allowed: left, right"):
        anomalies.scores(right, [0, 4], 2, "up")
    with pytest.raises(ValueError, match="class 1: allowed: 0 to 0"):
        anomalies.members(right, [0, 4], 1, 0, 2)
    with pytest.raises(ValueError, match="dumps, images"):
        anomalies.flips(np.zeros(4, bool))
    for options in ({"false_anomalies": 0}, {"trend": 0}, {"windows": [0]}):
        with pytest.raises(ValueError, match="allowed"):
            anomalies.propose(right, [0, 4], **options)
