"""Segments pass through what was recorded, noise is marked where it is, and work is never done twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis import segments as assembly
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from gdlab.plan.builder import ConfigError
from gdlab.probes.segments import SAMPLES, offsets
from tests import recording

EPSILON = {"rosenbrock": np.finfo(np.float64).eps, "digits": np.finfo(np.float32).eps}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return {"rosenbrock": recording.rosenbrock(root / "r"), "digits": recording.digits(root / "d", steps=12)}


@pytest.fixture(scope="module")
def rosenbrock(runs):
    return run_probe(runs["rosenbrock"].path, "segments", {"start": 0, "stop": 1000})


def refuse(*arguments, **options):
    raise AssertionError("replayed")


@pytest.mark.parametrize("name", ["rosenbrock", "digits"])
def test_segments_pass_through_the_recorded_points(runs, name):
    run = runs[name]
    samples = run_probe(run.path, "segments", {"start": 0, "stop": 1000}).columns
    steps, trace = run.table("steps").columns, run.table("evaluations").columns
    drawn = np.isfinite(samples["offset"][:, 0])
    assert drawn.sum() > 8
    for k in np.flatnonzero(drawn):
        offset, value = samples["offset"][k], samples["value"][k]
        scale = np.abs(trace["phi"][trace["iteration"] == k]).max() + abs(steps["loss"][k])
        bits = 32 * EPSILON[name] * scale
        assert abs(value[offset == 0][0] - steps["loss"][k]) <= bits
        assert abs(value[offset == 1][0] - steps["loss_end"][k]) <= bits
        # The same at every step width the search visited, which the probe evaluates and compares itself.
        assert samples["difference"][k] <= bits
        reach = steps["step_size_max"][k] / steps["step_size"][k]
        assert np.nanmax(offset) == pytest.approx(max(reach, 1.0))


def test_a_segment_agrees_with_the_error_function(runs, rosenbrock):
    path = runs["rosenbrock"].array("path")
    for k in (0, 7, 13):
        there = rosenbrock.columns["offset"][k]
        there = there[np.isfinite(there)]
        t1, t2 = (path[k] + there[:, None] * (path[k + 1] - path[k])).T
        expected = 100 * (t2 - t1**2) ** 2 + (1 - t1) ** 2
        np.testing.assert_allclose(rosenbrock.columns["value"][k][: len(there)], expected, rtol=1e-9)


def test_noise_is_marked_at_the_end_and_only_there(rosenbrock):
    marked = rosenbrock.columns["iteration"][rosenbrock.columns["noisy"]]
    assert 24 <= marked[0] <= 26 and (np.diff(marked) == 1).all()
    assert rosenbrock.columns["noise"][22] < 1e-3 < rosenbrock.attrs["threshold"]
    drawn = np.flatnonzero(np.isfinite(rosenbrock.columns["offset"][:, 0]))
    assert marked[-1] == drawn[-1]


def test_a_step_of_length_zero_has_no_segment(runs, rosenbrock):
    assert runs["rosenbrock"].table("steps").columns["step_size"][26] == 0
    assert np.isnan(rosenbrock.columns["value"][26]).all() and not rosenbrock.columns["noisy"][26]
    # Nor do later iterations exist: the interval is cut to what was recorded.
    assert rosenbrock.columns["iteration"].tolist() == list(range(27))


def test_the_analysis_draws_what_the_probe_returns(runs, rosenbrock):
    run = runs["rosenbrock"]
    table = assembly.assemble(rosenbrock, run.table("steps"), run.table("evaluations")).columns
    assert table["recorded"].sum() >= run.table("steps").columns["evaluations"][:-2].sum()


def test_a_second_call_reads_the_cache(runs, rosenbrock, monkeypatch):
    monkeypatch.setattr(Replay, "steps", refuse)
    again = run_probe(runs["rosenbrock"].path, "segments", {"start": 3, "stop": 27})
    for name, column in again.columns.items():
        np.testing.assert_array_equal(column, rosenbrock.columns[name][3:])


def test_a_cancelled_probe_keeps_what_it_has(runs, monkeypatch):
    path, options = runs["digits"].path, {"start": 0, "stop": 12, "on": "train"}

    class Cancelled(Exception):
        pass

    def cancel(fraction, text):
        assert 0 <= fraction <= 1
        if text == "segment 5":
            raise Cancelled

    with pytest.raises(Cancelled):
        run_probe(path, "segments", options, cancel)
    replayed, steps = [], Replay.steps

    def watched(replay, *arguments):
        for step in steps(replay, *arguments):
            replayed.append(step.iteration)
            yield step

    monkeypatch.setattr(Replay, "steps", watched)
    table = run_probe(path, "segments", options)
    assert replayed == list(range(5, 12))
    assert np.isfinite(table.columns["value"][:, 0]).all()


def test_the_training_set_s_error_is_another_curve(runs):
    path = runs["digits"].path
    batch, train = (
        run_probe(path, "segments", {"start": 1, "stop": 3, "on": on}).columns for on in ("batch", "train")
    )
    np.testing.assert_array_equal(batch["offset"], train["offset"])
    assert (batch["value"][:, 0] != train["value"][:, 0]).all()
    assert np.isnan(train["difference"]).all() and np.isfinite(batch["difference"]).all()
    replay = Replay(path)
    expected = replay.assembly.problem.loss(replay.params(1), replay.assembly.data, key=None)
    assert train["value"][0, 0] == pytest.approx(float(expected), rel=1e-5)


@given(st.floats(1, 1e6))
def test_offsets_hold_both_ends_and_increase(ratio):
    where = offsets(ratio)
    inside = where[np.isfinite(where)]
    assert where.shape == (SAMPLES,) and inside[0] == 0 and 1 in inside
    assert (np.diff(inside) > 0).all() and inside[-1] == pytest.approx(ratio)


@pytest.mark.parametrize("ratio", [0.0, np.nan, np.inf, -1.0])
def test_no_offsets_without_a_step(ratio):
    assert np.isnan(offsets(ratio)).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start": 0, "stop": 5, "on": "test"}, "on='test': allowed: batch, train"),
        ({"start": -1, "stop": 5}, "start=-1"),
        ({"start": 0.5, "stop": 5}, "start=0.5"),
        ({"start": 5, "stop": 5}, "stop must be above start"),
    ],
)
def test_wrong_options_are_named(runs, options, said):
    with pytest.raises(ValueError, match=said):
        run_probe(runs["rosenbrock"].path, "segments", options)


def test_an_unknown_probe_is_named(runs):
    with pytest.raises(ConfigError, match="Did you mean 'segments'"):
        run_probe(runs["rosenbrock"].path, "segment", {})


@pytest.mark.parametrize(
    ("name", "said"), [("digits", "codes of 10 dimensions"), ("rosenbrock", "labelled data")]
)
def test_runs_without_one_dimensional_codes_are_told_so(runs, name, said):
    with pytest.raises(ValueError, match=said):
        run_probe(runs[name].path, "codes", {})
