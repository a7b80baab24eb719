"""The overview: dots with two values at a batch change, axes, exact smoothing, time positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis import steps
from tests.analysis import numpy_descent as reference


def test_dots_are_the_recorded_errors_and_end_with_the_last_one_reached():
    record = reference.descend(reference.rosenbrock, (-1.2, 1.0), steps=12)
    table, _ = reference.tables(record)
    dots = steps.dots(table)
    assert len(dots.columns["loss"]) == 13
    for k in (0, 5, 12):
        assert dots.columns["loss"][k] == reference.rosenbrock(record.path[k])[0]
    assert not dots.columns["two"].any()


def test_a_batch_change_gives_two_values_and_only_there():
    record = reference.descend(reference.shifted_bowls, (2.0, 2.0), steps=12, length=4)
    dots = steps.dots(reference.tables(record)[0]).columns
    assert np.flatnonzero(dots["two"]).tolist() == [4, 8]
    assert dots["arrived"][4] == reference.shifted_bowls(record.path[4], 0)[0]
    assert dots["loss"][4] == reference.shifted_bowls(record.path[4], 1)[0]


@pytest.mark.parametrize(
    ("values", "requested", "scale"),
    [
        ([1, 2, np.nan], "auto", "log"),
        ([1, 0], "auto", "linear"),
        ([1, -1], "log", "symlog"),
        ([1, 2], "linear", "linear"),
        ([1, 2], "symlog", "symlog"),
        ([np.inf, np.nan], "auto", "linear"),
        ([], "log", "log"),
    ],
)
def test_axis_scale(values, requested, scale):
    assert steps.axis_scale(values, requested) == scale


def test_unknown_scale_names_the_allowed_ones():
    with pytest.raises(ValueError, match="'cubic' is not one of auto, log, linear, symlog"):
        steps.axis_scale([1.0], "cubic")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True)), st.sampled_from(["log", "linear"]))
def test_the_range_holds_every_value_it_can_show(values, scale):
    values = np.clip(values, -1e150, 1e150)
    low, high = steps.view_range(values, scale)
    assert low < high
    shown = values[np.isfinite(values) & ((scale == "linear") | (values > 1e-150))]
    assert np.all((shown >= low) & (shown <= high))


@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=60),
    st.floats(0, 0.999),
)
def test_smoothing_equals_the_plain_recursion(values, weight):
    expected, total, mass = [], 0.0, 0.0
    for value in values:
        if np.isfinite(value):
            total, mass = weight * total + value, weight * mass + 1
        expected.append(total / mass if np.isfinite(value) else np.nan)
    np.testing.assert_allclose(steps.smooth(values, weight), expected, rtol=1e-9, atol=1e-6)


def test_smoothing_weight_outside_its_range_is_refused():
    for weight in (1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="outside"):
            steps.smooth([1.0], weight)


def test_symlog_is_odd_monotone_and_its_ticks_are_true():
    values = np.array([-1e3, -1.0, -1e-6, 0, 1e-6, 1.0, 1e3])
    placed = steps.symlog(values, 1e-3)
    assert np.all(np.diff(placed) > 0)
    np.testing.assert_allclose(placed, -placed[::-1])
    ticks = steps.symlog_ticks(placed[0], placed[-1], 1e-3)
    assert 0.0 in ticks.values() and 3 <= len(ticks) <= 11
    for position, value in ticks.items():
        assert position == pytest.approx(float(steps.symlog(value, 1e-3)))


def test_positions_keep_one_row_on_each_side():
    seconds = [0.0, 1.0, 2.0, 3.0, 4.0]
    assert steps.positions(seconds, 1.5, 2.5) == (1, 4)
    assert steps.positions(seconds, -5, 50) == (0, 5)


def test_ranges_in_words():
    assert steps.ranges([27, 25, 26, 30]) == "25–27, 30"
    assert steps.ranges([1, 3, 5, 7, 9, 11], limit=2) == "1, 3, and 4 more"
    assert steps.ranges([]) == ""


EXTREME = [
    [1e-308, 1.7e308], [1.7e308], [1.7e308, 1.69e308], [5e-324], [0.0], [-1.7e308, 1.7e308], [np.nan, np.inf],
    [-1.7e308], [],
]  # fmt: skip


@pytest.mark.parametrize("values", EXTREME, ids=str)
@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("margin", [0.05, 0.35])
def test_limits_are_numbers_however_large_or_small_the_errors(values, scale, margin):
    low, high = steps.view_range(np.array(values), scale, margin=margin)
    assert np.isfinite([low, high, high - low]).all() and low < high
    assert low > 0 or scale == "linear"


@pytest.mark.parametrize("values", EXTREME, ids=str)
def test_a_symlog_axis_has_ticks_however_large_or_small_the_errors(values):
    threshold = steps.symlog_threshold(values)
    drawn = steps.symlog(np.array(values), threshold)
    finite = np.isfinite(values)
    assert np.isfinite(drawn[finite]).all()
    low, high = steps.view_range(drawn, "linear")
    ticks = steps.symlog_ticks(low, high, threshold)
    assert all(np.isfinite([place, value]).all() and low <= place <= high for place, value in ticks.items())


def test_symlog_of_a_quotient_too_large_for_a_number_is_its_logarithm():
    assert steps.symlog(1e300, 1e-300) == pytest.approx(600)
    assert steps.symlog(-1e300, 1e-300) == pytest.approx(-600)
