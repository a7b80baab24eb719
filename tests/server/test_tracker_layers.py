"""The layer view without a browser: the tree, colours of filters, the charts' geometry, the card."""

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.events import Tap

from benchmarks import made_up_dumps
from gdlab import store
from gdlab.analysis.dumps import Node, open_dumps
from server.core.address import UrlState
from server.core.context import Context
from server.core.mailbox import Mailbox
from server.core.runs_cache import RunsCache
from server.pages.tracker.layers import charts, layout, pixels, statistics
from server.pages.tracker.layers.drawing import Drawing, Place, Scale, envelope, extent
from server.pages.tracker.layers.painter import hues
from server.pages.tracker.layers.panel import Layers
from server.pages.tracker.layers.tree import Tree
from server.pages.tracker.tracker import tracker

NODES = (
    Node("stem", -1, 0, 2, 9, "conv"),
    Node("a", -1, 2, 7, 70, "group"),
    Node("a/one", 1, 2, 3, 10, "group"),
    Node("a/one/conv", 2, 2, 3, 9, "conv"),
    Node("a/two", 1, 5, 4, 10, "conv"),
    Node("head", -1, 9, 5, 4, "dense"),
)
EDGES = ((0, 3), (3, 4), (0, 4), (4, 5))
DUMPS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("layers")
    made_up_dumps.write(root / "net", dumps=DUMPS, classes=6, images=10)
    return root


@pytest.fixture
def context(folder):
    return Context(
        root=folder, doc=Document(), mail=Mailbox(Document()), cache=RunsCache(folder), state=UrlState({}),
        worker=None, download=None, open_runs=None, selected=("net",),
    )  # fmt: skip


@pytest.fixture
def view(context):
    shared = tracker(context)
    shared.show("layers")
    return Layers(context, shared)


def tap(view, figure, x, y, **held):
    """A click at a point of one of the view's figures."""
    modifiers = {"shift": False, "ctrl": False, "alt": False} | held
    action = view._tapped_structure if figure is view.structure else view._tapped_chart
    action(Tap(None, x=x, y=y, modifiers=modifiers))


def shown(view):
    return [view.tree.nodes[band.row.node].name for band in view.bands]


# -- the tree -------------------------------------------------------------------------------------


def test_groups_open_alone_and_edges_follow_the_boxes():
    tree = Tree(NODES)
    assert tree.depth == [0, 0, 1, 2, 1, 0] and tree.levels == 3
    assert [row.node for row in tree.rows(set())] == [0, 1, 5]
    assert [row.node for row in tree.rows({1})] == [0, 1, 2, 4, 5]
    # An inner group that is open shows nothing while the outer one is closed.
    assert [row.node for row in tree.rows({2})] == [0, 1, 5]
    assert tree.boxes({1}) == [0, 2, 4, 5] and tree.boxes({1, 2}) == [0, 3, 4, 5]
    assert tree.links(EDGES, set()) == [(0, 1), (1, 5)]
    assert tree.links(EDGES, {1}) == [(0, 2), (2, 4), (0, 4), (4, 5)]
    assert tree.above(3) == [2, 1] and tree.groups() == {1, 2}
    assert [tree.short(i) for i in range(6)] == ["stem", "a", "one", "conv", "two", "head"]


# -- pixels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("norm", list(pixels.NORMS))
def test_shades_against_a_loop(norm, log, signed):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 4)) if signed else rng.exponential(size=(5, 4))
    values[0, 1] = values[3] = np.nan
    found = pixels.shades(values, norm=norm, log=log, signed=signed)
    for i, j in np.ndindex(values.shape):
        part = {"filter": values[:, j], "dump": values[i], "none": values.ravel()}[norm]
        part = part[np.isfinite(part)]
        if not np.isfinite(values[i, j]):
            assert np.isnan(found[i, j])
            continue
        low, high = (0, np.abs(part).max()) if signed else (part.min(), part.max())
        share = (abs(values[i, j]) - low) / (high - low) if high > low else 0
        share = np.log(1 + 1000 * share) / np.log(1001) if log else share
        wanted = 0.5 + 0.5 * np.sign(values[i, j]) * share if signed else share
        assert found[i, j] == pytest.approx(wanted, abs=1e-9)


