"""Step sizes against plain loops, SciPy, and memory-mapped rows."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gdlab.analysis import step_sizes
from gdlab.records import IDLE

ANY = st.one_of(st.floats(0, 1e6), st.just(float("nan")), st.just(float("inf")))


def mean(values):
    values = [v for v in values if np.isfinite(v)]
    return sum(values) / len(values) if values else float("nan")


def naive(values, start, stop, window):
    """(middles, means) of the windows [i w, (i + 1) w) cut to [start, stop)."""
    found = []
    for i in range(start // window, stop // window + 1):
        low, high = max(i * window, start), min((i + 1) * window, stop)
        if low < high:
            found.append(((low + high - 1) / 2, mean(values[low:high])))
    return [np.array(part) for part in zip(*found, strict=True)] or [np.empty(0)] * 2


def of(values):
    values = np.asarray(values, float)
    return lambda a, b: values[a:b]


@given(st.lists(ANY, max_size=60), st.integers(1, 9), st.integers(0, 60), st.integers(1, 30))
def test_averages_are_those_of_a_loop(values, window, start, block):
    start = min(start, len(values))
    step_sizes.BLOCK, before = block, step_sizes.BLOCK
    try:
        found = step_sizes.averages(of(values), start, len(values), window).columns
    finally:
        step_sizes.BLOCK = before
    middles, means = naive(values, start, len(values), window)
    np.testing.assert_array_equal(found["iteration"], middles)
    np.testing.assert_allclose(found["mean"], means, rtol=1e-12)


def test_layers_are_averaged_side_by_side():
    values = np.random.default_rng(0).random((50, 3))
    values[7, 1] = np.nan
    found = step_sizes.averages(of(values), 0, 50, 7).columns["mean"]
    for layer in range(3):
        np.testing.assert_allclose(found[:, layer], naive(values[:, layer], 0, 50, 7)[1])


def test_a_million_iterations_are_read_in_blocks(tmp_path):
    rows = np.memmap(tmp_path / "rows", "f8", "w+", shape=(1_000_000, 4))
    rows[:, 2] = np.sqrt(np.arange(1_000_000))
    asked = []

    def read(a, b):
        asked.append(b - a)
        return rows[a:b, 2]

    window = step_sizes.wide_enough(1_000_000, 1)
    found = step_sizes.averages(read, 0, 1_000_000, window).columns
    assert 0.9 * step_sizes.POINTS < len(found["mean"]) <= step_sizes.POINTS
    assert max(asked) <= step_sizes.BLOCK
    wanted = [rows[i : i + window, 2].mean() for i in range(0, 1_000_000, window)]
    np.testing.assert_allclose(found["mean"], wanted)


@given(st.integers(0, 5000), st.integers(1, 50), st.integers(2, 100), st.integers(0, 50))
def test_a_window_is_wide_enough_wherever_it_begins(count, window, points, start):
    found = step_sizes.wide_enough(count, window, points)
    assert found % window == 0
    windows = {k // found for k in range(start, start + count)}
    assert len(windows) <= points
    if found > window:  # the next narrower one would be too many, from some start
        narrow = found - window
        assert -(-(count - 1) // narrow) + 1 > points


@given(st.lists(ANY, max_size=40), st.integers(1, 12))
def test_moving_average_is_that_of_a_loop(values, window):
    found = step_sizes.moving_average(values, window)
    for i, value in enumerate(found):
        wanted = mean(values[max(0, i - window // 2) : i + (window - 1) // 2 + 1])
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("window", [0, 1.5, True, "3"])
def test_a_window_that_is_none_is_refused(window):
    for function in (step_sizes.moving_average, step_sizes.wide_enough):
        with pytest.raises(ValueError, match="an integer >= 1"):
            function(10 if function is step_sizes.wide_enough else [1.0], window)
    with pytest.raises(ValueError, match="an integer >= 1"):
        step_sizes.averages(of([1.0]), 0, 1, window)


def test_iterations_that_did_nothing_do_not_count():
    found = step_sizes.moved([[1.0, 2.0], [0.0, 0.0]], [0, IDLE])
    np.testing.assert_array_equal(found, [[1.0, 2.0], [np.nan, np.nan]])


def test_ratios_and_norms():
    np.testing.assert_array_equal(
        step_sizes.update_ratio([1.0, 2.0, 3.0], [2.0, 0.0, np.nan]), [0.5, np.nan, np.nan]
    )
    layers = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(step_sizes.whole(np.abs(layers)), [np.linalg.norm(row) for row in layers])


def test_a_hill_is_found_and_what_comes_after():
    values = np.concatenate([np.linspace(1, 3, 10), np.linspace(3, 0.5, 40)])
    means = step_sizes.averages(of(values), 0, 50, 5)
    found = step_sizes.summary(means)
    averaged = values.reshape(10, 5).mean(axis=1)
    assert found["first"] == pytest.approx(averaged[0]) and found["last"] == pytest.approx(averaged[-1])
    assert found["hill"] == pytest.approx(averaged.max())
    assert found["hill_at"] == 5 * averaged.argmax() + 2
    assert found["correlation"] == pytest.approx(stats.spearmanr(np.arange(10), averaged).statistic)
    assert step_sizes.direction(found["correlation"]) == "falls"
    assert step_sizes.direction(-found["correlation"]) == "climbs"
    assert step_sizes.direction(0.1) == "level" and step_sizes.direction(np.nan) == ""


def test_nothing_recorded_is_not_a_number():
    empty = step_sizes.averages(of([]), 0, 0, 5)
    assert np.isnan(list(step_sizes.summary(empty).values())).all()
    assert np.isnan(step_sizes.early(of([]), 0, 0.1)).all()
    assert np.isnan(step_sizes.early(of([np.nan] * 20), 20, 0.5)).all()


def test_early_steps_are_the_first_share():
    values = np.random.default_rng(0).random(200)
    size, trend = step_sizes.early(of(values), 200, 0.25)
    assert size == pytest.approx(values[:50].mean())
    assert trend == pytest.approx(stats.spearmanr(np.arange(50), values[:50]).statistic)
    with pytest.raises(ValueError, match="0 < share <= 1"):
        step_sizes.early(of(values), 200, 0.0)


@pytest.mark.parametrize("n", [12, 40])
def test_many_pairs_have_the_p_value_of_scipy(n):
    x, y = np.random.default_rng(n).integers(0, 8, (2, n))
    wanted = stats.spearmanr(x, y)
    assert step_sizes.rank_correlation(x, y) == pytest.approx((wanted.statistic, wanted.pvalue))


@pytest.mark.parametrize("seed", range(4))
def test_few_pairs_are_counted_permutation_by_permutation(seed):
    x, y = np.random.default_rng(seed).integers(0, 4, (2, 6)).astype(float)
    found, p_value = step_sizes.rank_correlation(x, y)
    all_of_them = [stats.spearmanr(x, order).statistic for order in permutations(y)]
    assert found == pytest.approx(stats.spearmanr(x, y).statistic)
    assert p_value == pytest.approx(np.mean(np.abs(all_of_them) >= abs(found) - 1e-9))


def test_correlation_of_nothing_is_not_known():
    for x, y in (([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, np.nan], [1, 2, 3])):
        assert np.isnan(step_sizes.rank_correlation(x, y)).all()


def test_prediction_ranks_runs():
    random = np.random.default_rng(0)
    sizes, losses = random.random(12), random.random(12)
    trends = -losses
    losses[3] = np.nan
    found = step_sizes.prediction(sizes, trends, losses).columns
    kept = np.isfinite(losses)
    wanted = stats.spearmanr(sizes[kept], losses[kept])
    assert list(found["measure"]) == ["step size", "trend"] and list(found["runs"]) == [11, 11]
    assert found["correlation"][0] == pytest.approx(wanted.statistic)
    assert found["p_value"][0] == pytest.approx(wanted.pvalue)
    assert found["correlation"][1] == pytest.approx(-1)
