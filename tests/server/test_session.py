"""A session without a browser: pages, selection, themes, refresh, and views that fail."""

import itertools
import json
import shutil

import make_runs
import pytest
from bokeh.document import Document
from bokeh.events import ButtonClick
from bokeh.models import Div
from bokeh.plotting import figure

import gdlab
from gdlab.store import requests
from server.core.context import View
from server.core.runs_cache import RunsCache
from server.shell import pages
from server.shell.session import Session
from server.ui import card
from tests.store.test_identity import before_schema_2

CURVE, BROKEN = pages.Part("curve", "fake.curve"), pages.Part("broken", "fake.broken")
PAGES = {
    "runs": pages.Page("runs", "Runs", 0, (CURVE,)),
    "one": pages.Page("one", "One", 1, (CURVE, BROKEN)),
    "two": pages.Page("two", "Two", 2, (CURVE,)),
}


class FakeView:
    """Draws one glyph for the page's runs and counts its updates."""

    built: list  # (context, glyph, updates)

    def __init__(self):
        self.built = []

    def __call__(self, context):
        plot = figure(width=200, height=200)
        glyph = context.paint(plot.line([0, 1], [0, 1]).glyph, line_color="segment")
        updates = []
        self.built.append((context, glyph, updates))
        return View(
            card.card(context, "Curve", "", plot, name="curve", figures=[plot]), lambda: updates.append(1)
        )


@pytest.fixture
def curve(monkeypatch):
    curve = FakeView()

    def broken(context):
        raise ValueError("n=0 must be positive <b>")

    builds = {CURVE.name: curve, BROKEN.name: broken}
    monkeypatch.setattr(pages, "pages", lambda: PAGES)
    monkeypatch.setattr(pages, "load", lambda part: builds[part.name])
    monkeypatch.setattr(pages, "prefetch", lambda part: None)
    return curve


@pytest.fixture
def visit(curve, tmp_path):
    """visit(page=..., run=[...]) -> a session that has started and shows its page."""
    for name in ("a", "b"):
        make_runs.make(tmp_path / name, seed=ord(name))
    make_runs.damage(tmp_path / "broken")

    def start(control=False, **query):
        arguments = {
            key: [text.encode() for text in ([value] if isinstance(value, str) else value)]
            for key, value in query.items()
        }
        session = Session(
            Document(), tmp_path, arguments, RunsCache(tmp_path, clock=itertools.count(0, 60).__next__), None,
            control=control,
        )  # fmt: skip
        session.start()
        session.show(session.page)
        return session

    return start


events = itertools.count()


def send(session, kind, value=None):
    session.bridge.event = json.dumps({"n": next(events), "type": kind, "value": value})


def texts(session):
    return {div.name: div.text for div in session.doc.select({"type": Div}) if div.text}


def test_the_page_that_the_address_asks_for(visit):
    assert visit().page == "runs"
    assert visit(run="a").page == "one"
    assert visit(page="two", run=["a", "b"]).bridge.page == "two"
    assert visit(page="two", run=["a", "b"]).bridge.notice == ""


def test_a_page_that_is_none_is_said(visit):
    session = visit(page="oen", run="a")
    assert session.bridge.page == "one"
    assert session.bridge.notice == "There is no page 'oen'. Did you mean 'one'? This is One."
    assert visit(page="xyz").bridge.notice == "There is no page 'xyz'. This is Runs."


def test_pages_are_built_once_per_selection(visit, curve):
    session = visit(run="a")
    send(session, "page", "runs")
    send(session, "page", "one")
    assert len(curve.built) == 2
    send(session, "open", ["b"])
    assert curve.built[-1][0].selected == ("b",)
    assert session.bridge.address == "?run=b&page=one"


def test_only_the_current_page_is_visible(visit):
    session = visit(run="a")
    send(session, "page", "runs")
    assert {root.name: root.visible for root in session.main.children} == {
        "page_one": False,
        "page_runs": True,
    }


def test_a_view_that_fails_is_a_card_beside_the_others(visit):
    session = visit(run="a")
    assert texts(session)["error_Broken_message"] == "n=0 must be positive <b>"
    assert session.doc.get_model_by_name("curve") is not None
    assert session.doc.get_model_by_name("error_Broken_message").render_as_text


def test_damaged_and_unknown_runs_are_cards_and_the_rest_works(visit, curve):
    session = visit(run=["broken", "a", "../..", "nothing"])
    shown = texts(session)
    assert "damaged" in shown["error_0_message"]
    assert "does not lie under" in shown["error_1_message"]
    assert "no run" in shown["error_2_message"]
    assert curve.built[0][0].selected == ("a",)


