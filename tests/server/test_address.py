"""The address is a stranger's input: nothing but well-formed values of the right type come through."""

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.address import MAX_KEYS, MAX_LENGTH, UrlState


def state(write=None, **values):
    return UrlState({key: [value.encode() for value in texts] for key, texts in values.items()}, write)


def test_values_have_the_type_of_their_default():
    this = state(k=["12"], x=["1.5"], on=["1"], page=["runs"])
    assert this.get("k", 0) == 12
    assert this.get("x", 0.0) == 1.5
    assert this.get("on", False) is True
    assert this.get("page", "descent") == "runs"
    assert this.get("missing", "default") == "default"


@pytest.mark.parametrize("text", ["", "abc", "1.5", "nan", "1e5", "9" * 1000])
def test_what_is_no_whole_number_is_the_default(text):
    assert state(k=[text]).get("k", 7, low=0, high=100) == 7


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "one"])
def test_what_is_no_finite_number_is_the_default(text):
    assert state(x=[text]).get("x", 0.5) == 0.5


def test_ranges_and_choices():
    assert state(k=["-1"]).get("k", 3, low=0) == 3
    assert state(k=["11"]).get("k", 3, high=10) == 3
    assert state(theme=["pink"]).get("theme", "light", choices=("light", "dark")) == "light"


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"a\x00b", b"a\nb", b"x" * (MAX_LENGTH + 1)])
def test_malformed_bytes_are_dropped(raw):
    assert UrlState({"run": [raw, b"good"]}).get_all("run") == ("good",)


@pytest.mark.parametrize("key", ["Page", "bokeh-session-id", "x" * 33, "", "a b", "1a"])
def test_keys_that_are_not_ours_are_dropped(key):
    assert UrlState({key: [b"1"]}).query() == ""


def test_no_more_keys_than_allowed():
    many = UrlState({f"k{i}": [b"1"] for i in range(1000)})
    assert len(parse_qs(many.query()[1:])) == MAX_KEYS


def test_setting_writes_the_address_once_and_only_when_it_changes():
    written = []
    this = state(written.append)
    this.update({"page": "descent", "run": ["a&b", "c=d/e"], "k": 3, "smooth": 0.25, "log": True})
    this.set("k", 3)
    this.set("gone", None)
    assert len(written) == 1
    found = parse_qs(written[0][1:])
    assert found == {
        "page": ["descent"],
        "run": ["a&b", "c=d/e"],
        "k": ["3"],
        "smooth": ["0.25"],
        "log": ["1"],
    }
    this.set("k", None)
    assert "k=" not in written[1]


def test_keep_drops_the_rest():
    this = state(page=["descent"], k=["3"], x0=["1"])
    this.keep(["page"])
    assert this.query() == "?page=descent"


def test_a_wrong_key_is_the_programmers_mistake():
    with pytest.raises(ValueError, match="lower case"):
        state().set("Bad Key", 1)


VALUES = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=50),
)


@given(VALUES)
def test_what_is_written_is_read_again(value):
    written = []
    UrlState({}, written.append).set("key", value)
    again = UrlState(
        {key: [text.encode() for text in texts] for key, texts in parse_qs(written[0][1:]).items()}
    )
    assert again.get("key", type(value)() if not isinstance(value, str) else "") == value
