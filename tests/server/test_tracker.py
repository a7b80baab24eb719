"""The tracker without a browser: settings and selection of an address, anomalies, new dumps."""

import numpy as np
import pytest
from bokeh.document import Document

from gdlab import store
from gdlab.analysis.anomalies import anomalies, scores
from gdlab.analysis.dumps import open_dumps
from gdlab.records import DUMP_COLUMNS
from server.core.address import UrlState
from server.core.context import Context
from server.core.mailbox import Mailbox
from server.core.runs_cache import RunsCache
from server.pages.tracker.tracker import Tracker
from server.pages.tracker.tracker import tracker as tracker_of

CLASSES, IMAGES, FILTERS = 3, 12, 5
NODES = [
    {"name": "conv", "parent": -1, "first": 0, "filters": 3, "weights": 9, "kind": "conv"},
    {"name": "dense", "parent": -1, "first": 3, "filters": 2, "weights": 4, "kind": "dense"},
]


def rows(dumps, start=0):
    """Predictions that are right until dump 4, where the images of class 1 flip for good."""
    labels = np.repeat(np.arange(CLASSES), IMAGES // CLASSES).astype(np.uint16)
    predicted = np.tile(labels, (dumps, 1))
    predicted[max(4 - start, 0) :, 4:8] = 2
    scalars = np.zeros((dumps, len(DUMP_COLUMNS)))
    scalars[:, 0] = 10 * (start + np.arange(dumps))
    turned = np.tile(np.arange(FILTERS, dtype="f4"), (dumps, 1))
    return {"dump/scalars": scalars, "dump/predicted": predicted, "dump/filter/cosine_distance": turned}


@pytest.fixture
def folder(tmp_path):
    writer = store.RunWriter.create(
        tmp_path / "run",
        config={"seed": 0},
        identity={"network": {"nodes": NODES, "edges": [[0, 1]]}, "classes": list("abc")},
        arrays={
            "dump/scalars": store.ArraySpec("f8", (len(DUMP_COLUMNS),), DUMP_COLUMNS),
            "dump/predicted": store.ArraySpec("u2", (IMAGES,)),
            "dump/label": store.ArraySpec("u2", (IMAGES,)),
            "dump/image": store.ArraySpec("i4", (IMAGES,)),
            "dump/filter/cosine_distance": store.ArraySpec("f4", (FILTERS,)),
        },
        pyramids=(),
    )
    labels = np.repeat(np.arange(CLASSES), IMAGES // CLASSES)
    writer.append(
        {"dump/label": labels[None].astype("u2"), "dump/image": np.arange(IMAGES)[None].astype("i4")}
    )
    writer.append(rows(9))
    writer.commit()
    yield tmp_path, writer
    writer.close()


def page(root, **query):
    """A Context on the run with this address, and what was emitted."""
    arguments = {key: [str(v).encode() for v in np.atleast_1d(value)] for key, value in query.items()}
    context = Context(
        root=root, doc=Document(), mail=Mailbox(Document()), cache=RunsCache(root), state=UrlState(arguments),
        worker=None, download=None, open_runs=None, selected=("run",),
    )  # fmt: skip
    heard = []
    for event in ("settings", "selection", "mode"):
        context.on(event, lambda event=event: heard.append(event))
    return context, heard


def test_an_address_gives_settings_and_selection_and_nonsense_is_dropped(folder):
    context, _ = page(
        folder[0], mode="layers", track_window=3, track_threshold="-1", track_rule="sideways", track_top=2,
        sel_classes=["1", "7", "x", "1"], sel_filters=["4", "2", "-3"],
        sel_dumps="99999999999", sel_image="5",
    )  # fmt: skip
    found = tracker_of(context)
    assert found is tracker_of(context) and found.mode == "layers"
    assert found.settings.window == 3 and found.settings.threshold >= 2
    assert (found.settings.rule, found.settings.top, found.settings.measure) == ("both", 2, "cosine")
    assert found.selection == ((), (1,), (), (2, 4), 5)


def test_anomalies_are_those_of_the_analysis(folder):
    context, heard = page(folder[0], track_window=2, track_threshold=4, track_top=2)
    found = Tracker(context, ["run"])
    table = found.anomalies().columns
    assert table["class"].tolist() == [1, 1] and table["dump"].tolist() == [4, 4]
    assert sorted(table["rule"]) == ["left", "right"] and table["score"].tolist() == [4, 4]
    dumps = open_dumps(store.open_run(folder[0] / "run"))
    found.change(rule="left", threshold=2)
    wanted = anomalies(scores(dumps.right(), dumps.starts, 2, "left"), 2).columns
    for name, values in wanted.items():
        np.testing.assert_array_equal(found.anomalies().columns[name], values)
    assert heard == ["settings"]
    found.change(rule="left")
    assert heard == ["settings"]
    assert found.filters().columns["filter"].tolist() == [4, 3]  # those that turned most
    assert found.grid().layers.tolist() == [1] and found.grid().classes.tolist() == [1]
    assert found.label(4) == "iteration 40"


def test_a_selection_is_told_once_and_stands_in_the_address(folder):
    context, heard = page(folder[0])
    found = tracker_of(context)
    found.select(classes=[2, 0, 2], dumps=np.array([4]))
    found.select(classes=(0, 2))
    assert heard == ["selection"]
    assert context.state.query() == "?sel_dumps=4&sel_classes=0&sel_classes=2"
    found.toggle("classes", 1)
    assert found.selection.classes == (1,)
    found.toggle("classes", 2, extend=True)
    found.toggle("classes", 1, extend=True)
    assert found.selection.classes == (2,)
    found.toggle("classes", 2)
    assert found.selection.classes == ()
    found.select(image=3)
    found.clear()
    assert found.selection == ((), (), (), (), None) and context.state.query() == ""
    found.show("health")
    assert heard[-1] == "mode" and context.state.get("mode") == "health"


def test_new_dumps_are_taken_in(folder):
    root, writer = folder
    found = tracker_of(page(root, track_window=2, track_threshold=4)[0])
    assert not found.grown() and found.count == 9 and found.x_range.end == 8.5
    writer.append(rows(3, start=9))
    writer.commit()
    found.context.cache.refresh("run")
    assert found.grown() and found.count == 12 and found.x_range.end == 11.5
    assert found.formatter.args["iterations"][-1] == 110
    found.x_range.update(start=2, end=5)
    writer.append(rows(1, start=12))
    writer.commit()
    found.grown()
    assert found.x_range.end == 5  # the reader looks elsewhere
    found.reset()
    assert (found.x_range.start, found.x_range.end) == (-0.5, 12.5)


def test_runs_without_dumps_have_no_tracker(tmp_path):
    with store.RunWriter.create(
        tmp_path / "run", config={}, identity={}, arrays={"scalars": store.ArraySpec("f8", (1,))}, pyramids=()
    ) as writer:
        writer.commit()
    assert tracker_of(page(tmp_path)[0]) is None
