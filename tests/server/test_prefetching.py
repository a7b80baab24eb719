"""What a page draws is read in a thread before it is built."""

import threading
import time

import pytest
from bokeh.document import Document
from bokeh.models import Div

from benchmarks import made_up_dumps
from server.core.context import View
from server.core.runs_cache import RunsCache
from server.pages.tracker import prefetching
from server.pages.tracker import tracker as trackers
from server.pages.tracker.classes import choices
from server.shell import pages
from server.shell.session import Session

MODES = ("classes", "layers", "correlation", "health")


def arrived(session):
    """Waits until the threads of a session have something for the event loop."""
    end = time.monotonic() + 10
    while not session.mail.waiting:
        assert time.monotonic() < end, "nothing came within 10 s"
        time.sleep(0.01)


def turn(session):
    """One turn of the event loop; how many mails there were."""
    arrived(session)
    return sum(session.mail.deliver() for _ in range(session.mail.waiting))


@pytest.fixture
def views(monkeypatch):
    """Calls (name, context, thread) of a page with two views, the first of which fails to prefetch, of
    another, and of one that does not prefetch."""
    calls = []

    def noted(name):
        def call(context):
            calls.append((name, context, threading.current_thread()))
            if name == "read broken":
                raise OSError("no such disk")
            return View(Div(), lambda: None)

        return call

    def part(name):
        return pages.Part(name, f"fake.{name}")

    two = pages.Page("two", "Two", 0, (part("broken"), part("good")))
    other = pages.Page("other", "Other", 0, (part("other"),))
    quick = pages.Page("quick", "Quick", 0, (part("quick"),))
    monkeypatch.setattr(pages, "pages", lambda: {"two": two, "other": other, "quick": quick})
    monkeypatch.setattr(pages, "load", lambda part: noted(f"build {part.name}"))
    reads = {part.name: noted(f"read {part.name}") for part in (*two.views, *other.views)}
    monkeypatch.setattr(pages, "prefetch", lambda part: reads.get(part.name))
    return calls


def test_views_read_in_a_thread_and_are_built_in_the_event_loop_with_the_same_context(views, tmp_path):
    session = Session(Document(), tmp_path, {}, RunsCache(tmp_path), None)
    session.start()
    arrived(session)
    assert [name for name, *_ in views] == ["read broken", "read good"]
    session._on_greet("dark")  # the browser tells its theme meanwhile
    turn(session)
    assert [name for name, *_ in views[2:]] == ["build broken", "build good"]
    here = threading.current_thread()
    assert [thread is here for _, _, thread in views] == [False, False, True, True]
    assert len({id(context) for _, context, _ in views}) == 1 and views[-1][1].dark


def test_a_reader_who_goes_elsewhere_meanwhile_is_not_called_back(views, tmp_path):
    session = Session(Document(), tmp_path, {}, RunsCache(tmp_path), None)
    session.start()
    session.show("other")
    turn(session)
    assert [name for name, *_ in views if name.startswith("build")] == ["build other"]
    assert session.bridge.page == "other"


def test_a_page_that_is_clicked_is_read_ahead_too_and_stands_from_then_on(views, tmp_path):
    session = Session(Document(), tmp_path, {"page": [b"quick"]}, RunsCache(tmp_path), None)
    session.start()
    turn(session)
    quick = session.main.children[0]
    session.go("two")
    assert [root.visible for root in session.main.children] == [False, True]  # the second: it is loading
    assert session.bridge.page == "two" and not any("build broken" in call for call in views)
    turn(session)
    assert [root.name for root in session.main.children] == ["page_quick", "page_two"]
    session.go("quick")
    assert quick.visible and session.bridge.page == "quick"
    before = len(views)
    session.go("two")
    assert len(views) == before and [root.visible for root in session.main.children] == [False, True]


def test_who_clicks_on_while_a_page_is_read_is_shown_what_was_clicked_last(views, tmp_path):
    session = Session(Document(), tmp_path, {"page": [b"quick"]}, RunsCache(tmp_path), None)
    session.start()
    turn(session)
    session.go("two")
    session.go("other")
    answers = 0
    while answers < 2:
        answers += turn(session)
    assert not any(name.startswith("build good") for name, *_ in views)
    assert session.bridge.page == "other"


@pytest.mark.parametrize("mode", MODES)
def test_the_tracker_has_computed_what_the_view_shows(mode, tmp_path, monkeypatch):
    made_up_dumps.write(tmp_path / "net", dumps=40, classes=6, images=10)
    query = {"page": [b"tracker"], "run": [b"net"], "mode": [mode.encode()]}
    session = Session(Document(), tmp_path, query, RunsCache(tmp_path), None)
    session.start()
    arrived(session)
    assert session._prefetched is None and session._current is None
    evidence = trackers.evidence(session.cache.run("net"))
    known = set(evidence._answers)
    assert ("flips",) in known
    if mode == "classes":
        assert {("rates",), ("clusters", choices.clusters_asked(session.state, 6))} <= known
    if mode == "correlation":
        assert {("rates",), ("change", "cosine")} <= known
        # Building it computes nothing of the kind again.
        monkeypatch.setattr(type(evidence), "_kept", lambda self, key, compute: self._answers[key])
        monkeypatch.setattr(trackers.correlation, "full_grid", None)
    turn(session)
    view = session.main.select_one({"name": f"tracker_{mode}"})
    assert view.visible and view.children[0].children
    assert not list(session.main.select({"name": "error_Correlation"}))


def test_reading_ahead_finds_nothing_to_do_without_dumps(tmp_path):
    session = Session(Document(), tmp_path, {}, RunsCache(tmp_path), None)
    assert prefetching.prefetch(session._context(())) is None