def test_too_few_runs(visit):
    assert "Choose one" in texts(visit(page="one"))["too_few_message"]
    assert "Tick 2" in texts(visit(page="two", run="a"))["too_few_message"]


def test_the_theme_repaints_glyphs_and_is_written_to_the_address(visit, curve):
    session = visit(run="a")
    glyph = curve.built[0][1]
    assert glyph.line_color == "#1d2430"
    send(session, "theme", "dark")
    assert glyph.line_color == "#c8ced8"
    assert session.doc.theme._json["attrs"]["Axis"]["axis_line_color"] == "#434b57"
    assert "theme=dark" in session.bridge.address
    assert visit(run="a", theme="dark") and curve.built[-1][1].line_color == "#c8ced8"


def test_a_remembered_theme_is_worn_without_writing_the_address(visit, curve):
    session = visit(run="a")
    send(session, "greet", "dark")
    assert curve.built[0][1].line_color == "#c8ced8"
    assert session.bridge.address == ""


def test_views_are_updated_when_their_record_grows_and_not_while_paused(visit, curve, tmp_path):
    with make_runs.begin(tmp_path / "live", seed=9) as writer:
        make_runs.append(writer, 0, 5)
        session = visit(run="live")
        updates, refreshed = curve.built[0][2], []
        curve.built[0][0].on("refresh", lambda: refreshed.append(1))
        session.tick()
        assert updates == []
        make_runs.append(writer, 5, 5)
        session.tick()
        assert len(updates) == len(refreshed) == 1
        assert json.loads(session.bridge.status) == {"kind": "live", "text": "live · iteration 10"}
        send(session, "pause", True)
        make_runs.append(writer, 10, 5)
        session.tick()
        assert len(updates) == 1
        assert json.loads(session.bridge.status)["kind"] == "paused"
        send(session, "pause", False)
        assert len(updates) == 2
        writer.set_status("finished")


def test_keys_reach_the_page_and_escape_goes_back_in_steps(visit, curve):
    session = visit(run="a", k="5")
    context, heard = curve.built[0][0], []
    context.on("step", heard.append)
    context.on("log", lambda: heard.append("log"))
    context.on("iteration", heard.append)
    assert context.iteration == 5
    send(session, "step", -1)
    send(session, "log")
    send(session, "back")
    assert heard == [-1, "log", None]
    assert session.bridge.page == "one"
    send(session, "back")
    assert session.bridge.page == "runs"


@pytest.mark.parametrize("control", [True, False])
def test_a_training_is_stopped_by_two_clicks_where_readers_may(visit, curve, tmp_path, control):
    with make_runs.begin(tmp_path / "live") as writer:
        make_runs.append(writer, 0, 5)
        writer.commit()
        session = visit(page="one", run="live", control=control)
        (button,) = session.doc.select({"name": "runbar_stop_0"})
        assert button.visible == control
        if not control:
            return
        click = lambda: button._trigger_event(ButtonClick(button))  # noqa: E731
        click()
        assert button.label == "Stop it?" and not (tmp_path / "live" / "stop.json").exists()
        click()
        assert button.disabled and requests.stop_taken(tmp_path / "live")
        writer.set_status("interrupted", "stopped")
    session.tick()
    assert not button.visible


def test_a_first_click_is_taken_back(visit, curve, tmp_path):
    with make_runs.begin(tmp_path / "live") as writer:
        make_runs.append(writer, 0, 5)
        writer.commit()
        session = visit(page="one", run="live", control=True)
        (button,) = session.doc.select({"name": "runbar_stop_0"})
        button._trigger_event(ButtonClick(button))
        for start in range(5, 25, 5):
            make_runs.append(writer, start, 5)
            writer.commit()
            session.tick()
        assert button.label == "Stop" and not button.disabled


def test_other_runs_begin_with_a_fresh_address(visit):
    session = visit(run="a", k="5", theme="dark", x0="3")
    send(session, "open", ["b"])
    assert session.bridge.address == "?run=b&theme=dark&page=one"


def test_a_colour_that_is_set_is_heard_and_kept_in_the_address(visit, curve):
    session = visit(run=["a", "b"])
    context, heard = curve.built[0][0], []
    context.on("colour", heard.append)
    assert context.colour("a") != context.colour("b")
    context.set_colour("a", "#123456")
    assert context.colour("a") == "#123456"
    assert heard == ["a"]
    assert "colour=123456:a" in session.bridge.address
    assert session.doc.get_model_by_name("runbar_colour_0").color == "#123456"


