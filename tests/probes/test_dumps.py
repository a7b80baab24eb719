"""Dumps by replay are the recorded ones; ablation against a network that is changed by hand."""

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis.dumps import open_dumps
from gdlab.analysis.finer_dumps import finer_dumps
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from gdlab.probes import ablation
from tests.recording import record

OVERRIDES = ("experiment=digits_adam", "train.steps=12")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dumps") / "digits"
    record(folder, *OVERRIDES, dumps=3, path=False, checkpoint_seconds=1e-3)
    return folder


def test_dumps_by_replay_equal_the_recorded_ones(folder):
    run = store.open_run(folder)
    table = run_probe(folder, "dumps", {"start": 3, "stop": 12, "every": 3})
    again = finer_dumps(run, table)
    recorded = open_dumps(run)
    assert again.iteration.tolist() == [3, 6, 9] and table.attrs["replay"]["different"] == 0
    assert again.nodes == recorded.nodes and again.classes == recorded.classes
    np.testing.assert_array_equal(again.right(), recorded.right()[1:4])
    for stat in recorded.stats():
        now, then = again.filter(stat), recorded.filter(stat)[1:4]
        if stat in ("change_norm", "cosine_distance"):
            assert np.isnan(now[0]).all()  # nothing was dumped before
            now, then = now[1:], then[1:]
        np.testing.assert_allclose(now, then, rtol=2e-5, atol=1e-7, err_msg=stat)
    finer = finer_dumps(run, run_probe(folder, "dumps", {"start": 6, "stop": 9}))
    assert finer.iteration.tolist() == [6, 7, 8]
    np.testing.assert_array_equal(finer.right()[0], recorded.right()[2])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start": 12, "stop": 13}, "start=12: allowed: 0 to 11"),
        ({"start": 4, "stop": 4}, "stop=4: allowed: 5 to 12"),
        ({"start": 0, "stop": 4, "every": 0}, "every=0: allowed: an integer >= 1"),
    ],
)
def test_an_interval_that_is_not_there_is_refused(folder, options, said):
    with pytest.raises(ValueError, match=said):
        run_probe(folder, "dumps", options)


def test_a_problem_without_classes_is_refused(tmp_path):
    record(tmp_path / "rosenbrock", "experiment=rosenbrock", "train.steps=3")
    for probe, options in (("dumps", {"start": 0, "stop": 2}), ("ablation", {"filters": [0]})):
        with pytest.raises(ValueError, match="predicts no classes"):
            run_probe(tmp_path / "rosenbrock", probe, options)


def test_ablation_is_the_network_without_these_filters(folder):
    replay = Replay(folder)
    problem, test = replay.assembly.problem, replay.assembly.dataset.test
    nodes = open_dumps(replay.run).nodes
    first, last = (next(n for n in order if n.kind != "group") for order in (nodes, nodes[::-1]))
    chosen = [first.first, first.first + 2, last.first + 1]
    table = ablation.compute(replay, filters=chosen, controls=2, progress=lambda fraction, text: None)

    params = replay.params(12)
    changed = {name: dict(layer) for name, layer in params.items()}
    for node, units in ((first, [0, 2]), (last, [1])):
        for part in ("kernel", "bias"):
            array = np.array(changed[node.name][part])
            array[..., units] = 0
            changed[node.name][part] = array
    for tree, column in ((params, "error"), (changed, "without")):
        labels = np.asarray(problem.predict(tree, test["x"])).argmax(axis=1)
        wanted = [(labels[test["y"] == c] != c).mean() for c in range(10)]
        np.testing.assert_allclose(table.columns[column], wanted)
    assert table.columns["control"].shape == (2, 10)
    assert table.attrs["accuracy_without"] == pytest.approx((labels == test["y"]).mean())
    assert table.columns["without"][1] == 1.0  # its own output is gone
    moved = np.asarray(problem.predict(params, test["x"])).argmax(axis=1) != labels
    np.testing.assert_array_equal(table.columns["flipped"], np.bincount(test["y"][moved], minlength=10))


def test_filters_that_are_not_there_are_named(folder):
    for filters in ([], [-1], [10_000]):
        with pytest.raises(ValueError, match=r"filters=.*: allowed: one or more of 0 to"):
            run_probe(folder, "ablation", {"filters": filters})
    with pytest.raises(ValueError, match="controls=-1: allowed: 0 to 20"):
        run_probe(folder, "ablation", {"filters": [0], "controls": -1})