def test_what_does_not_vary_has_the_weakest_colour_and_an_unknown_norm_is_refused():
    assert (pixels.shades(np.full((3, 2), 7.0), norm="filter", log=False, signed=False) == 0).all()
    assert (pixels.shades(np.zeros((3, 2)), norm="none", log=True, signed=True) == 0.5).all()
    with pytest.raises(ValueError, match="norm='layer': allowed: filter, dump, none"):
        pixels.shades(np.zeros((3, 2)), norm="layer", log=False, signed=False)


def test_a_pixel_of_many_filters_shows_the_one_that_stands_out():
    values = np.full((4, 9), 0.5, np.float32)
    values[2, 7], values[1, 0] = 0.9, 0.1
    found = pixels.picture(values, 3, norm="none")
    assert found.value.shape == (3, 4) and found.starts.tolist() == [0, 1, 2, 3]
    assert (found.value[2, 2], found.filter[2, 2]) == (np.float32(0.9), 7)
    assert found.shade[2, 2] == pixels.COLOURS - 1 and found.shade[0, 1] == pixels.COLOURS // 2
    values[:, 3:6] = np.nan
    assert (pixels.picture(values, 3, norm="none").shade[1] == pixels.UNKNOWN).all()
    whole = pixels.picture(values, 9, norm="none")
    np.testing.assert_array_equal(whole.value, values.T)
    np.testing.assert_array_equal(whole.filter, np.repeat(np.arange(9)[:, None], 4, axis=1))


def test_more_dumps_than_columns_lose_no_spike():
    values = np.zeros((2 * pixels.WIDEST + 1, 2), np.float32)
    values[-2, 1] = 3
    found = pixels.picture(values, 2, norm="none")
    assert found.value.shape == (2, len(found.starts)) and len(found.starts) <= pixels.WIDEST
    at = int(found.value[1].argmax())
    assert found.value[1, at] == 3 and found.starts[at] <= len(values) - 2 < found.starts[at] + 3


# -- charts ---------------------------------------------------------------------------------------


def test_a_line_keeps_its_extremes_however_few_its_points():
    values = np.sin(np.arange(5000.0))
    values[1234], values[4000:4100] = 9, np.nan
    x, y = envelope(values, 200)
    assert len(x) <= 210 and (np.diff(x) > 0).all()
    assert np.nanmax(y) == 9 and x[np.nanargmax(y)] == 1234 and np.isnan(y).any()
    np.testing.assert_array_equal(y, values[x.astype(int)])
    np.testing.assert_array_equal(envelope(values[:50], 200)[1], values[:50])


def test_the_bands_of_a_horizon_graph_add_up_to_the_values():
    values = np.array([0.0, 1, 2.5, -3, 3, np.nan, 0.5])
    drawing = Drawing()
    place, scale = Place(10, 30), Scale(-3, 3)
    charts.horizon(drawing, place, values, scale, (["a", "b", "c"], ["x", "y", "z"]), 100)
    areas = drawing.columns("areas")
    height = {sign: np.zeros(len(values)) for sign in "+-"}
    for xs, ys, colour in zip(areas["xs"], areas["ys"], areas["colour"], strict=True):
        count = len(xs) // 2
        assert ((ys >= -40) & (ys <= -10)).all() and (ys[count:] == -40).all()
        height["+" if colour in "abc" else "-"][xs[:count].astype(int)] += (ys[:count] + 40) / 30
    known = np.isfinite(values)
    np.testing.assert_allclose(height["+"][known], np.clip(values[known], 0, None), atol=1e-12)
    np.testing.assert_allclose(height["-"][known], np.clip(-values[known], 0, None), atol=1e-12)


@pytest.mark.parametrize(("low", "high", "log", "base"), [(2, 8, False, (2, 6)), (-5, -1, False, (0, 5))])
def test_a_horizon_graph_is_measured_from_its_base(low, high, log, base):
    assert charts.folding(Scale(low, high, log)) == base


