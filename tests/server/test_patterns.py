"""Patterns of strangers: what they find, what is refused and why, and that none takes long."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core import patterns
from server.core.patterns import matching

TEXTS = ["sweep/sigma=0.05,seed=3 finished", "Wood diverged", "straße É"]
HOSTILE = ["(.|.)*!", "(a+)+$!", "(a|aa)+!", "(a?){100}a{100}!", "(.*a){30}!", "(x+x+)+y", "([a-z]+)*[0-9]!"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("sigma=0.05", [True, False, False]),
        ("^WOOD|finished$", [True, True, False]),
        (r"seed=\d\b", [True, False, False]),
        ("é", [False, False, True]),
        ("(a+)+", [True, False, True]),
    ],
)
def test_what_is_found_in_whatever_case(pattern, found):
    assert matching(pattern, TEXTS) == found


@pytest.mark.parametrize("pattern", HOSTILE)
def test_what_keeps_other_engines_busy_for_ever_is_answered(pattern):
    texts = ["a" * 3000, "x" * 3000] * 100
    assert matching(pattern, texts) == [False] * 200


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("\ud800", "expression"),
        ("(", r"missing \)"),
        ("(?=a)", "look-around and back-references"),
        ("(?<!a)b", "look-around and back-references"),
        (r"(a)\1", "look-around and back-references"),
        ("(a{999}){999}", "repeat fewer times"),
        ("x" * 201, "200 characters; this one has 201"),
    ],
)
def test_what_is_refused_is_told_why(pattern, words):
    with pytest.raises(ValueError, match=words):
        matching(pattern, TEXTS)


def test_no_list_is_searched_for_longer_than_a_reader_waits(monkeypatch):
    monkeypatch.setattr(patterns, "PATIENCE", 0.0)
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.raises(ValueError, match="takes longer than 0 s"):
        matching("a", TEXTS)


@settings(deadline=None)
@given(st.text(alphabet="ab.*+?{}()[]|\\^$0129,é", max_size=30))
def test_any_pattern_is_answered_or_refused(pattern):
    try:
        assert len(matching(pattern, TEXTS)) == len(TEXTS)
    except ValueError as error:
        assert "regular expression" in str(error)
