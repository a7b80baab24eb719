"""The straight line between two points of a training: against direct evaluation."""

import jax
import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from gdlab.monitors.evaluation import make_error, sample
from gdlab.probes.interpolation import WHOLE
from tests import recording


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return recording.digits(tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """A whole training set at once: the recorded error is the error on all of it."""
    return recording.record(
        tmp_path_factory.mktemp("runs") / "batch", "experiment=galaxy_batch", "train.steps=12"
    )


def test_the_ends_are_the_recorded_errors(batch):
    table = run_probe(batch.path, "interpolation", {"samples": None, "points": 5})
    loss = batch.table("steps").columns["loss"]
    whole = table.columns["loss"][0]
    np.testing.assert_allclose(whole[[0, -1]], loss[[0, 12]], rtol=1e-12)
    # One layer alone ends at the same point, but does not begin at theta_0.
    np.testing.assert_allclose(table.columns["loss"][:, -1], loss[12], rtol=1e-12)
    assert (table.columns["loss"][1:, 0] != loss[0]).all()


def test_points_between_equal_a_direct_evaluation(digits):
    options = {"start": 4, "stop": 20, "points": 6, "low": -0.5, "high": 1.5, "on": "test", "samples": 200}
    table = run_probe(digits.path, "interpolation", options)
    columns = table.columns
    assert columns["curve"].tolist() == [WHOLE, "dense1", "dense2"]
    assert {0.0, 1.0} <= set(columns["alpha"].tolist()) and len(columns["alpha"]) == 8
    replay = Replay(digits.path)
    first, last = replay.params(4), replay.params(20)
    data = sample(replay.assembly.dataset, "test", 200)
    problem = replay.assembly.problem
    a = columns["alpha"][1]
    for number, curve in enumerate(columns["curve"]):
        mixed = {
            name: jax.tree.map(lambda s, e: (1 - a) * s + a * e, first[name], last[name])
            if curve in (WHOLE, name)
            else last[name]
            for name in last
        }
        label = np.asarray(problem.predict(mixed, data["x"])).argmax(axis=1)
        assert columns["loss"][number, 1] == pytest.approx(float(problem.loss(mixed, data)), rel=1e-4)
        assert columns["accuracy"][number, 1] == pytest.approx(accuracy_score(data["y"], label))


def test_distances_add_up(digits):
    columns = run_probe(digits.path, "interpolation", {"points": 2, "samples": 50}).columns
    parts = dict(zip(columns["curve"], columns["distance"], strict=True))
    assert parts[WHOLE] ** 2 == pytest.approx(parts["dense1"] ** 2 + parts["dense2"] ** 2)
    path = np.asarray(digits.array("path"), float)
    assert parts[WHOLE] == pytest.approx(np.linalg.norm(path[-1] - path[0]), rel=1e-6)


def test_what_was_computed_survives_a_cancelled_probe(digits):
    class Enough(BaseException):
        pass

    def cancel(fraction, text):
        if fraction > 0.5:
            raise Enough

    options = {"points": 7, "samples": 60}
    with pytest.raises(Enough):
        run_probe(digits.path, "interpolation", options, cancel)
    seen = []
    table = run_probe(digits.path, "interpolation", options, lambda fraction, text: seen.append(fraction))
    assert len(seen) < 3 * len(table.columns["alpha"]) * 0.6
    again = []
    same = run_probe(digits.path, "interpolation", options, lambda fraction, text: again.append(fraction))
    assert not again
    np.testing.assert_array_equal(same.columns["loss"], table.columns["loss"])


def test_problems_without_data_have_no_accuracy(tmp_path):
    run = recording.rosenbrock(tmp_path / "run")
    columns = run_probe(run.path, "interpolation", {"points": 3}).columns
    assert columns["curve"].tolist() == [WHOLE]
    assert columns["loss"][0, 0] == pytest.approx(24.2)
    assert np.isnan(columns["accuracy"]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"points": 1}, "points=1: allowed: 2"),
        ({"low": 1.0, "high": 0.5}, "low < high"),
        ({"start": 3, "stop": 3}, "two different points"),
        ({"stop": 99}, "stop=99: allowed: an iteration, 0 to 24"),
        ({"layers": "dense3"}, "Did you mean 'dense"),
        ({"on": "valid"}, "train, test"),
        ({"samples": 0}, "samples=0"),
    ],
)
def test_wrong_options_are_named(digits, options, said):
    with pytest.raises(ValueError, match=said):
        run_probe(digits.path, "interpolation", options)


def test_blocks_weigh_by_their_size(digits, monkeypatch):
    replay = Replay(digits.path)
    params, problem = replay.params(24), replay.assembly.problem
    data = sample(replay.assembly.dataset, "test", None)
    at_once = make_error(problem, data, classes=True)(params)
    monkeypatch.setattr("gdlab.monitors.evaluation.BLOCK", 100)
    np.testing.assert_allclose(make_error(problem, data, classes=True)(params), at_once, rtol=1e-5)