def test_boxes_pool_dumps_by_extremes_and_means():
    rng = np.random.default_rng(1)
    five = np.sort(rng.normal(size=(5, 250)), axis=0)
    five[:, 7] = np.nan
    starts = np.arange(0, 250, 3)
    found = charts.pool(five, starts, 250)
    for at, first in enumerate(starts):
        part = five[:, first : min(first + 3, 250)]
        assert found[0][at] == np.nanmin(part[0]) and found[4][at] == np.nanmax(part[4])
        np.testing.assert_allclose([q[at] for q in found[1:4]], np.nanmean(part[1:4], axis=1))
    drawing = Drawing()
    step = charts.boxes(drawing, Place(0, 100), five, extent(five, False), ("box", "ink"), 100, 250)
    boxes = drawing.columns("boxes")
    assert step == 2 and len(boxes["left"]) == 75
    centre = (np.array(boxes["left"]) + boxes["right"]) / 2
    np.testing.assert_allclose(centre, 100.5 + 2 * np.arange(75))


def test_scales_of_nothing_of_one_value_and_of_logarithms():
    assert extent([np.nan], False) == Scale(0.0, 1.0) and extent([-1.0], True).log
    assert extent([3.0], False) == Scale(1.5, 4.5) and extent([0.0, 2.0, 8.0], True) == Scale(2.0, 8.0, True)
    assert extent([0.1], True, [1e-3]).low == 1e-3
    np.testing.assert_allclose(Scale(1, 100, True).share([1, 10, 100, 0, -1]), [0, 0.5, 1, np.nan, np.nan])


def test_hues_go_from_weak_to_strong():
    colours = ("#000000", "#808080", "#ffffff")
    assert hues(colours, 3) == list(colours) and hues(colours, 1) == ["#808080"]
    assert [hues(colours, n)[-1] for n in (2, 4)] == ["#ffffff"] * 2 and len(set(hues(colours, 4))) == 4


# -- what is read ---------------------------------------------------------------------------------


def test_some_filters_are_read_as_all_of_them_are(folder):
    dumps = open_dumps(store.open_run(folder / "net"))
    which = [700, 3, 27, 26_000]
    for name in statistics.available(dumps.run, "filter"):
        whole = dumps.filter(name)
        np.testing.assert_array_equal(dumps.filter(name, which=which), whole[:, which])
        node = dumps.nodes[8]
        part = whole[:, node.first : node.first + node.filters]
        np.testing.assert_array_equal(dumps.filter(name, 8), part)


def test_what_is_offered_is_what_was_recorded(folder):
    run = store.open_run(folder / "net")
    layers, filters = (statistics.available(run, of) for of in ("layer", "filter"))
    assert "weight_q1" in layers and "weight_q1" not in filters and "gradient_variance" in filters
    assert set(filters) < set(layers) and layers["cosine_distance"] == "change (1 − cosine)"
    assert statistics.distributions(run) == {"weight": "weights", "gradient": "gradients"}
    assert statistics.distributions(run, "activation") == {}
    assert [statistics.signed(n) for n in ("weight_mean", "weight_std", "cosine_distance")] == [
        True,
        False,
        False,
    ]


# -- the view -------------------------------------------------------------------------------------


def test_the_view_opens_by_clicks_and_comes_back_from_the_address(view, context):
    assert shown(view) == ["conv1", "stage1", "stage2", "stage3", "stage4", "dense1"]
    tap(view, view.structure, view.structure.width - 40, -view.bands[1].middle)
    assert shown(view)[:3] == ["conv1", "stage1", "stage1/block1"] and len(view.bands) == 9
    tap(view, view.structure, view.structure.width - 40, -view.bands[2].middle)
    names = shown(view)
    layer = names.index("stage1/block1/conv2")
    tap(view, view.structure, view.structure.width - 40, -view.bands[layer].middle)
    band = view.bands[layer]
    node = view.tree.nodes[band.row.node]
    assert len(band.filters) == node.filters == 64 and band.pixels == layout.FIT
    sent = view.facets.pixels.data
    assert sent["label"] == [node.name] and sent["image"][0].shape == (64, DUMPS)
    truth = view.tracker.dumps.filter("cosine_distance", band.row.node)
    np.testing.assert_array_equal(sent["value"][0][::-1], truth.T)
    assert (sent["image"][0][:, 0] == pixels.UNKNOWN).all()
    again = Layers(context, view.tracker)
    assert again.opened == view.opened and shown(again) == shown(view)
    view._open(set())
    assert shown(view) == ["conv1", "stage1", "stage2", "stage3", "stage4", "dense1"]


