"""The health panel and the lists of filters without a browser, also where little was recorded."""

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.events import ButtonClick, Tap

from benchmarks import made_up_dumps
from gdlab import store
from gdlab.analysis import filters, health
from gdlab.records import DISTRIBUTION, DUMP_COLUMNS
from server.core.address import UrlState
from server.core.context import Context
from server.core.mailbox import Mailbox
from server.core.runs_cache import RunsCache
from server.pages.tracker.health.panel import Health
from server.pages.tracker.health.rows import PAGE
from server.pages.tracker.layers import lists, statistics
from server.pages.tracker.layers.drawing import Place, extent
from server.pages.tracker.layers.panel import Layers
from server.pages.tracker.tracker import tracker

DUMPS = 40
NODES = [
    {"name": "conv1", "parent": -1, "first": 0, "filters": 3, "weights": 4, "kind": "conv"},
    {"name": "dense1", "parent": -1, "first": 3, "filters": 2, "weights": 3, "kind": "dense"},
]


def write_little(path, dumps, *, nodes=(), weights=False, activations=False):
    """A run with dumps of hardly anything: scalars and predictions, and what is asked for."""
    rng = np.random.default_rng(0)
    names = tuple(node["name"] for node in nodes)
    layers = [f"dump/layer/weight_{what}" for what in DISTRIBUTION] if weights else []
    units = [f"dump/activation/{what}" for what in (*DISTRIBUTION, "zeros")] if activations else []
    spec = store.ArraySpec
    arrays = {
        "dump/scalars": spec("f8", (len(DUMP_COLUMNS),), DUMP_COLUMNS),
        "dump/predicted": spec("u2", (4,)),
        "dump/label": spec("u2", (4,)),
        "dump/image": spec("i4", (4,)),
        **{name: spec("f4", (len(names),), names) for name in layers},
        **{name: spec("f4", (2,), ("relu", "conv1")) for name in units},
    }
    identity = {"network": {"nodes": list(nodes)}, "classes": ["a", "b"]}
    config = {"name": path.name, "train": {"steps": 10 * dumps}}
    kept = {"config": config, "identity": identity, "arrays": arrays, "pyramids": ()}
    with store.RunWriter.create(path, **kept) as writer:
        label, image = np.array([[0, 0, 1, 1]], np.uint16), np.arange(4, dtype=np.int32)[None]
        rows = {"dump/label": label, "dump/image": image, "dump/predicted": np.repeat(label, dumps, axis=0)}
        scalars = rng.uniform(size=(dumps, len(DUMP_COLUMNS)))
        scalars[:, 0] = 10 * np.arange(dumps)
        scalars[:, DUMP_COLUMNS.index("train_loss")] = np.nan
        rows["dump/scalars"] = scalars
        rows |= {n: rng.normal(size=(dumps, len(names))).astype(np.float32) for n in layers}
        rows |= {n: rng.uniform(size=(dumps, 2)).astype(np.float32) for n in units}
        writer.append(rows)
        writer.commit()
        writer.set_status("finished")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("health")
    made_up_dumps.write(root / "net", dumps=DUMPS, classes=6, images=10)
    write_little(root / "one", 1, nodes=NODES, weights=True, activations=True)
    write_little(root / "bare", 5)
    write_little(root / "weights", 7, nodes=NODES, weights=True)
    return root


@pytest.fixture
def shared(folder):
    """shared(name, mode) -> the tracker of a page that shows this run in this mode."""

    def of(name="net", mode="health"):
        context = Context(
            root=folder, doc=Document(), mail=Mailbox(Document()), cache=RunsCache(folder),
            state=UrlState({}), worker=None, download=None, open_runs=None, selected=(name,),
        )  # fmt: skip
        found = tracker(context)
        found.show(mode)
        return found

    return of


def caption(root):
    return root.children[0].children[0].children[1].text


