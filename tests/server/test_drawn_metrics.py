"""Where a metric lies on the x axis of a curve that has iterations of its own."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import gdlab
from server.ui.clock import Clock
from server.views.curve import metrics
from server.views.validation import _Validation


@pytest.fixture(params=[(0, 1, 2, 3), (4, 6, 8, 10)], ids=["all", "gaps"])
def run(request, tmp_path):
    """The error was written at some iterations, a metric before, at, between and behind these."""
    steps, lines = request.param, []
    for step in sorted({0, 5, 11, 40, *steps}):
        row = {"step": step, "timestamp": 1.7e9 + step, "loss": 1 / (1 + step), "reward": float(step)}
        given = {"loss": step in steps, "reward": step in (0, 5, steps[1], 11, 40)}
        lines.append(json.dumps({name: value for name, value in row.items() if given.get(name, True)}))
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    gdlab.import_runs(tmp_path / "a.jsonl", tmp_path / "run")
    return gdlab.open_run(tmp_path / "run")


@pytest.mark.parametrize("log", [False, True])
def test_a_metric_is_drawn_at_its_own_iteration(run, log):
    clock = Clock(run, log=log)
    low, high = metrics.extent(run, clock, "reward")
    sent = metrics.load(run, clock, low, high, 0.0, "reward")
    np.testing.assert_allclose(sent.line["x"] - log, sent.line["y"])
    assert sent.line["y"].max() == 40 and high == 40 + log
    np.testing.assert_array_equal(sent.dots["iteration"], sent.dots["y"])
    np.testing.assert_array_equal(metrics.overview(run, clock, "reward")["x"], sent.line["x"])
    assert metrics.extent(run, clock, metrics.ERROR)[1] < 40


def test_on_an_axis_of_time_what_has_no_place_is_left_out_in_words(run):
    clock = Clock(run, "relative")
    sent = metrics.load(run, clock, *metrics.extent(run, clock, "reward"), 0.0, "reward")
    assert 40.0 not in sent.line["y"] and run.table("metric/reward").columns["value"][-1] == 40.0
    left = run.rows("metric/reward") - len(sent.line["y"])
    (_, said) = metrics.words(run, clock, "reward")
    assert said.startswith(f"{left} of its values, at iterations beyond those of the error,") and left > 0
    assert metrics.words(run, Clock(run), "reward") == ["reward, as it was measured."]
    assert metrics.words(run, clock, "other") == ["This run has not measured other."]


@pytest.mark.parametrize("axis", ["iteration", "relative"])
def test_a_validation_lies_above_the_error_of_its_iteration(tmp_path, axis):
    rows = [{"step": step, "timestamp": 1.7e9 + step, "loss": 1.0} for step in range(100, 500, 10)]
    for row in rows[5::10]:
        row["val/accuracy"] = row["step"] / 500
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    gdlab.import_runs(tmp_path / "a.jsonl", tmp_path / "run")
    run = gdlab.open_run(tmp_path / "run")
    view = object.__new__(_Validation)
    view.context = SimpleNamespace(run=lambda name: run)
    view.viewport = SimpleNamespace(clock=lambda run: Clock(run, axis))
    shown = {}
    made = SimpleNamespace(show=lambda kind, name, x, y, k: shown.setdefault(kind, (x, k)), fit=lambda: None)
    view.names, view.lines = ["run"], {"accuracy": made}
    view.draw(0.0, 1e9)
    x, k = shown["validation"]
    assert k.tolist() == [150, 250, 350, 450]
    np.testing.assert_allclose(x, k if axis == "iteration" else [40, 140, 240, 340])


def test_dots_and_their_iterations_are_each_others_inverse(run):
    clock = Clock(run)
    k = np.array([0, 0.5, 1, 2.25, 3, 4, 7])
    np.testing.assert_allclose(clock.dot(clock.number(k)), k)
    assert clock.dot(clock.number(np.array([-1]))).tolist() == [-1]
