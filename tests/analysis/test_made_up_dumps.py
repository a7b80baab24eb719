"""The record that benchmarks are measured on, small: it is sound, and what is put into it is found."""

import numpy as np
import pytest

from benchmarks import made_up_dumps
from gdlab import store
from gdlab.analysis import anomalies, class_curves, correlation, filters
from gdlab.analysis.dumps import open_dumps

DUMPS, CLASSES, IMAGES = 80, 12, 20


@pytest.fixture(scope="module")
def dumps(tmp_path_factory):
    path = tmp_path_factory.mktemp("made_up") / "run"
    made_up_dumps.write(path, dumps=DUMPS, classes=CLASSES, images=IMAGES)
    return open_dumps(store.open_run(path))


def test_the_network_is_resnet_50():
    nodes = made_up_dumps.network(1000)
    layers = [node for node in nodes if node["kind"] != "group"]
    assert len(layers) == 54 and sum(node["filters"] for node in layers) == 26_560 + 1000
    # 25,557,032 parameters less the 53,120 of batch normalisation and the 1,000 biases.
    assert sum(node["filters"] * node["weights"] for node in layers) == 25_502_912
    top = [node for node in nodes if node["parent"] == -1 and node["kind"] == "group"]
    assert [node["name"] for node in top] == ["stage1", "stage2", "stage3", "stage4"]


def test_the_record_is_sound(dumps):
    assert dumps.count == DUMPS and len(dumps.labels) == CLASSES * IMAGES == dumps.starts[-1]
    assert sorted(dumps.images.tolist()) == list(range(CLASSES * IMAGES))
    np.testing.assert_allclose(dumps.right().mean(axis=1), dumps.scalars["accuracy"])
    assert dumps.scalars["accuracy"][-1] > dumps.scalars["accuracy"][5] > 0.05
    assert len(dumps.run.array("scalars")) == dumps.iteration[-1]
    weights = np.repeat(
        [dumps.nodes[i].weights for i in dumps.layers()], [dumps.nodes[i].filters for i in dumps.layers()]
    )
    for i, node in enumerate(dumps.nodes):
        part = slice(node.first, node.first + node.filters)
        for kind in ("weight", "gradient"):
            found = filters.pooled(
                dumps.filter(f"{kind}_mean", i), dumps.filter(f"{kind}_std", i), weights[part]
            )
            for name, values in zip(("mean", "std"), found, strict=True):
                np.testing.assert_allclose(dumps.layer(f"{kind}_{name}")[:, i], values, rtol=1e-4, atol=1e-9)
    assert np.isnan(dumps.layer("update_norm")).any(axis=1).nonzero()[0].tolist() == [DUMPS - 1]
    assert np.isnan(dumps.filter("cosine_distance")).any(axis=1).nonzero()[0].tolist() == [0]


def test_dead_and_restless_filters_are_found(dumps):
    turned = dumps.filter("cosine_distance")
    dead = filters.dead_filters(dumps.filter("gradient_norm"), turned).columns
    assert len(dead["filter"]) == made_up_dumps.DEAD + made_up_dumps.DYING
    assert dead["filter"][dead["since"] == 0].tolist() == list(range(made_up_dumps.DEAD))
    assert dead["since"].max() <= DUMPS // 8
    ratios = filters.never_settling(turned, share=0.01).columns["ratio"]
    assert (ratios[: made_up_dumps.RESTLESS] > 100).all() and ratios[made_up_dumps.RESTLESS] < 100


def test_all_analyses_go_together(dumps):
    flips = anomalies.flips(dumps.right())
    chosen = anomalies.propose(flips, dumps.starts)
    found = anomalies.detect(flips, dumps.starts, chosen.window, chosen.threshold)
    assert chosen.found == len(found.columns["dump"]) > 3
    change = dumps.filter(filters.MEASURES["cosine"])
    _, first = filters.layer_starts(dumps.nodes)
    tops = filters.anomaly_filters(change, 30, np.unique(found.columns["dump"]))
    grid = correlation.full_grid(found, tops, first)
    abstract = correlation.abstract_grid(found, tops, first)
    np.testing.assert_array_equal(grid.counts, abstract.columns["count"])
    assert set(found.columns["class"].tolist()) == set(grid.classes.tolist())
    assert grid.counts.max() > 1 and len(grid.filters) == len(np.unique(tops.columns["filter"]))
    curves = class_curves.clusters(class_curves.error_rates(dumps.right(), dumps.starts), 3)
    assert curves.sizes.sum() == CLASSES
    pairs = class_curves.confusable(dumps.predicted(40), dumps.starts, 3).columns
    assert (pairs["first"] ^ 1 == pairs["second"]).all()  # neighbours are made to be mistaken