def told(bands, name):
    """What a figure tells of its rows, [rows, D]."""
    return np.concatenate(bands.facets.sources["values"].data[name])


def test_losses_and_errors_are_the_recorded_ones(shared):
    found = shared()
    panel, scalars = Health(found.context, found), found.dumps.scalars
    losses = panel.losses.bands
    expected = [
        scalars["train_loss"],
        1 - scalars["train_accuracy"],
        scalars["loss"],
        1 - scalars["accuracy"],
    ]
    shown = np.concatenate([told(losses, "value0"), told(losses, "value1")])
    np.testing.assert_array_equal(shown, np.array(expected, np.float32))
    lines = losses.facets.sources["lines"].data
    scale = extent(np.concatenate([scalars["train_loss"], scalars["loss"]]), False)
    place = Place(losses.places[0].top, losses.places[0].height)
    np.testing.assert_allclose(lines["ys"][1], place.y(scale.share(scalars["loss"])))
    assert lines["dash"] == ["solid", "dashed"] * 2
    panel.losses.turn()
    assert "Logarithmic" in caption(panel.losses.root) and found.context.state.get("health_log", False)
    table = panel.losses.table().columns
    np.testing.assert_array_equal(table["validation error"], expected[3])


def test_every_layer_has_its_distribution_and_its_steps(shared):
    found = shared()
    panel, dumps = Health(found.context, found), found.dumps
    layers = dumps.layers()
    for kind in ("weight", "gradient"):
        panel.left.choice.set(kind)
        for what in statistics.BOX:
            expected = dumps.layer(f"{kind}_{what}")[:, layers[:PAGE]].T
            np.testing.assert_array_equal(told(panel.left.bands, what), expected)
    ratios = dumps.layer("update_ratio")[:, layers[:PAGE]].T.astype(np.float32)
    np.testing.assert_array_equal(told(panel.right.bands, "value0"), ratios)
    dashed = panel.right.bands.facets.sources["strokes"].data["dash"].count("dashed")
    assert dashed == PAGE and "Dashed: 0.001" in caption(panel.right.root)
    panel.right.pager.buttons[1]._trigger_event(ButtonClick(panel.right.pager.buttons[1]))
    for rows in (panel.left, panel.right):
        assert "Layers 13 to 24 of 54" in caption(rows.root)
        assert [row.node for row in rows.bands.rows] == layers[PAGE : 2 * PAGE]
    assert len(panel.right.table().columns["update_ratio"]) == len(layers) * DUMPS


def test_warnings_are_those_of_the_analysis_and_a_click_goes_there(shared):
    found = shared()
    panel = Health(found.context, found)
    assert caption(panel.warnings.root) == "Looking …"
    panel.warnings._show()
    truth = health.check(health.record_of(found.dumps)).columns
    rows = panel.warnings.source.data
    assert rows["text"] == truth["text"].tolist() != [] and "✕" in rows["sign"]
    at = rows["kind"].index("dead filters")
    panel.warnings.source.selected.indices = [at]
    node = found.dumps.nodes[found.selection.layers[0]]
    assert node.name == rows["where"][at] and found.selection.dumps == (truth["first"][at],)
    assert panel.losses.bands.facets.marked.data["x"] == [truth["first"][at]]
    rows = panel.left.bands.rows
    assert len(panel.left.bands.facets.chosen.data["top"]) == sum(row.name == node.name for row in rows)


def test_clicks_select_dumps_and_layers(shared):
    found = shared()
    panel = Health(found.context, found)
    bands = panel.left.bands
    y = -bands.places[2].top - 5
    bands._tapped(Tap(None, x=9.2, y=y, modifiers={"shift": False, "ctrl": False, "alt": False}))
    assert found.selection.dumps == (9,) and found.selection.layers == (bands.rows[2].node,)
    panel._step(-1)
    assert found.selection.dumps == (8,)
    bands._tapped(Tap(None, x=500, y=y, modifiers={"shift": False, "ctrl": False, "alt": False}))
    assert found.selection.dumps == (8,)