def test_a_run_without_checksums_says_that_it_is_not_verified(visit, curve, tmp_path):
    for name in ("new", "old"):
        make_runs.make(tmp_path / name)
    before_schema_2(tmp_path / "old", 100.0)
    doc = visit(run=["new", "old"]).doc
    states = [doc.get_model_by_name(f"runbar_state_{i}").text for i in (0, 1)]
    assert states == ["finished", "finished · not verified"]


def test_of_many_runs_the_first_have_chips_until_the_others_are_asked_for(visit, curve, tmp_path):
    names = [f"run{i:02}" for i in range(12)]
    for name in names:
        make_runs.make(tmp_path / name)
    doc = visit(run=names).doc
    shown = [doc.get_model_by_name(f"runbar_name_{i}") for i in range(12)]
    assert [each.text for each in shown[:7]] == names[:7] and shown[7:] == [None] * 5
    more = doc.get_model_by_name("runbar_more")
    assert more.label == "and 5 more"
    more._trigger_event(ButtonClick(more))
    assert [doc.get_model_by_name(f"runbar_name_{i}").text for i in range(12)] == names
    more._trigger_event(ButtonClick(more))
    assert doc.get_model_by_name("runbar_name_7") is None and more.label == "and 5 more"


def test_a_listener_that_fails_does_not_silence_the_others_and_is_told_to_the_reader(visit, curve, caplog):
    session, heard = visit(run="a"), []
    context = curve.built[0][0]
    context.on("x", lambda: 1 / 0)
    context.on("x", lambda: heard.append(1))
    context.emit("x")
    assert heard == [1]
    assert "ZeroDivisionError" in caplog.text
    assert "could not follow" in session.bridge.notice


def test_files_do_not_stay_in_the_document(visit):
    session, files = visit(), []
    session.bridge.on_change("file", lambda attr, old, new: files.append(new))
    session.download("a.csv", "x\n1\n")
    assert json.loads(files[0]) == {"name": "a.csv", "text": "x\n1\n"}
    assert session.bridge.file == ""


def replaced_by_another(folder):
    shutil.rmtree(folder)
    make_runs.make(folder, sigma=0.3, seed=9)


def moved_from_elsewhere(folder):
    folder.rename(folder.with_name("old"))
    make_runs.make(folder.with_name("new"), sigma=0.3, seed=9)
    folder.with_name("new").rename(folder)


@pytest.mark.parametrize("replace", [replaced_by_another, moved_from_elsewhere])
def test_another_run_under_the_name_of_one_that_is_shown_is_shown_from_then_on(visit, curve, replace):
    session = visit(run=["a", "b"], page="two")
    old = curve.built[-1]
    replace(session.root / "a")
    session.tick()
    context, _, updates = curve.built[-1]
    assert context is not old[0] and not old[2]
    assert context.run("a").config["optimizer"]["linesearch"]["sigma"] == 0.3
    assert "put in the place" in session.bridge.notice
    session.tick()
    assert curve.built[-1][0] is context and not updates


def test_a_name_that_becomes_a_run_is_shown_from_then_on(visit, curve, tmp_path):
    session = visit(run=["a", "later"], page="one")
    assert curve.built[-1][0].selected == ("a",)
    session.tick()
    count = len(curve.built)
    make_runs.make(session.root / "later")
    session.tick()
    assert len(curve.built) > count and curve.built[-1][0].selected == ("a", "later")
    assert "can be read by now" in session.bridge.notice


def test_a_page_that_waits_in_the_background_is_built_anew_for_another_run(visit, curve):
    session = visit(run="a")
    send(session, "page", "runs")
    replaced_by_another(session.root / "a")
    count = len(curve.built)
    send(session, "page", "one")
    assert len(curve.built) == count + 1
    assert curve.built[-1][0].run("a").config["optimizer"]["linesearch"]["sigma"] == 0.3


def test_the_log_key_on_a_page_without_a_curve_does_nothing(tmp_path, caplog):
    """A run of another program's numbers has no steps to draw."""
    gdlab.import_runs(table(tmp_path), tmp_path / "runs" / "imported")
    root = tmp_path / "runs"
    session = Session(Document(), root, {"page": [b"steps"], "run": [b"imported"]}, RunsCache(root), None)
    session.start()
    session.show("steps")
    send(session, "log")
    assert not caplog.records and session.bridge.notice == ""


def table(folder):
    path = folder / "log.csv"
    path.write_text("step,loss\n0,1.0\n1,0.5\n")
    return path