def test_the_charts_show_the_recorded_statistics(view):
    dumps = view.tracker.dumps
    nodes = [band.row.node for band in view.bands]
    values = view.facets.sources["values"].data
    np.testing.assert_array_equal(np.concatenate(values["value"]), dumps.layer("weight_mean")[:, nodes].T)
    lines = view.facets.sources["lines"].data
    scale = extent(dumps.layer("weight_mean")[:, nodes], False)
    for i, band in enumerate(view.bands):
        wanted = band.chart_place().y(scale.share(dumps.layer("weight_mean")[:, nodes[i]]))
        np.testing.assert_allclose(lines["ys"][i], wanted)
    view.options.set(own=True)
    for band, ys in zip(view.bands, view.facets.sources["lines"].data["ys"], strict=True):
        assert ys.max() == pytest.approx(-band.top) and ys.min() == pytest.approx(-band.top - band.chart)
    view.options.set(statistic="update_ratio")
    dashes = view.facets.sources["strokes"].data["dash"]
    assert view.options.chosen.log and dashes.count("dashed") == len(view.bands)
    view.options.set(chart="boxes", of="gradient")
    values = view.facets.sources["values"].data
    for name in statistics.BOX:
        wanted = dumps.layer(f"gradient_{name}")[:, nodes].T.astype(np.float32)
        np.testing.assert_array_equal(np.concatenate(values[name]), wanted)
    table = view.table().columns
    assert set(table) == {"layer", "dump", "iteration", *(f"gradient_{n}" for n in statistics.BOX)}


def test_clicks_select_and_selections_from_elsewhere_are_marked(view):
    conv1 = view.bands[0]
    tap(view, view.facets, 7.3, -conv1.top - 5)
    assert view.tracker.selection.dumps == (7,) and view.tracker.selection.layers == (0,)
    assert view.facets.marked.data == {"x": [7]} and view.facets.chosen.data["top"] == [-conv1.top]
    view._step(1)
    assert view.tracker.selection.dumps == (8,)
    tap(view, view.facets, 8, -conv1.top - 5)
    assert view.tracker.selection.dumps == view.tracker.selection.layers == ()
    view._open({0})
    band = view.bands[0]
    y = -float(band.height_of([5])[0])
    tap(view, view.facets, 3, y)
    tap(view, view.facets, 4, -float(band.height_of([9])[0]), shift=True)
    assert view.tracker.selection.filters == (5, 9) and view.tracker.selection.dumps == (3, 4)
    np.testing.assert_allclose(view.facets.filters.data["y"][0], y)
    view.tracker.select(filters=(5, 100, 101), layers=(1,), dumps=())
    texts = view.structure.sources["texts"].data["text"]
    assert "1 of 64 selected" in texts and "2 of 1,408 selected" in texts
    assert len(view.facets.filters.data["y"]) == 1 and view.facets.marked.data == {"x": []}


def test_anomaly_filters_stand_by_mini_set_in_their_layers(view):
    view.tracker.change(threshold=2, window=2, top=30)
    view.options.set(anomalies=True)
    grid = view.tracker.grid()
    found = np.concatenate([band.filters for band in view.bands])
    np.testing.assert_array_equal(found, grid.filters)
    layers = view.tracker.evidence.layers
    assert [band.row.node for band in view.bands] == [int(layers[i]) for i in grid.layers] != []
    truth = view.tracker.dumps.filter("cosine_distance")
    for band, values in zip(view.bands, view.facets.pixels.data["value"], strict=True):
        if len(values) == len(band.filters):
            np.testing.assert_array_equal(values[::-1], truth[:, band.filters].T)
    boxes = view.structure.sources["boxes"].data
    assert sum(kind != "group" for kind in boxes["kind"]) >= 54
    view.tracker.change(threshold=10_000)
    assert (
        not view.bands
        and "No layer has anomaly filters" in view.root.children[0].children[0].children[1].text
    )
