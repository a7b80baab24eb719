"""Cards: their parts, their menu, and text that is never HTML."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.models import Div, Dropdown, InlineStyleSheet
from bokeh.plotting import figure

from gdlab.records import Table
from server.ui import card, reading


@pytest.fixture
def context():
    files = {}
    return SimpleNamespace(
        sheet=InlineStyleSheet(css=""), selected=("a/b <c>",), download=files.__setitem__, files=files
    )


def table():
    return Table({"k": np.arange(3)}, {"k": ("k",)}, {})


def click(menu, item):
    for callback in menu._event_callbacks["menu_item_click"]:
        callback(SimpleNamespace(item=item))


def test_title_and_caption_can_be_changed_and_are_text(context):
    made = card.card(context, "<b>Title</b>", "caption", figure(), name="curve")
    card.retitle(made, title="Line search at iteration 3")
    assert made.select_one({"name": "curve_title"}).text == "Line search at iteration 3"
    assert made.select_one({"name": "curve_caption"}).text == "caption"
    assert all(div.render_as_text for div in made.select({"type": Div}))


def test_the_menu_offers_what_there_is(context):
    plot = figure()
    both = card.card(context, "T", "", plot, name="x", figures=[plot], csv=table).select_one(
        {"type": Dropdown}
    )
    assert [value for _, value in both.menu] == ["svg", "png", "csv"]
    assert card.card(context, "T", "", figure(), name="y").select_one({"type": Dropdown}) is None


def test_csv_is_made_when_it_is_asked_for(context):
    asked = []

    def csv():
        asked.append(1)
        return table()

    menu = card.card(context, "T", "", figure(), name="x", csv=csv).select_one({"type": Dropdown})
    click(menu, "svg")
    assert not asked
    click(menu, "csv")
    assert context.files == {"a_b_c_x.csv": "k\n0\n1\n2\n"}


def test_file_names_suit_every_file_system(context):
    context.selected = ("../../etc/passwd", "x" * 200, "con:\\|?*")
    menu = card.card(context, "T", "", figure(), name="curve", csv=table).select_one({"type": Dropdown})
    click(menu, "csv")
    (name,) = context.files
    assert re.fullmatch(r"[A-Za-z0-9=+-][A-Za-z0-9.=+_-]{0,79}\.csv", name)
    assert name.endswith("curve.csv")


@pytest.mark.parametrize("span", [0, 13])
def test_a_span_outside_the_grid_is_refused(context, span):
    with pytest.raises(ValueError, match="span"):
        card.card(context, "T", "", figure(), name="x", span=span)


@pytest.mark.parametrize("make", [card.empty_card, card.error_card])
def test_notices_hold_the_words_as_they_are(context, make):
    made = make(context, "Title", "<script>alert(1)</script>", name="notice")
    message = made.select_one({"name": "notice_message"})
    assert message.text == "<script>alert(1)</script>"
    assert message.render_as_text


@pytest.mark.parametrize("different", [0, 23])
def test_an_answer_from_a_replay_that_differs_says_so_in_its_card(context, different):
    progress = card.Progress(context, lambda: None)
    progress.show(0.5, "Segments 0 to 9")
    replay = {
        "compared": 23,
        "different": different,
        "largest": 1.66,
        "changed": ["jax 1 -> 2"],
    }
    progress.done(Table({}, {}, {"replay": replay}))
    assert progress.root.visible == bool(different)
    text = progress.root.select_one({"name": "progress_text"}).text
    said = "The replay differs from the record in 23 of 23 iterations, by 1.66 at most. Since the recording: "
    assert (text == f"{said}jax 1 -> 2.") == bool(different)


def test_progress_is_hidden_until_there_is_some_and_can_be_cancelled(context):
    cancelled = []
    progress = card.Progress(context, lambda: cancelled.append(1))
    assert not progress.root.visible
    progress.show(0.5, "Segments 0 to 9")
    assert progress.root.visible
    assert progress.root.select_one({"name": "progress_text"}).text == "Segments 0 to 9 50 %"
    progress.failed("no")
    assert progress.root.visible
    progress.done()
    assert not progress.root.visible


def test_how_it_is_read_is_opened_under_the_head_and_closed_again(context):
    body = figure()
    made = card.card(context, "T", "", body, name="curve_x", read="descent")
    button = made.select_one({"name": "curve_x_explain"})
    button.active = True
    head, words, below = made.children
    assert below is body and words.name == "curve_x_reading"
    labels, texts = zip(
        *((row.children[0].text, row.children[1].text) for row in words.children), strict=True
    )
    assert labels == reading.PARTS and "Becker et al. 2019" in texts[2]
    assert all(div.render_as_text for div in words.select({"type": Div}))
    button.active = False
    assert made.children == [head, body]


def test_a_card_that_nothing_explains_has_no_such_button(context):
    assert (
        card.card(context, "T", "", figure(), name="unheard").select_one({"name": "unheard_explain"}) is None
    )


def test_every_explanation_is_behind_a_card():
    """By `read=` or by the card's own name, somewhere in server/."""
    pages = Path(reading.__file__).parents[1]
    source = "\n".join(path.read_text() for path in pages.rglob("*.py"))
    behind = set(re.findall(r'(?:read|name)="(\w+)"', source))
    assert {path.stem for path in reading.FOLDER.glob("*.md")} <= behind
