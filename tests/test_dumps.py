"""Dumps: what they say is what NumPy finds in the parameters; no bit of a run changes, stops lose nothing."""

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from gdlab import experiment, store
from gdlab.analysis.dumps import has_dumps, open_dumps
from gdlab.execution import session
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from gdlab.monitors import dumps
from gdlab.monitors.network import describe, kernels
from gdlab.monitors.validation import calibration
from gdlab.plan.assembly import assemble
from gdlab.plan.builder import ConfigError
from gdlab.plan.options import plan_of
from gdlab.plan.sources import as_recorded
from gdlab.records import DISTRIBUTION, DUMP_STATISTICS
from tests.composing import composed
from tests.recording import record

OVERRIDES = ("experiment=digits_adam", "train.steps=10", "schedule=piecewise")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dumps") / "digits"
    record(folder, *OVERRIDES, dumps=3, path=True)
    return folder


@pytest.fixture(scope="module")
def replay(folder):
    return Replay(folder)


def path(replay, k):
    return replay.run.array("path", k, k + 1)[0]


def of_numpy(rows):
    """DISTRIBUTION of each row, by NumPy in float64."""
    rows = np.asarray(rows, np.float64)
    quartiles = np.percentile(rows, [0, 25, 50, 75, 100], axis=1)
    return dict(zip(DISTRIBUTION, (rows.mean(axis=1), rows.std(axis=1), *quartiles), strict=True))


def layer_rows(tree, name):
    """The weights of a layer's filters [F, n]."""
    kernel = np.asarray(tree[name]["kernel"])
    return kernel.reshape(-1, kernel.shape[-1]).T


def test_dumps_stand_at_the_asked_for_iterations_and_at_the_end(folder):
    found = open_dumps(store.open_run(folder))
    assert found.iteration.tolist() == [0, 3, 6, 9, 10]
    np.testing.assert_allclose(found.scalars["learning_rate"], [0.01, 0.01, 0.001, 0.0001, 0.0001], rtol=1e-6)


def test_predictions_are_those_of_the_parameters(folder, replay):
    found = open_dumps(store.open_run(folder))
    test = replay.assembly.dataset.test
    np.testing.assert_array_equal(test["y"][found.images], found.labels)
    assert (np.diff(found.labels.astype(int)) >= 0).all()
    for i, k in enumerate(found.iteration):
        logits = replay.assembly.problem.predict(replay.params(k), test["x"][found.images])
        labels = np.asarray(logits).argmax(axis=1)
        np.testing.assert_array_equal(found.predicted()[i], labels)
        right = labels == found.labels
        np.testing.assert_array_equal(found.right()[i], right)
        assert found.scalars["accuracy"][i] == right.mean()


def test_statistics_are_those_of_numpy(folder, replay):
    found = open_dumps(store.open_run(folder))
    for i, k in enumerate(found.iteration[:-1]):
        params = replay.params(k)
        batch, key = replay.batch(k), replay.key(k)
        gradient = jax.grad(replay.assembly.problem.data_loss)(params, batch, key=key)
        for node in found.layers():
            name = found.nodes[node].name
            for kind, tree in (("weight", params), ("gradient", gradient)):
                rows = layer_rows(tree, name)
                for stat, wanted in of_numpy(rows).items():
                    got = found.filter(f"{kind}_{stat}", node)[i]
                    np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-7, err_msg=f"{kind}_{stat}")
                whole = of_numpy(rows.reshape(1, -1))
                for stat, wanted in whole.items():
                    got = found.layer(f"{kind}_{stat}")[i, node]
                    np.testing.assert_allclose(got, wanted[0], rtol=2e-4, atol=2e-7)


