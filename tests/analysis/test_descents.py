"""Counts, steepness, curvature and jumps per descent, against the function they were measured on."""

import numpy as np
import pytest

from gdlab.analysis import descents
from gdlab.data.sampling import Schedule
from gdlab.records import IDLE
from tests.analysis import numpy_descent as reference


@pytest.fixture(scope="module")
def descent():
    record = reference.descend(reference.shifted_bowls, (2.0, 2.0), steps=12, length=4)
    steps, evaluations = reference.tables(record)
    return record, steps, evaluations, descents.per_iteration(steps, evaluations)


def test_steepness_is_that_of_the_ray(descent):
    record, _, _, table = descent
    for k in range(12):
        d = record.directions[k]
        slope = reference.shifted_bowls(record.path[k], k // 4)[1] @ d
        assert table.columns["steepness"][k] == pytest.approx(abs(slope))


def test_the_curvature_is_what_was_computed_and_never_guessed(descent):
    _, steps, evaluations, table = descent
    assert np.isnan(table.columns["curvature"]).all() and np.isnan(descents.totals(table)["curvature"])
    bend = np.arange(len(steps.columns["loss"]), dtype=float)
    bend[3] = np.nan
    known = descents.per_iteration(steps, evaluations, bend)
    np.testing.assert_array_equal(known.columns["curvature"], bend)
    assert descents.per_descent(known).columns["curvature"].tolist()[:2] == [1.0, 5.5]
    # The end of a run is a row from which no iteration goes on.
    ended = descents.per_iteration(steps, evaluations, bend[:-1]).columns["curvature"]
    np.testing.assert_array_equal(ended, [*bend[:-1], np.nan])
    with pytest.raises(ValueError, match="one value for each"):
        descents.per_iteration(steps, evaluations, bend[:-2])


def test_per_descent_counts_and_jumps(descent):
    record, steps, evaluations, table = descent
    rows = descents.per_descent(table).columns
    assert rows["descent"].tolist() == [0, 1, 2] and rows["start"].tolist() == [0, 4, 8]
    assert rows["iterations"].tolist() == [4, 4, 4]
    assert np.isnan(rows["jump"][0])
    theta = record.path[4]
    jump = reference.shifted_bowls(theta, 1)[0] - reference.shifted_bowls(theta, 0)[0]
    assert rows["jump"][1] == pytest.approx(jump)
    assert (rows["evaluations"] * 4).sum() == pytest.approx(len(evaluations.columns["eta"]))
    assert rows["loose_ends"].sum() == (steps.columns["step_size_max"] > steps.columns["step_size"]).sum()
    assert np.all(rows["drop"] > 0)


def test_idle_iterations_do_not_count(descent):
    _, steps, evaluations, _ = descent
    columns = {name: values.copy() for name, values in steps.columns.items()}
    columns["status"][3] = IDLE
    rows = descents.per_descent(descents.per_iteration(steps._replace(columns=columns), evaluations)).columns
    assert rows["iterations"].tolist() == [3, 4, 4]


def test_histogram_counts_every_iteration(descent):
    _, steps, _, table = descent
    histogram = descents.evaluation_histogram(table).columns
    counts = steps.columns["evaluations"][:-1]
    assert histogram["iterations"].sum() == 12
    assert (histogram["evaluations"] * histogram["iterations"]).sum() == counts.sum()
    assert histogram["evaluations"][-1] == counts.max()


def test_totals_agree_with_the_parts(descent):
    _, _, _, table = descent
    totals, rows = descents.totals(table), descents.per_descent(table).columns
    assert totals["iterations"] == 12 and totals["loose_ends"] == rows["loose_ends"].sum()
    assert totals["jump"] == np.nanmax(rows["jump"])
    assert totals["jump_ratio"] == pytest.approx(totals["jump"] / totals["drop"])


def test_settings_come_from_the_configuration_and_the_identity():
    known = {"examples": 1440, "batch_size": 480}
    found = descents.setting({"train": {"steps": 120, "batches": 3, "descent_length": 20}}, known)
    assert found == {"batches": 3, "descent_length": 20, "ratio": 20 / 480}
    whole = descents.setting({"train": {"steps": 120, "batches": 1}}, {"examples": 1440, "batch_size": 1440})
    assert whole == {"batches": 1, "descent_length": 120, "ratio": 120 / 1440}
    assert descents.setting({"train": {"steps": 9, "batches": 4}}, {})["descent_length"] == 1


def test_a_batch_size_gives_the_number_of_batches_as_the_schedule_does():
    config = {"train": {"batch_size": 64, "descent_length": 5}}
    schedule = Schedule(1000, batch_size=64, descent_length=5)
    found = descents.setting(config, {"examples": 1000, "batch_size": 64})
    assert found == {"batches": schedule.batches, "descent_length": 5, "ratio": 5 / schedule.batch_size}


def test_what_a_run_does_not_say_is_not_a_number():
    assert np.isnan(descents.setting({"train": {"batches": 3, "descent_length": 20}}, {})["ratio"])
    assert np.isnan(descents.setting({"train": {"batch_size": 64, "descent_length": 5}}, {})["batches"])
    assert np.isnan(descents.setting({}, {})["descent_length"])


def test_runs_side_by_side(descent):
    _, _, _, table = descent
    totals = descents.totals(table)
    rows = descents.over_runs(
        [("a", descents.setting({}, {}), totals), ("b", descents.setting({}, {}), totals)]
    ).columns
    assert rows["run"].tolist() == ["a", "b"]
    assert rows["loose_share"].tolist() == [totals["loose_ends"] / 12] * 2
    assert list(descents.over_runs([]).columns) == ["run"]


@pytest.mark.parametrize("wrong", [None, "many", [3], 10**400, True, {}])
def test_what_stands_where_a_number_should_is_not_a_number(wrong):
    train = {"batches": wrong, "batch_size": wrong, "descent_length": wrong, "steps": wrong}
    found = descents.setting({"train": train}, {"examples": wrong, "batch_size": wrong})
    assert set(found) == {"batches", "descent_length", "ratio"} and np.isnan(found["ratio"])
    assert np.isnan(
        descents.setting({"train": {"batch_size": 8}}, {"examples": 8, "batch_size": 0})["batches"]
    )
