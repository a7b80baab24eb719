"""What the records say stands above the cards, and its buttons lead to the places."""

from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.events import ButtonClick
from bokeh.models import Button

from gdlab import store
from gdlab.records import DIVERGED
from server.core.address import UrlState
from server.core.context import Context
from server.views import in_words
from tests.findings.test_findings import descent, record


@pytest.fixture
def page(tmp_path, monkeypatch):
    """(context, what was opened) of a run whose error is not finite from iteration 7 on."""
    steps = descent(0.1)
    steps["loss"][7:] = np.inf
    steps["status"] = np.where(np.arange(20) >= 7, DIVERGED, 0)
    record(tmp_path / "a", steps)
    opened: list = []
    context = Context(
        root=tmp_path, doc=Document(), mail=None,
        cache=SimpleNamespace(run=lambda name: store.open_run(tmp_path / name)),
        state=UrlState({}), worker=None, download=None,
        open_runs=lambda names, page: opened.append((tuple(names), page)), selected=("a",),
    )  # fmt: skip

    def at_once(self, key, compute, words=""):
        return self.ask(key, lambda on_progress, on_done, on_error: on_done(compute()))

    monkeypatch.setattr(in_words.Query, "compute", at_once)
    return context, opened


def buttons(view):
    return list(view.root.select({"type": Button}))


def click(button):
    button._trigger_event(ButtonClick(button))


def test_sentences_stand_there_and_lead_to_their_iteration(page):
    context, opened = page
    view = in_words.build(context, "descent")
    assert view.root.visible
    texts = [row.children[0].text for row in view.root.children]
    assert texts[0] == "The error of a is not finite from iteration 7 on."
    heard = []
    context.on("iteration", heard.append)
    click(buttons(view)[0])
    assert context.iteration == 7 and heard == [7] and opened == []


def test_from_another_page_the_place_is_opened(page):
    context, opened = page
    view = in_words.build(context, "optimizers")
    click(buttons(view)[0])
    assert context.iteration == 7 and opened == [(("a",), "descent")]


def test_nothing_is_shown_where_nothing_is_said(page, tmp_path):
    context, _ = page
    record(tmp_path / "b", {"loss": np.linspace(1, 0.1, 200)})
    context.selected = ("b",)
    view = in_words.build(context, "descent")
    assert not view.root.visible and not view.root.children
    view.update()  # nothing has come: nothing is read


def test_a_record_that_grows_a_little_is_not_read_again(page, monkeypatch):
    context, _ = page
    reads: list = []
    monkeypatch.setattr(in_words, "findings", lambda runs, page: reads.append(page) or [])
    view = in_words.build(context, "descent")
    view.update()
    assert reads == ["descent"]
