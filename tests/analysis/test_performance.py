"""Measures of performance: against loops over the rows, NumPy's and SciPy's own."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import rankdata

from gdlab.analysis import performance
from tests.analysis.made_ensembles import config, make
from tests.analysis.test_ensemble import open_ensemble

NAN = np.nan
rows = arrays.arrays(float, (5, 6), elements=st.sampled_from([0.1, 0.2, 0.35, 0.6, 0.9, NAN]))


def ensemble(accuracy, step=None, holds=None):
    """What the measures look at of an Ensemble."""
    accuracy = np.asarray(accuracy, float)
    step = np.arange(accuracy.shape[1]) * 10 if step is None else np.asarray(step)
    holds = np.zeros(len(accuracy), bool) if holds is None else np.asarray(holds)
    return SimpleNamespace(score=accuracy, step=step, holds=holds, runs=(None,) * len(accuracy))


FOUR = ensemble(
    [[0.1, 0.5, 0.4, 0.8], [0.1, NAN, 0.6, 0.7], [0.1, 0.3, NAN, NAN], [0.1, 0.2, NAN, NAN]],
    holds=[False, False, False, True],
)


def test_accuracy_at_a_time_is_the_last_one_recorded():
    np.testing.assert_array_equal(performance.accuracy_at(FOUR, 10), [0.5, 0.1, 0.3, 0.2])
    np.testing.assert_array_equal(performance.accuracy_at(FOUR, 19.9), [0.5, 0.1, 0.3, 0.2])
    # The third run did not come so far; the fourth is over for good, and as bad as ever.
    np.testing.assert_array_equal(performance.accuracy_at(FOUR, 20), [0.4, 0.6, NAN, 0.2])
    np.testing.assert_array_equal(performance.accuracy_at(FOUR, 1e9), [0.8, 0.7, NAN, 0.2])
    # Nothing is known before the first row.
    np.testing.assert_array_equal(performance.accuracy_at(FOUR, -5), [NAN] * 4)


def test_best_accuracy_and_stability_within_a_time():
    np.testing.assert_array_equal(performance.best_accuracy(FOUR, 10, 20), [0.5, 0.6, NAN, 0.2])
    np.testing.assert_array_equal(performance.best_accuracy(FOUR, 0, 10), [0.5, 0.1, 0.3, 0.2])
    # No row of any run lies there; of the second none lies at 10, though 0.1 was true then, too.
    np.testing.assert_array_equal(performance.best_accuracy(FOUR, 11, 12), [NAN] * 4)
    np.testing.assert_array_equal(performance.best_accuracy(FOUR, 10, 10), [0.5, NAN, 0.3, 0.2])
    s = performance.deviation(FOUR, 10, 30)
    np.testing.assert_allclose(s, [np.std([0.5, 0.4, 0.8]), np.std([0.6, 0.7]), NAN, 0])
    assert s[3] == 0  # exactly: else noise would be scaled where all runs are constant
    p3 = performance.stability(FOUR, 10, 30)
    np.testing.assert_allclose(p3, [0, (s[0] - s[1]) / s[0], NAN, 1])
    assert np.isnan(performance.deviation(FOUR, 11, 19)).all()
    for measure in (performance.best_accuracy, performance.stability):
        with pytest.raises(ValueError, match="20 to 10"):
            measure(FOUR, 20, 10)


def naive_known(accuracy, holds):
    """Row by row, time by time."""
    out = np.full(accuracy.shape, NAN)
    for m, row in enumerate(accuracy):
        value, last = NAN, max((k for k, v in enumerate(row) if np.isfinite(v)), default=-1)
        for k, v in enumerate(row):
            value = v if np.isfinite(v) else value
            if k <= last or holds[m]:
                out[m, k] = value
    return out


@given(rows, arrays.arrays(bool, 5), st.integers(-5, 60), st.integers(0, 40))
def test_measures_of_anything_equal_loops(accuracy, holds, start, length):
    given_, stop = ensemble(accuracy, holds=holds), start + length
    known = naive_known(accuracy, holds)
    np.testing.assert_array_equal(performance.known(given_), known)
    inside = [k for k, s in enumerate(given_.step) if start <= s <= stop]
    best = performance.best_accuracy(given_, start, stop)
    spread = performance.deviation(given_, start, stop)
    for m in range(len(accuracy)):
        if inside:
            last = max((k for k in range(6) if np.isfinite(accuracy[m, k])), default=9)
            recorded = [known[m, k] for k in inside if np.isfinite(accuracy[m, k]) or k > last]
            wanted = max(recorded) if recorded and np.isfinite(known[m, inside[-1]]) else NAN
            np.testing.assert_equal(best[m], wanted)
            enough = len(recorded) > 1 and np.isfinite(known[m, inside[-1]])
            np.testing.assert_allclose(spread[m], np.std(recorded) if enough else NAN, atol=1e-12)
        else:
            assert np.isnan(spread[m]) and np.isnan(best[m])
    p3 = performance.stability(given_, start, stop)
    assert ((p3 >= 0) & (p3 <= 1) | np.isnan(p3)).all()
    np.testing.assert_array_equal(np.isnan(p3), np.isnan(spread))


def test_stability_where_all_are_alike_or_none_can_be_had():
    np.testing.assert_array_equal(performance.reversed_scale([0.2, 0.2, NAN]), [1, 1, NAN])
    np.testing.assert_array_equal(performance.reversed_scale([3, 1, 2]), [0, 1, 0.5])
    assert np.isnan(performance.reversed_scale([NAN, NAN])).all()
    assert performance.reversed_scale([]).shape == (0,)


def test_rescaling_clamps():
    np.testing.assert_allclose(
        performance.rescale([0.8, 0.85, 0.89, 0.95, NAN], 0.85, 0.93), [0, 0, 0.5, 1, NAN]
    )
    with pytest.raises(ValueError, match="range 1 to 1"):
        performance.rescale([0], 1, 1)


@given(rows)
def test_ranks_equal_scipys(accuracy):
    wanted = rankdata(-np.where(np.isfinite(accuracy), accuracy, -1.0), axis=0)
    np.testing.assert_array_equal(performance.ranks(accuracy), wanted)


@given(rows, st.sampled_from([0, 0.5, 1, 2]))
def test_settled_equals_a_search_from_the_end(accuracy, tolerance):
    ranks, step = performance.ranks(accuracy), np.array([0, 3, 4, 10, 20, 21])
    found = performance.settled(ranks, step, tolerance)
    for row, iteration in zip(ranks, found, strict=True):
        k = len(step) - 1
        while k > 0 and abs(row[k - 1] - row[-1]) <= tolerance:
            k -= 1
        assert iteration == step[k]
    with pytest.raises(ValueError, match="tolerance=-1"):
        performance.settled(ranks, step, -1)


def test_advice_says_when_the_rest_could_have_been_stopped():
    step = np.array([0, 10, 20, 30, 40])
    #               all alike; the best is 2nd; 1st; 3rd; 1st
    accuracy = [
        [0.1, 0.4, 0.6, 0.6, 0.9], [0.1, 0.5, 0.5, 0.7, 0.8], [0.1, 0.3, 0.4, 0.65, 0.7],
        [0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.3, NAN, NAN, NAN],
    ]  # fmt: skip
    found = performance.advice(accuracy, step, best=0.25, kept=(0.75, 0.25, 0.5))
    assert found.attrs == {"best": 0.25, "runs": 4, "left_out": 1}
    np.testing.assert_array_equal(found.columns["kept"], [0.25, 0.5, 0.75])
    np.testing.assert_array_equal(found.columns["iteration"], [NAN, NAN, 10])
    np.testing.assert_allclose(found.columns["saved"], [NAN, NAN, 0.25 * 30 / 40])
    for bad in (0, 1.1):
        with pytest.raises(ValueError, match="allowed: shares"):
            performance.advice(accuracy, step, best=bad)


@given(rows, st.sampled_from([0.2, 0.4, 1.0]), st.sampled_from([0.2, 0.4, 0.6, 0.8]))
def test_advice_equals_a_search_through_all_times(accuracy, best, kept):
    step = np.arange(6) * 10 + 10
    found = performance.advice(accuracy, step, best, (kept,))
    used = [row for row in accuracy if np.isfinite(row[-1])]
    assert found.attrs["left_out"] == len(accuracy) - len(used)
    rows = [[v if np.isfinite(v) else -1 for v in row] for row in used]
    count, wanted = len(rows), NAN
    if rows:
        limit = np.ceil(round(best * count, 9))
        top = [row for row in rows if sum(other[-1] > row[-1] for other in rows) + 1 <= limit]
        most = np.ceil(round(kept * count, 9))

        def kept_at(k):
            return all(sum(other[k] >= row[k] for other in rows) <= most for row in top)

        wanted = next((step[k] for k in range(5) if all(kept_at(j) for j in range(k, 6))), NAN)
    np.testing.assert_equal(found.columns["iteration"][0], wanted)


def test_cells_are_means_over_the_runs_of_each():
    rate = np.array([0.1, 0.2, 0.1, 0.2, NAN, 0.1])
    rule = np.array(["b", "a", "b", "b", "a", ""], object)
    found = performance.cells(rate, rule, [1, 2, 4, NAN, 9, 9])
    assert found.rows.tolist() == [0.1, 0.2] and found.columns.tolist() == ["a", "b"]
    np.testing.assert_array_equal(found.mean, [[NAN, 2.5], [2, NAN]])
    assert found.cell.tolist() == [1, 2, 1, 3, -1, -1]


def test_of_one_run_and_of_none(tmp_path):
    none = open_ensemble([])
    assert performance.accuracy_at(none, 10).shape == performance.stability(none, 0, 10).shape == (0,)
    assert performance.best_accuracy(none, 0, 10).shape == (0,)
    assert performance.ranks(none.accuracy).shape == (0, 0)
    assert performance.settled(none.accuracy, none.step).shape == (0,)
    assert performance.advice(none.accuracy, none.step).attrs["runs"] == 0
    one = open_ensemble([make(tmp_path / "one", config(), (0, 50, 100), (0.1, 0.2, 0.3))])
    assert performance.accuracy_at(one, 60) == [0.2] and performance.stability(one, 0, 100) == [1]
    assert performance.settled(performance.ranks(one.accuracy), one.step) == [0]
    without = open_ensemble([make(tmp_path / "without", config())])
    for values in (performance.accuracy_at(without, 1), performance.stability(without, 0, 1)):
        np.testing.assert_array_equal(values, [NAN])
