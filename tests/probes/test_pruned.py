"""A network without filters against the ablation of the same, and the dead ones against the record."""

import json

import flax.traverse_util
import jax
import numpy as np
import pytest

from gdlab.analysis.dumps import open_dumps
from gdlab.commands.probe_task import save
from gdlab.execution.replay import Replay
from gdlab.models.pruning import narrowed
from gdlab.probes import ablation, pruned
from tests.recording import DYING, record


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pruned") / "digits"
    record(folder, *DYING)
    return Replay(folder)


def ask(replay, probe=pruned, **options):
    return probe.compute(replay, **options, progress=lambda share, words: None)


def test_chosen_filters_are_worth_what_the_ablation_says(replay):
    filters = [0, 5, 30]
    table, other = (
        ask(replay, filters=filters, iteration=20),
        ask(replay, ablation, filters=filters, iteration=20),
    )
    assert table.attrs["accuracy"] == other.attrs["accuracy_without"]
    assert table.attrs["loss"] == pytest.approx(other.attrs["loss_without"], rel=1e-5)
    assert table.attrs["accuracy_before"] == other.attrs["accuracy"]
    assert table.attrs["relabelled"] == other.columns["flipped"].sum() > 0
    assert table.columns["layer"].tolist() == ["dense1", "dense2"]
    assert table.columns["before"].tolist() == [32, 10] and table.columns["after"].tolist() == [29, 10]


def test_without_its_dead_filters_the_network_computes_the_same(replay, tmp_path):
    dataset = replay.assembly.dataset
    # Dead: no example of the training set gives the unit a value above 0.
    last = replay.run.rows("scalars")
    hidden = replay.assembly.problem.activations(replay.params(last), dataset.train["x"])["dense1"]
    silent = np.flatnonzero((np.asarray(hidden) <= 0).all(axis=0))
    table = ask(replay, filters=silent.tolist())
    assert table.columns["asked"].tolist() == [len(silent), 0] and len(silent) > 3
    assert table.attrs["relabelled"] == 0 and table.attrs["accuracy"] > 0.8
    assert table.attrs["parameters_before"] - table.attrs["parameters"] == len(silent) * (64 + 1 + 10)
    save(table, tmp_path / "smaller.npz")
    found = dict(np.load(tmp_path / "smaller.npz"))
    widths = json.loads(str(found["attrs"]))["widths"]
    params = flax.traverse_util.unflatten_dict({k: v for k, v in found.items() if "/" in k}, sep="/")
    with narrowed(widths):
        logits = replay.assembly.problem.predict(jax.tree.map(np.asarray, params), dataset.test["x"])
    whole = replay.assembly.problem.predict(replay.params(last), dataset.test["x"])
    np.testing.assert_allclose(logits, whole, rtol=1e-4, atol=1e-4)


def test_by_default_the_dead_filters_of_the_dumps_go(replay):
    dumps = open_dumps(replay.run)
    alive = dumps.filter("gradient_std") != 0  # of kernels of 64 weights: not all alike
    since = len(alive) - alive[::-1].argmax(axis=0)
    dead = (len(alive) - since >= len(alive) // 4) & (np.arange(42) < 32)
    table = ask(replay)
    assert table.columns["asked"].tolist() == [dead.sum(), 0] and 0 < dead.sum() < 20
    assert table.attrs["widths"] == {"dense1": 32 - dead.sum()}
    assert table.attrs["accuracy"] == pytest.approx(table.attrs["accuracy_before"], abs=0.01)


def test_what_stays_is_said(replay):
    table = ask(replay, filters=list(range(42)))
    assert table.columns["asked"].tolist() == [32, 10] and table.columns["after"].tolist() == [1, 10]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"filters": []}, "allowed: one or more of 0 to 41, or null"),
        ({"filters": [42]}, "allowed: one or more of 0 to 41, or null"),
        ({"iteration": 99}, "allowed: 0 to 40"),
        ({"on": "other"}, "on='other'"),
    ],
)
def test_bad_options_are_named(replay, options, said):
    with pytest.raises(ValueError, match=said):
        ask(replay, **options)


def test_runs_without_dead_filters_dumps_or_classes_say_so(tmp_path):
    alive = record(tmp_path / "alive", "experiment=digits_adam", "train.steps=8", dumps=2)
    with pytest.raises(ValueError, match="none of 42 filters is dead over the last 3 dumps"):
        ask(Replay(alive.path))
    plain = record(tmp_path / "plain", "experiment=digits_adam", "train.steps=2")
    with pytest.raises(ValueError, match="no dumps"):
        ask(Replay(plain.path))
    bare = record(tmp_path / "bare", "experiment=rosenbrock")
    with pytest.raises(ValueError, match="no network that classifies"):
        ask(Replay(bare.path))