def test_movement_is_that_of_the_recorded_path(folder, replay):
    found = open_dumps(store.open_run(folder))
    unravel = ravel_pytree(replay.params(0))[1]
    trees = {k: unravel(path(replay, k)) for k in range(11)}
    for node in found.layers():
        name = found.nodes[node].name
        for i, k in enumerate(found.iteration.tolist()):
            now = layer_rows(trees[k], name).astype(np.float64)
            if k < 10:
                step = np.linalg.norm(layer_rows(trees[k + 1], name) - now, axis=1)
                np.testing.assert_allclose(found.filter("update_norm", node)[i], step, rtol=1e-4, atol=1e-7)
            if i:
                then = layer_rows(trees[int(found.iteration[i - 1])], name).astype(np.float64)
                change = np.linalg.norm(now - then, axis=1)
                cosine = (now * then).sum(axis=1) / (
                    np.linalg.norm(now, axis=1) * np.linalg.norm(then, axis=1)
                )
                np.testing.assert_allclose(found.filter("change_norm", node)[i], change, rtol=1e-4, atol=1e-7)
                distance = found.filter("cosine_distance", node)[i]
                np.testing.assert_allclose(distance, 1 - cosine, rtol=1e-3, atol=1e-9)
    assert np.isnan(found.filter("change_norm")[0]).all() and np.isnan(found.filter("update_norm")[-1]).all()


def test_derived_statistics_follow_from_the_weights(folder, replay):
    found = open_dumps(store.open_run(folder))
    node = found.layers()[0]
    rows = layer_rows(replay.params(3), found.nodes[node].name).astype(np.float64)
    wanted = {
        "weight_sum": rows.sum(axis=1),
        "weight_variance": rows.var(axis=1),
        "weight_norm": np.linalg.norm(rows, axis=1),
    }
    for stat, values in wanted.items():
        np.testing.assert_allclose(found.filter(stat, node)[1], values, rtol=1e-4, atol=1e-5)
        whole = (
            rows.sum() if stat == "weight_sum" else rows.var() if "variance" in stat else np.linalg.norm(rows)
        )
        np.testing.assert_allclose(found.layer(stat)[1, node], whole, rtol=1e-4, atol=1e-4)
    ratio = found.filter("update_norm", node)[1] / np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(found.filter("update_ratio", node)[1], ratio, rtol=1e-4)


def test_groups_pool_the_weights_of_their_layers():
    tree = {
        "stage": {"a": {"kernel": np.arange(6.0).reshape(3, 2)}, "b": {"kernel": np.ones((2, 2))}},
        "top": {"kernel": np.full((2, 1), 7.0)},
    }
    nodes = [
        {"name": "stage", "parent": -1, "first": 0, "filters": 4, "weights": 10, "kind": "group"},
        {"name": "stage/a", "parent": 0, "first": 0, "filters": 2, "weights": 3, "kind": "dense"},
        {"name": "stage/b", "parent": 0, "first": 2, "filters": 2, "weights": 2, "kind": "dense"},
        {"name": "top", "parent": -1, "first": 4, "filters": 1, "weights": 2, "kind": "dense"},
    ]
    network = {"nodes": nodes, "edges": []}
    assert sorted(kernels(network, tree)) == [1, 2, 3]
    filters, layers = dumps.statistics(network, tree, tree, tree, tree)
    assert filters.shape == (5, len(DUMP_STATISTICS)) and layers.shape == (4, len(DUMP_STATISTICS))
    pooled = np.concatenate([np.arange(6.0), np.ones(4)])
    for stat, wanted in of_numpy(pooled[None]).items():
        got = layers[0, DUMP_STATISTICS.index(f"weight_{stat}")]
        np.testing.assert_allclose(got, wanted[0], rtol=1e-6)
    np.testing.assert_allclose(filters[2:4, DUMP_STATISTICS.index("weight_mean")], 1.0)


def test_a_run_with_dumps_has_the_same_bits_as_one_without(folder, tmp_path):
    record(tmp_path / "plain", *OVERRIDES, dumps=False, path=True)
    with_dumps, plain = store.open_run(folder), store.open_run(tmp_path / "plain")
    seconds = plain.columns("scalars").index("seconds")
    one, other = (np.delete(np.array(run.array("scalars")), seconds, axis=1) for run in (with_dumps, plain))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(with_dumps.array("path"), plain.array("path"))
    assert not has_dumps(plain)
    with pytest.raises(ValueError, match="has no dumps; train it with record=dumps"):
        open_dumps(plain)


