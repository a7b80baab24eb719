"""Segments pass through the recorded points, loose ends are cut at the view, filters are what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis import segments
from gdlab.records import DIVERGED, SHRINK
from tests.analysis import numpy_descent as reference


@pytest.fixture(scope="module")
def descent():
    record = reference.descend(reference.rosenbrock, (-1.2, 1.0), steps=20)
    steps, evaluations = reference.tables(record)
    samples = reference.samples(record, reference.rosenbrock, 0, len(record.scalars))
    return record, steps, evaluations, samples, segments.assemble(samples, steps, evaluations)


def test_segments_pass_exactly_through_both_dots_and_every_visited_step(descent):
    record, steps, evaluations, _, table = descent
    for k in range(len(record.scalars)):
        xi, value = table.columns["xi"][k], table.columns["value"][k]
        assert value[xi == k] == steps.columns["loss"][k]
        assert value[xi == k + 1] == steps.columns["loss_end"][k]
        rows = np.flatnonzero(evaluations.columns["iteration"] == k)
        for eta, phi in zip(evaluations.columns["eta"][rows], evaluations.columns["phi"][rows], strict=True):
            assert phi in value[np.isclose(xi, k + eta / steps.columns["step_size"][k], rtol=1e-12)]


def test_abscissae_increase_and_recorded_points_are_marked(descent):
    _, _, _, samples, table = descent
    for row in range(len(table.columns["xi"])):
        there = np.isfinite(table.columns["xi"][row])
        assert np.all(np.diff(table.columns["xi"][row][there]) > 0)
        assert not table.columns["recorded"][row][~there].any()
        assert table.columns["recorded"][row].sum() >= 2
    assert table.attrs == samples.attrs


def test_the_record_wins_over_a_recomputed_value(descent):
    _, steps, evaluations, samples, _ = descent
    wrong = samples._replace(columns=samples.columns | {"value": samples.columns["value"] + 1e-3})
    table = segments.assemble(wrong, steps, evaluations)
    assert table.columns["value"][3][table.columns["xi"][3] == 3] == steps.columns["loss"][3]
    assert table.columns["value"][3][table.columns["xi"][3] == 4] == steps.columns["loss_end"][3]


def test_an_end_that_nobody_evaluated_leaves_no_hole(descent):
    """A loop of one's own records no error at the end of a step; the segment was sampled there."""
    _, steps, evaluations, samples, _ = descent
    unknown = np.full(len(steps.columns["loss"]), np.nan)
    columns = steps.columns | {
        "loss_end": unknown,
        "status": np.where(np.arange(len(unknown)) == 5, DIVERGED, 0),
    }
    empty = {name: values[:0] for name, values in evaluations.columns.items()}
    table = segments.assemble(samples, steps._replace(columns=columns), evaluations._replace(columns=empty))
    for k in range(1, 8):
        xi, value = table.columns["xi"][k], table.columns["value"][k]
        inside = (xi >= k) & (xi <= k + 1)
        assert np.isfinite(value[inside & (xi < k + 1)]).all()
        assert np.isfinite(value[xi == k + 1]).all() == (k != 5), "what is known not to be finite stays so"


def test_an_iteration_without_a_step_has_no_segment(descent):
    _, steps, evaluations, samples, _ = descent
    columns = {name: values.copy() for name, values in steps.columns.items()}
    columns["step_size"][2], columns["step_size"][4] = 0.0, np.nan
    table = segments.assemble(samples, steps._replace(columns=columns), evaluations)
    assert np.isnan(table.columns["xi"][2]).all() and np.isnan(table.columns["xi"][4]).all()
    assert np.isfinite(table.columns["xi"][3]).any()


def test_flags_say_what_the_searches_did(descent):
    record, steps, evaluations, _, _ = descent
    marks = segments.flags(steps, evaluations).columns
    for k in range(len(record.scalars)):
        rows = evaluations.columns["iteration"] == k
        assert marks["phase_two"][k] == np.any(evaluations.columns["phase"][rows] == SHRINK)
        assert marks["loose_end"][k] == (
            evaluations.columns["eta"][rows].max() > steps.columns["step_size"][k]
        )
        assert marks["evaluations"][k] == rows.sum()
    assert marks["phase_two"].any() and not marks["phase_two"].all()
    assert not marks["failed"][-1] and not marks["phase_two"][-1]


def test_filters_keep_exactly_what_passes_all_of_them(descent):
    _, steps, evaluations, _, _ = descent
    marks = segments.flags(steps, evaluations)
    assert segments.keep(marks).all()
    both = segments.keep(marks, phase_two=True, more_than=5)
    expected = marks.columns["phase_two"] & (marks.columns["evaluations"] > 5)
    assert np.array_equal(both, expected) and 0 < both.sum() < len(both)
    assert not segments.keep(marks, failed=True).any()


def test_a_failed_search_is_found_by_its_filter():
    record = reference.descend(reference.rosenbrock, (-1.2, 1.0), steps=60)
    steps, evaluations = reference.tables(record)
    marks = segments.flags(steps, evaluations)
    assert np.flatnonzero(segments.keep(marks, failed=True)).tolist() == [len(record.scalars) - 1]


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=30, unique=True),
    st.integers(-10, 1010),
    st.integers(1, 500),
)
def test_clipping_cuts_at_the_border_and_invents_nothing(points, low, width):
    xi = np.sort(np.array(points, float))
    value = np.sqrt(xi)
    padded = np.append(xi, np.nan), np.append(value, np.nan)
    cut_xi, cut_value = segments.clip(*padded, low, low + width)
    inside = (xi >= low) & (xi <= low + width)
    assert set(xi[inside]) <= set(cut_xi)
    assert np.all((cut_xi >= low) & (cut_xi <= low + width))
    np.testing.assert_allclose(cut_value, np.interp(cut_xi, xi, value))
    for border in (low, low + width):
        assert (border in cut_xi) == (xi[0] <= border <= xi[-1])


def test_without_its_loose_end_a_segment_joins_its_two_dots(descent):
    _, _, _, _, table = descent
    for k, xi, value in zip(*(table.columns[name] for name in ("iteration", "xi", "value")), strict=True):
        short, _ = segments.without_loose_end(xi, value, k)
        assert (short[0], short[-1]) == (k, k + 1)


def test_the_training_sets_error_has_samples_and_no_recorded_points(descent):
    _, _, _, samples, _ = descent
    table = segments.sampled_only(samples)
    assert not table.columns["recorded"].any()
    np.testing.assert_array_equal(table.columns["xi"][4], 4 + samples.columns["offset"][4])
    np.testing.assert_array_equal(table.columns["value"], samples.columns["value"])
