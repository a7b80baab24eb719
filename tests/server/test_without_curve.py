"""Pages of one's own that have no curve: views that follow the page's window, and the tutorial's own view."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import Range1d

from gdlab import store
from gdlab.records import STEP_COLUMNS
from server.core.runs_cache import RunsCache
from server.shell import pages
from server.shell.session import Session
from tests.documents import blocks

VALIDATION = pages.Part("validation", "server.views.validation.build")
COLUMNS = ("iteration", "loss", "accuracy", "train_loss", "train_accuracy")


@pytest.fixture
def visit(tmp_path, monkeypatch):
    """(visit(*parts) -> a session that shows a page of these views, the writer of its 40 iterations)."""
    arrays = {
        "scalars": store.ArraySpec("f8", (len(STEP_COLUMNS),), STEP_COLUMNS),
        "validation": store.ArraySpec("f8", (len(COLUMNS),), COLUMNS),
    }
    path = tmp_path / "runs" / "a"

    def start(*parts, **query):
        monkeypatch.setattr(pages, "pages", lambda: {"mine": pages.Page("mine", "Mine", 1, parts)})
        cache = RunsCache(path.parent, clock=itertools.count(0, 60).__next__)
        asked = {key: [value.encode()] for key, value in {"page": "mine", "run": "a", **query}.items()}
        session = Session(Document(), path.parent, asked, cache, None)
        session.start()
        session.show("mine")
        return session

    with store.RunWriter.create(path, config={}, identity={}, arrays=arrays, pyramids=()) as writer:
        write(writer, 0, 40)
        yield start, writer
        writer.set_status("finished")


def write(writer, start, stop):
    """Rows of the iterations [start, stop), and a validation every fourth."""
    k = np.arange(start, stop)
    steps = np.zeros((len(k), len(STEP_COLUMNS)))
    steps[:, STEP_COLUMNS.index("loss")] = 1 / (1 + k)
    validation = np.column_stack([k, 1 / (1 + k), k / 100, 1 / (1 + k), k / 90])[::4]
    writer.append({"scalars": steps, "validation": validation})
    writer.commit()


def test_a_validation_alone_shows_all_iterations_and_those_to_come(visit):
    start, writer = visit
    session = start(VALIDATION)
    (x,) = session.doc.select({"type": Range1d, "name": "curve_x"})
    assert x.start < 0 and 39 < x.end < 42
    lines = session.doc.get_model_by_name("validation_accuracy_validation_0")
    assert list(lines.data["k"]) == list(range(0, 40, 4))
    write(writer, 40, 80)
    session.tick()
    assert 79 < x.end < 83 and lines.data["k"][-1] == 76
    session.show("mine")
    assert 79 < x.end < 83


def test_the_window_of_an_address_is_kept(visit):
    start, _ = visit
    session = start(VALIDATION, x0="10", x1="20")
    (x,) = session.doc.select({"type": Range1d, "name": "curve_x"})
    assert (x.start, x.end) == (10, 20) and session.state.get("x0", 0.0) == 10


def test_the_tutorials_view_stands_where_its_window_ends_and_follows_its_choice(visit, tmp_path, monkeypatch):
    page = Path(__file__).parents[2] / "docs" / "tutorials" / "parts.md"
    (code,) = (block.code for block in blocks(page) if block.file == "my_view.py")
    (tmp_path / "my_view.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_view", raising=False)
    monkeypatch.setenv("GDLAB_TARGETS", "my_view")
    start, writer = visit
    session = start(pages.Part("spread", "my_view.build"))
    plot = session.doc.get_model_by_name("spread_figure")
    drawn = plot.renderers[0].data_source
    loss = store.open_run(tmp_path / "runs" / "a").table("steps").columns["loss"]
    assert (drawn.data["x"][0], drawn.data["x"][-1]) == (9, 40) and drawn.data["y"][0] == np.ptp(loss[:10])
    session.doc.get_model_by_name("spread_window").value = 3
    assert drawn.data["x"][0] == 2 and drawn.data["y"][0] == np.ptp(loss[:3])
    assert session.state.get("my_window", 0) == 3
    write(writer, 40, 60)
    session.tick()
    assert drawn.data["x"][-1] == 60
