"""Selections of an ensemble: text and back, address and back, who belongs to them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.address import UrlState
from server.pages.ensemble import selection
from server.pages.ensemble.selection import Choice, Selections

NAMES = [f"sweep/{i}" for i in range(30)]
KEYS = [selection.key(name) for name in NAMES]
end = st.none() | st.floats(-100, 100).map(lambda value: float(f"{value:.6g}"))
runs = st.lists(st.sampled_from(KEYS), max_size=8, unique=True).map(tuple)
choice = st.builds(
    Choice,
    st.text('abc "{}[]&=+%é', min_size=1, max_size=12).map(str.strip),
    st.integers(0, 5),
    st.dictionaries(st.sampled_from(["P1", "lr", "a b,c"]), st.tuples(end, end), max_size=3),
    runs,
    runs,
)
selections = st.lists(choice, max_size=6).flatmap(
    lambda choices: st.builds(
        Selections,
        st.just(tuple(choices)),
        st.integers(0, max(0, len(choices) - 1)),
        runs.map(lambda r: r[:4]),
    )
)


@given(selections)
def test_text_and_address_bring_back_the_selections(found):
    assert selection.parse(selection.dump(found)) == found
    state = UrlState({})
    state.update(selection.keys(found))
    # As a browser sends it.
    sent = {key: [text.encode() for text in state.get_all(key)] for key in selection.keys(found)}
    if len({json.dumps([c.name, c.hue, c.brushes]) for c in found.choices}) == len(found.choices):
        assert selection.read(UrlState(sent)) == found


def test_hundreds_of_single_runs_fit_into_the_address():
    keys = tuple(dict.fromkeys(selection.key(f"run {i}") for i in range(1000)))
    found = Selections((Choice("many", 0, {}, keys),))
    written = selection.keys(found)
    assert sum(len(text) for text in written["ens_pick"]) < 5100
    state = UrlState(
        {key: [t.encode() for t in texts] for key, texts in written.items() if isinstance(texts, list)}
    )
    assert selection.read(state) == found


column = st.lists(st.floats(-100, 100) | st.just(float("nan")), min_size=30, max_size=30)


@given(st.lists(st.tuples(end, end), min_size=1, max_size=3), st.tuples(column, column, column), runs, runs)
def test_members_lie_in_all_brushes_or_are_picked(brushes, values, plus, minus):
    axes = {f"axis {i}": np.array(column) for i, column in enumerate(values)}
    one = Choice("one", 0, dict(zip(axes, brushes, strict=False)), plus, minus)
    found = selection.members(Selections((one, Choice("none", 1, {}))), axes, KEYS)
    wanted = []
    for i, key in enumerate(KEYS):
        inside = all(
            (low is None or axes[name][i] >= low) and (high is None or axes[name][i] <= high)
            and axes[name][i] == axes[name][i]
            for name, (low, high) in one.brushes.items()
        )  # fmt: skip
        wanted.append(key not in minus and (key in plus or inside))
    assert found[0].tolist() == wanted
    assert not found[1].any()


def test_a_brush_on_an_axis_that_is_not_there_is_passed_over():
    one = Choice("one", 0, {"gone": (0.0, 1.0)})
    assert not selection.members(Selections((one,)), {}, KEYS).any()


@pytest.mark.parametrize(
    "text",
    [
        "[]", "{}", "null", '{"selections": 1, "active": 0, "focus": []}',
        '{"selections": [{"name": "a", "hue": 9, "brushes": {}, "plus": [], "minus": []}],'
        ' "active": 0, "focus": []}',
        '{"selections": [{"name": "a", "hue": 0, "brushes": {"x": [1, NaN]}, "plus": [], "minus": []}],'
        ' "active": 0, "focus": []}',
        '{"selections": [{"name": "a", "hue": 0, "brushes": {"x": [1]}, "plus": [], "minus": []}],'
        ' "active": 0, "focus": []}',
    ],
)  # fmt: skip
def test_what_is_no_selection_is_refused(text):
    with pytest.raises(ValueError):
        selection.parse(text)


def test_a_malformed_address_selects_nothing():
    state = UrlState(
        {"ens_sel": [b"[", b"[1, 2]", b'["a", 0, {"x": 1}]'], "ens_pick": [b"9.AAAAA", b"0.AAAAA", b""]}
    )
    assert selection.read(state) == Selections()


def test_keys_are_short_and_differ():
    assert {len(key) for key in KEYS} == {selection.LENGTH}
    assert len(set(KEYS)) == len(KEYS)
    many = [selection.key(f"runs/learning_rate={i / 1e4},seed={i % 7}") for i in range(1000)]
    assert len(set(many)) > 997
