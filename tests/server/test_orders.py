"""Every card of every page, asked several things at once: the newest counts, however answers come."""

import ast
import itertools
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from bokeh.document import Document
from bokeh.events import ButtonClick
from bokeh.models import Button, DataTable, Div, RadioButtonGroup, Select, Spinner, Widget

import server
from server.core import threads
from server.core.runs_cache import RunsCache
from server.pages.tracker.tracker import tracker
from server.shell.session import Session
from server.ui.query import CardQuery, Query
from tests.server.test_mailbox import MODES, folder  # noqa: F401

APP = Path(server.__file__).parent
PAGES = [
    {"page": "runs"},
    *({"page": page, "run": ["a"]} for page in ("descent", "line", "steps")),
    {"page": "insides", "run": ["net"]},
    {"page": "surface", "run": ["a", "b"]},
    {"page": "compare", "run": ["a", "b"]},
    {"page": "optimizers", "run": ["a", "b"]},
    *({"page": "tracker", "run": ["net"], "mode": [mode]} for mode in MODES),
    {"page": "ensemble", "ens_folder": ["sweep"]},
]
ORDERS = list(itertools.permutations(range(3)))
# What a page is about: answered at once, or there would be nothing to ask about.
AT_ONCE = ("pages/ensemble/shared.py", "pages/ensemble/filter_bar.py")
# Cards that ask nothing here, and what would make them ask.
ELSEWHERE = {
    "pages/descent/map.py",  # two parameters
    "pages/surface/second.py",  # two surfaces that have been computed
    "pages/tracker/bar.py",  # so many predictions that looking for anomalies takes long
    "pages/tracker/tracker.py",  # so many that looking for a window does
    "views/galaxy.py",  # a network with a code: tests/server/test_codes_card.py
}
LEFT_ALONE = ("Cancel", "remove", "clear", "open", "Compare", "Ensemble", "Look inside", "Show the images")


class Worker:
    """Takes no job: questions are held before they reach it."""

    def warm(self):
        pass


class Desk:
    """Every Query of a page and where it is made; asked: its different keys, in order."""

    def __init__(self, monkeypatch):
        self.asked, self.sites = defaultdict(list), {}
        ask, made = Query.ask, Query.__init__

        def init(query, *args, **named):
            made(query, *args, **named)
            caller = sys._getframe(1)
            if isinstance(query, CardQuery):
                caller = caller.f_back
            self.sites[query] = Path(caller.f_code.co_filename).relative_to(APP).as_posix()

        def asks(query, key, begin, words=""):
            if self.sites[query] in AT_ONCE:
                return ask(query, key, begin, words)
            if key not in self.asked[query]:
                self.asked[query].append(key)
            return ask(query, key, lambda **on: None, words)

        monkeypatch.setattr(Query, "__init__", init)
        monkeypatch.setattr(Query, "ask", asks)


def rest(session):
    """Whatever waits until the reader rests, and the mail."""
    for callback in session.doc.session_callbacks:
        if type(callback).__name__ == "TimeoutCallback":
            session.doc.remove_timeout_callback(callback)
            callback.callback()
    while session.mail.deliver():
        pass


def opened(folder, query):  # noqa: F811
    """A session that shows a page."""
    arguments = {key: [value.encode() for value in ([values] if isinstance(values, str) else values)]
                 for key, values in query.items()}  # fmt: skip
    session = Session(Document(), folder, arguments, RunsCache(folder), Worker())
    session._prefetch = lambda *_: None
    session.start()
    session.show(query["page"])
    for model in session.doc.select({"tags": ["ensemble unseen"]}):
        model.tags = ["ensemble seen"]
    rest(session)
    for model in session.doc.select({"tags": ["ensemble unseen"]}):
        model.tags = ["ensemble seen"]
    return session


def act(session, turn):
    """One turn of a reader who tries everything: iteration, selection, every list, number and button."""
    page, context = session._current.page.name, session._current.context
    context.iteration = 3 + turn
    if page == "tracker":
        tracker(context).select(dumps=(5 + turn,), classes=(turn,), filters=(turn, turn + 3), image=turn)
        tracker(context).change(window=3 + turn, threshold=2 + turn)
    rest(session)
    for kind, change in ((Select, _choose), (Spinner, _count), (RadioButtonGroup, _press), (Button, _click)):
        for widget in sorted(session.doc.select({"type": kind}), key=lambda each: each.name or ""):
            if widget.visible and not widget.disabled:
                change(widget, turn)
                rest(session)


def _choose(select, turn):
    if len(select.options) > turn and not select.name.startswith("runs"):
        option = select.options[turn]
        select.value = option if isinstance(option, str) else option[0]


def _count(spinner, turn):
    spinner.value = (spinner.low or 0) + turn + 1


def _press(group, turn):
    if group.name != "tracker_mode" and len(group.labels) > 1:
        group.active = turn % len(group.labels)


def _click(button, turn):
    if not any(word in f"{button.name} {button.label}" for word in LEFT_ALONE):
        button._trigger_event(ButtonClick(button))


def in_every_order(query, keys):
    """Asks a Query these again, at once, and answers in every order."""
    for order in ORDERS:
        query.forget()
        shown, answers = [], []
        query._show = shown.append
        for key in keys:
            assert query.ask(key, lambda *, on_done, told=answers, **on: told.append(on_done))
        for place in order:
            answers[place](f"answer {place}")
        assert shown == ["answer 2"] and query.answered == keys[-1]
        assert not query.waiting and not query.stale


def made():
    """Files in which a Query is made."""
    files = set()
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Query", "CardQuery"):
                files.add(path.relative_to(APP).as_posix())
    return files


@pytest.fixture(scope="module")
def visits(folder):  # noqa: F811
    """(Session, Desk) of every page, after three turns of a reader who tries everything."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "in_thread", lambda work, name: work())
        for query in PAGES:
            with pytest.MonkeyPatch.context() as asking:
                desk = Desk(asking)
                session = opened(folder, query)
                for turn in range(3):
                    act(session, turn)
            found.append((session, desk))
    return found


def test_every_card_shows_the_answer_to_its_newest_question(visits):
    asked, several = set(AT_ONCE), set()
    for _, desk in visits:
        for each, site in desk.sites.items():
            keys = desk.asked[each]
            asked |= {site} if keys else set()
            several |= {site} if len(keys) >= 3 else set()
            in_every_order(each, ["one", "two", "three", *keys][-3:])
    assert made() - asked == ELSEWHERE
    assert len(several) >= 16  # the others ask one thing as long as their run does not grow


def test_every_control_says_what_it_is_for(visits):
    silent = set()
    for session, _ in visits:
        for widget in session.doc.select({"type": Widget}):
            if not isinstance(widget, (DataTable, Div)) and not widget.html_attributes.get("title"):
                silent.add((session._current.page.name, widget.name))
    assert not silent


def test_whatever_a_card_asks_goes_through_a_query():
    words = {"submit", "Computation", "run_in_thread"}
    named = {
        path.relative_to(APP).as_posix()
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (getattr(node, "attr", None) or getattr(node, "id", None)) in words
    }
    pools = {"pages/tracker/prefetching.py"}  # before the page is built
    assert {file for file in named if file.startswith(("pages/", "views/", "ui/"))} - pools == {"ui/query.py"}