def test_interrupted_and_continued_gives_the_same_dumps(folder, tmp_path, monkeypatch):
    config = composed(*OVERRIDES)
    config["record"] |= {"dumps": 3, "path": True, "checkpoint_seconds": 1e-3}
    chunk = session.Session._chunk
    calls = []

    def chunk_then_interrupt(session, count):
        calls.append(count)
        if len(calls) in (2, 5):
            raise KeyboardInterrupt
        return chunk(session, count)

    monkeypatch.setattr(session.Session, "_chunk", chunk_then_interrupt)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            experiment.run(config, tmp_path / "stopped", progress=False)
    experiment.run(config, tmp_path / "stopped", progress=False)
    whole, stopped = store.open_run(folder), store.open_run(tmp_path / "stopped")
    for name in (name for name in whole.arrays if name.startswith("dump/")):
        np.testing.assert_array_equal(whole.array(name), stopped.array(name), err_msg=name)


def test_readers_take_in_what_is_added(folder):
    found = open_dumps(store.open_run(folder))
    assert found.refresh() is found
    assert found.right() is found.right()
    assert found.children(-1) == found.layers()
    assert len(found.layer_of_filter()) == found.filter("weight_mean").shape[1]
    names = [found.nodes[i].name for i in found.layers()]
    assert list(found.activation("mean")) == [name for name in found.activation("mean") if name]
    assert [name for name in found.activation("zeros") if name in names] == names


def test_what_cannot_be_dumped_is_named(tmp_path):
    for overrides, settings, said in (
        (("experiment=rosenbrock",), {"dumps": 5}, r"record.dumps=5: this run cannot be validated"),
        (OVERRIDES, {"dumps": 0}, r"record.dumps=0: allowed: auto, false, an integer >= 1"),
        (OVERRIDES, {"dump_examples": 0}, r"record.dump_examples=0: allowed: null \(all\), an integer >= 1"),
    ):
        with pytest.raises(ConfigError, match=said):
            record(tmp_path / "none", *overrides, **settings)
    assert not (tmp_path / "none").exists()


def test_a_network_that_is_described_wrongly_is_refused(folder):
    run = store.open_run(folder)
    example = Replay(folder).assembly.dataset.train["x"][:1]
    network = describe(Replay(folder).assembly.problem, Replay(folder).params(0), example)
    assert run.identity["network"] == network
    run._document = {**run._run_file(), "identity": {**run.identity, "network": {"nodes": [{"name": "a"}]}}}
    with pytest.raises(ValueError, match="described wrongly"):
        open_dumps(run)


def test_a_run_recorded_before_there_were_dumps_is_the_same_run(tmp_path):
    config = composed("experiment=rosenbrock")
    older = {**config, "record": {k: v for k, v in config["record"].items() if not k.startswith("dump")}}
    older["train"] = {k: v for k, v in config["train"].items() if k != "devices"}
    assert store.config.differences(older, config) == []
    changed = {**config, "record": {**config["record"], "dumps": 7}}
    assert store.config.differences(older, changed) == [("record.dumps", False, 7)]


@pytest.mark.parametrize("shape", [(64, 10), (64, 7, 7, 3), (64, 32, 32, 16), (64, 16, 16, 32)])
def test_the_statistics_of_activations_are_those_of_numpy(shape):
    """Quartiles of large layers are of a part of the values, in which every channel is met alike."""
    rng = np.random.default_rng(0)
    values = np.maximum(rng.normal(np.linspace(-1, 2, shape[-1]), 1.0, shape), 0).astype(np.float32)
    found = np.asarray(dumps.activation_row(values, values))
    known = [values.mean(), values.std(), values.min(), *np.quantile(values, [0.25, 0.5, 0.75]), values.max()]
    np.testing.assert_allclose(found[[0, 1, 2, 6]], np.array(known)[[0, 1, 2, 6]], rtol=1e-5, atol=1e-6)
    close = 1e-6 if values.size <= dumps.SORTED else 0.05  # five standard errors of a median of so many
    np.testing.assert_allclose(found[3:6], known[3:6], rtol=1e-5, atol=close)
    assert found[-1] == pytest.approx((values == 0).mean(), abs=1e-6)


