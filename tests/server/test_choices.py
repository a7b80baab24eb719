"""A declared choice: one value, whether the address, a widget or the page sets it."""

from types import SimpleNamespace

import pytest
from bokeh.document import Document
from bokeh.models import InlineStyleSheet
from hypothesis import given
from hypothesis import strategies as st

from server.core.address import UrlState
from server.ui.choices import Choice, Choices, checks
from server.ui.pager import Pager, page_choice


def page(**query):
    """A context with this address, as far as a choice knows one."""
    state = UrlState({key: [value.encode()] for key, value in query.items()})
    return SimpleNamespace(state=state, sheet=InlineStyleSheet(), doc=Document())


def told(choice):
    """The values that a listener of the choice is told from now on."""
    heard = []
    choice.on_change(heard.append)
    return heard


def test_a_value_comes_from_the_address_where_it_is_allowed():
    one = page(n="7", far="70", kind="b", odd="z", on="0", text="x")
    assert Choice(one, "n", 3, (1, 10)).value == 7
    assert Choice(one, "far", 3, (1, 10)).value == 3
    assert Choice(one, "kind", "a", {"a": "A", "b": "B"}).value == "b"
    assert Choice(one, "odd", "a", ["a", "b"]).value == "a"
    assert Choice(one, "on", True).value is False
    assert Choice(one, "text", "").value == "x"
    assert Choice(one, None, 4, (1, 10)).value == 4


def test_every_widget_shows_the_value_and_sets_it():
    one = page()
    choice = Choice(one, "kind", "a", {"a": "A", "b": "B"}, title="Kind", help="What kind")
    box, radio, heard = choice.select("box"), choice.radio("radio"), told(choice)
    assert (box.title, box.html_attributes["title"], box.options) == (
        "Kind",
        "What kind",
        [("a", "A"), ("b", "B")],
    )
    radio.active = 1
    assert (choice.value, box.value, one.state.query(), heard) == ("b", "b", "?kind=b", ["b"])
    choice.reset()
    assert (box.value, radio.active, one.state.query(), heard) == ("a", 0, "", ["b", "a"])


@pytest.mark.parametrize("sent", ["c", ""])
def test_what_is_not_allowed_changes_nothing_and_the_widget_shows_what_there_is(sent):
    one = page()
    choice = Choice(one, "kind", "a", {"a": "A", "b": "B"})
    box, radio, heard = choice.select("box"), choice.radio("radio"), told(choice)
    box.value = sent
    radio.active = 5
    assert (choice.value, box.value, radio.active, heard, one.state.query()) == ("a", "a", 0, [], "")


@given(st.one_of(st.none(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_stays_in_its_range_whatever_is_typed(value):
    one = page()
    choice = Choice(one, "n", 3, (1, 10))
    field = choice.number("field")
    field.value = value
    assert isinstance(choice.value, int) and 1 <= choice.value <= 10 and field.value == choice.value
    assert choice.value == (3 if value is None else int(min(max(value, 1), 10)))
    assert one.state.get("n", 3) == choice.value


def test_a_slider_counts_where_it_rests():
    one = page()
    choice = Choice(one, "n", 3, (1, 10))
    slider, heard = choice.slider("slider", step=1), told(choice)
    for value in (4, 5, 6):
        slider.value = value
    (waiting,) = one.doc.session_callbacks
    assert heard == []
    waiting.callback()
    assert (heard, choice.value, one.state.query()) == ([6], 6, "?n=6")


def test_ticks_follow_their_choices_and_back():
    one = page(first="1")
    both = [Choice(one, "first", False, title="first"), Choice(one, "second", True, title="second")]
    group, toggle = checks(one, "group", both), both[1].toggle("toggle")
    assert group.active == [0, 1]
    group.active = [0]
    assert (both[1].value, toggle.active, one.state.query()) == (False, False, "?first=1&second=0")
    toggle.active = True
    assert (group.active, one.state.query()) == ([0, 1], "?first=1")


def test_several_choices_are_values_by_name():
    one, heard = page(n="5"), []
    some = Choices(heard.append, n=Choice(one, "n", 1, (0, 9)), on=Choice(one, "on", False))
    assert (some.n, some.on, some.values()) == (5, False, {"n": 5, "on": False})
    some.set(on=True, n=5)
    assert heard == ["on"] and some.on
    one.state.update({"n": None, "on": None})  # another page has begun an address of its own
    some.write()
    assert one.state.query() == "?n=5&on=1"
    with pytest.raises(AttributeError):
        _ = some.other


def test_pages_of_many_turn_and_stop_at_the_ends():
    one = page(at="9")
    shared = page_choice(one, "at")
    pager = Pager(one, shared, 3, name="few", what="layers")
    assert pager.part(list(range(7))) == [6]
    before, after = pager.buttons
    assert before.visible
    pager._turn(1)
    assert pager.part(list(range(7))) == [6]
    pager._turn(-1)
    assert pager.part(list(range(7))) == [3, 4, 5] and one.state.query() == "?at=1"
    assert pager.part([1]) == [1] and not after.visible
