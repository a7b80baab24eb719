"""What arrives from the browser is checked before it is believed."""

import json

import pytest

from server.shell.bridge import MAX_EVENT, read_event


def event(kind, value=None):
    return read_event(json.dumps({"n": 1, "type": kind, "value": value}))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("page", "runs"),
        ("open", ["a", "b/c"]),
        ("theme", "dark"),
        ("greet", "light"),
        ("pause", True),
        ("step", -1),
        ("log", None),
        ("back", None),
        ("sort", ["final", False]),
        ("sort", ["p.optimizer.sigma", True]),
    ],
)
def test_good_events_pass(kind, value):
    assert event(kind, value) == (kind, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("page", 1),
        ("page", "x" * 33),
        ("open", []),
        ("open", "a"),
        ("open", [1]),
        ("open", [""]),
        ("open", ["x"] * 201),
        ("theme", "pink"),
        ("pause", 1),
        ("step", 2),
        ("step", True),
        ("log", 1),
        ("sort", ["final"]),
        ("sort", ["<b>", True]),
        ("sort", ["final", 1]),
        ("unknown", None),
        ("__class__", None),
        (["page"], "runs"),
        (None, None),
    ],
)
def test_other_events_are_dropped(kind, value):
    assert event(kind, value) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "3", "{", '{"type": "log"', '"log"', "[" * 5000, "x" * (MAX_EVENT + 1)]
)
def test_what_is_no_event_is_dropped(text):
    assert read_event(text) is None