def conv_folder(tmp_path, data, *overrides):
    """The Replay of a short run with dumps of a network with convolutions, normalisation and dropout."""
    mnist, _ = data
    overrides = (
        "experiment=mnist_sgd",
        f"data_dir={mnist}",
        "train.steps=2",
        "train.batch_size=20",
        *overrides,
    )
    run = record(tmp_path / "run", *overrides, dumps=1, dump_examples=None, validate=False, layers=False)
    return Replay(run.path, as_recorded(run.config))


def test_activations_are_sampled_from_all_classes_behind_the_nonlinearity(data, tmp_path):
    """As the calibration that all else uses normalises them, by another way through the network."""
    network = (
        "model=vgg",
        "model.filters=[3,4]",
        "model.depth=1",
        "model.batch_norm=true",
        "model.dropout=0.5",
    )
    replay = conv_folder(tmp_path, data, *network)
    found, problem = open_dumps(replay.run), replay.assembly.problem
    labels = found.labels[dumps.spread(len(found.labels), dumps.ACTIVATED)]
    assert len(labels) == 60 and np.bincount(labels, minlength=10).min() > 0
    params, test = replay.params(1), replay.assembly.dataset.test
    x = test["x"][found.images]
    statistics = problem.statistics(params, replay.assembly.dataset.train["x"])
    told = problem.activations(params, x, statistics)
    layers = {"conv1_1", "norm1_1", "conv2_1", "norm2_1", "dense1"}
    assert set(found.activation("zeros")) == set(told) == layers
    for layer in layers:
        values = np.asarray(told[layer], np.float64)
        for name, wanted in (("mean", values.mean()), ("std", values.std()), ("max", values.max())):
            assert found.activation(name)[layer][1] == pytest.approx(wanted, rel=1e-4, abs=1e-6), (
                layer,
                name,
            )
    for block in ("1_1", "2_1"):
        dead = (np.asarray(told[f"norm{block}"]) <= 0).mean()
        assert 0.1 < dead < 0.9
        for kind in ("conv", "norm"):
            assert found.activation("zeros")[f"{kind}{block}"][1] == pytest.approx(dead, abs=1e-6)
    assert found.activation("zeros")["dense1"].tolist() == [0, 0, 0] and found.behind


def test_a_run_of_before_keeps_sampling_as_it_did(data, tmp_path):
    replay = conv_folder(tmp_path, data, "model.dropout=0.5", "record.version=1")
    found, problem = open_dumps(replay.run), replay.assembly.problem
    x = replay.assembly.dataset.test["x"][found.images][: 8 * dumps.ACTIVATED : 8]
    told = problem.activations(replay.params(1), x, dropout=True)
    assert set(found.activation("zeros")) == set(told) and "Dropout_0" in told and not found.behind
    for layer, values in told.items():
        assert found.activation("mean")[layer][1] == pytest.approx(np.asarray(values).mean(), rel=1e-4)
        assert found.activation("zeros")[layer][1] == pytest.approx((np.asarray(values) == 0).mean())
    places = as_recorded(replay.config)
    again = run_probe(replay.run.path, "dumps", {"start": 1, "stop": 2}, places=places)
    np.testing.assert_array_equal(
        again.columns["dump/activation/max"], replay.run.array("dump/activation/max", 1, 2)
    )


def test_networks_are_calibrated_on_examples_of_every_class(data):
    mnist, _ = data
    config = composed("experiment=mnist_sgd", f"data_dir={mnist}", "model.batch_norm=true")
    assembly = assemble(plan_of(config))
    x, y = (np.repeat(assembly.dataset.train[name], 30, axis=0) for name in ("x", "y"))
    order = np.argsort(y, kind="stable")
    dataset = assembly.dataset._replace(train={"x": x[order] + y[order, None, None, None], "y": y[order]})
    first, spread = (calibration(assembly.problem, dataset, version) for version in (1, 2))
    assert len(first) == len(spread) == 2000
    np.testing.assert_array_equal(first, dataset.train["x"][:2000])
    everything = dataset.train["x"].mean()
    assert abs(spread.mean() - everything) < 0.1 < abs(first.mean() - everything)
