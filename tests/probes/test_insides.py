"""Filters, feature maps, saliency, activations, confusion: against the model asked directly."""

import jax
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from tests import recording


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    overrides = ("experiment=digits_cg", "model=modified_lenet", "model.filters=[3]", "train.steps=10")
    return recording.record(tmp_path_factory.mktemp("runs") / "run", *overrides)


@pytest.fixture(scope="module")
def replay(run):
    return Replay(run.path)


def test_confusion_equals_scikit_learns(run, replay):
    table = run_probe(run.path, "confusion", {"iteration": 7})
    data = replay.assembly.dataset.test
    label = np.asarray(replay.assembly.problem.predict(replay.params(7), data["x"])).argmax(axis=1)
    np.testing.assert_array_equal(table.columns["confusion"], confusion_matrix(data["y"], label))
    recall = recall_score(data["y"], label, average=None)
    precision = precision_score(data["y"], label, average=None, zero_division=np.nan)
    np.testing.assert_allclose(table.columns["recall"], recall)
    np.testing.assert_allclose(table.columns["precision"], precision)
    assert table.attrs["accuracy"] == pytest.approx((label == data["y"]).mean())
    assert run_probe(run.path, "confusion", {"on": "train", "samples": 30}).attrs["examples"] == 30


def test_filters_are_the_kernels(run, replay):
    table = run_probe(run.path, "filters", {})
    assert table.attrs["layers"] == ["conv1", "dense1"]
    np.testing.assert_array_equal(table.columns["conv1"], replay.params(10)["conv1"]["kernel"])
    assert table.columns["conv1"].shape == (3, 3, 1, 3)


def test_feature_maps_and_saliency_are_the_models(run, replay):
    table = run_probe(run.path, "feature_maps", {"image": 5, "iteration": 10, "target": 3})
    params, problem = replay.params(10), replay.assembly.problem
    x = replay.assembly.dataset.test["x"][5:6]
    for name, array in problem.activations(params, x).items():
        np.testing.assert_allclose(table.columns[name], array[0], rtol=1e-6)
    assert table.columns["conv1"].shape == (6, 6, 3)
    # A second route to the gradient: central differences of the logit, pixel by pixel.
    for row, column in ((2, 3), (5, 4)):
        nudge = np.zeros_like(x)
        nudge[0, row, column, 0] = 1e-2
        up, down = (float(problem.predict(params, x + sign * nudge)[0, 3]) for sign in (1, -1))
        assert table.columns["saliency"][row, column] == pytest.approx(abs(up - down) / 2e-2, abs=2e-3)
    assert table.attrs["predicted"] == int(np.argmax(problem.predict(params, x)))


def test_activations_are_counted_once_each(run, replay):
    table = run_probe(run.path, "activations", {"samples": None, "bins": 10})
    data = replay.assembly.dataset.test["x"]
    found = replay.assembly.problem.activations(replay.params(10), data)
    assert table.columns["layer"].tolist() == list(found)
    for number, array in enumerate(found.values()):
        assert table.columns["count"][number].sum() == array.size
        count, _ = np.histogram(np.asarray(array, float), bins=10)
        assert np.abs(table.columns["count"][number] - count).sum() <= 4  # float32 sums in another order
        assert table.columns["mean"][number] == pytest.approx(float(array.mean()), abs=1e-5)


def test_units_that_never_respond_are_silent(run, monkeypatch):
    def silenced(self, iteration):
        params = jax.tree.map(np.array, Replay(run.path)._state_at(iteration, lambda *_: None).params)
        params["conv1"]["kernel"][..., 1] = 0
        params["conv1"]["bias"][1] = -1
        return params

    monkeypatch.setattr(Replay, "params", silenced)
    table = run_probe(run.path, "activations", {"samples": 100})
    assert table.columns["silent"][0] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("probe", "options", "said"),
    [
        ("confusion", {"iteration": 11}, "iteration=11: allowed: 0 to 10"),
        ("confusion", {"on": "all"}, "train, test"),
        ("filters", {"iteration": -1}, "0 to 10"),
        ("feature_maps", {"image": 999}, "image=999: allowed: 0 to 358"),
        ("feature_maps", {"target": 10}, "target=10: allowed: 0 to 9"),
        ("activations", {"bins": 1}, "bins=1: allowed: 2"),
    ],
)
def test_wrong_options_are_named(run, probe, options, said):
    with pytest.raises(ValueError, match=said):
        run_probe(run.path, probe, options)


@pytest.mark.parametrize("probe", ["confusion", "feature_maps", "activations", "filters"])
def test_runs_without_a_network_are_refused(tmp_path, probe):
    run = recording.rosenbrock(tmp_path / "run")
    with pytest.raises(ValueError, match=r"no layer|no classes|no network"):
        run_probe(run.path, probe, {})