def test_dead_and_restless_filters_are_listed_by_layer(shared):
    found = shared(mode="layers")
    dumps = found.dumps
    gradient, turned = dumps.filter("gradient_norm"), dumps.filter("cosine_distance")
    dead = filters.dead_filters(gradient, turned).columns
    lists.dead(dumps)  # what has been found is shown at once
    card = lists.Found(found.context, found, "dead", "Dead filters", lists.DEAD, lists.dead)
    rows = card.source.data
    assert rows["count"].sum() == len(dead["filter"]) == made_up_dumps.DEAD + made_up_dumps.DYING
    assert f"at least the last {DUMPS // 4} dumps" in caption(card.root)
    for i, name in enumerate(rows["layer"]):
        node = next(node for node in dumps.nodes if node.name == name)
        mine = (dead["filter"] >= node.first) & (dead["filter"] < node.first + node.filters)
        assert (rows["count"][i], rows["of"][i]) == (mine.sum(), node.filters)
        assert rows["since"][i] == dumps.iteration[dead["since"][mine].min()]
    card.source.selected.indices = [0]
    node = dumps.nodes[found.selection.layers[0]]
    assert node.name == rows["layer"][0] and len(found.selection.filters) == rows["count"][0]
    lists.restless(dumps)
    restless = lists.Found(found.context, found, "restless", "Restless", lists.RESTLESS, lists.restless)
    truth = filters.never_settling(turned).columns
    assert restless.source.data["count"].sum() == len(truth["filter"])
    assert max(restless.source.data["ratio"]) == truth["ratio"].max()
    table = restless.table().columns
    assert sorted(table["position"]) == sorted(truth["filter"])
    first = {node.name: node.first for node in dumps.nodes}
    assert [first[name] + at for name, at in zip(table["layer"], table["filter"], strict=True)] == list(
        table["position"]
    )


def test_one_dump_with_weights_and_activations_alone(shared):
    found = shared("one")
    panel = Health(found.context, found)
    assert set(panel.left.kinds) == {"weight", "activation"} and set(panel.right.kinds) == {"zeros"}
    panel.left.choice.set("activation")
    assert [(row.name, row.node) for row in panel.left.bands.rows] == [("relu", None), ("conv1", 0)]
    zeros = found.dumps.activation("zeros")
    np.testing.assert_array_equal(
        told(panel.right.bands, "value0"), np.array([zeros["relu"], zeros["conv1"]])
    )
    panel.warnings._show()
    found.show("layers")
    view = Layers(found.context, found)
    assert set(view.options.layer) >= {"weight_mean", "weight_variance"} and not view.options.filter
    view._open({0})
    assert [band.pixels for band in view.bands] == [0, 0]
    view.options.set(chart="boxes")
    assert len(view.facets.sources["boxes"].data["left"]) == 2
    lists.dead(found.dumps)
    card = lists.Found(found.context, found, "dead", "Dead filters", lists.DEAD, lists.dead)
    assert "Not recorded of filters: gradient_mean, gradient_std, cosine_distance" in caption(card.root)


def test_a_run_without_layers_says_so(shared):
    found = shared("bare")
    panel = Health(found.context, found)
    assert caption(panel.left.root) == "No distribution was recorded."
    assert caption(panel.right.root) == "Neither updates nor activations were recorded."
    assert [row.name for row in panel.losses.bands.rows] == ["loss", "error"]
    panel.warnings._show()
    panel.update()
    assert panel.losses.table().columns["validation loss"].shape == (5,)


def test_weights_alone_have_no_steps(shared):
    found = shared("weights")
    panel = Health(found.context, found)
    assert not panel.right.kinds and set(panel.left.kinds) == {"weight"} and len(panel.left.bands.rows) == 2
    assert len(panel.right.table().columns["layer"]) == 0
