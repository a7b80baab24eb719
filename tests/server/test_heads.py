"""What a request's head says of its session: Bokeh's own words, and whatever strangers write."""

import base64
import json

import pytest
from bokeh.util.token import generate_jwt_token, generate_session_id
from hypothesis import example, given
from hypothesis import strategies as st

from server.processes import heads
from server.processes.heads import OTHER, PAGE, WEBSOCKET, Head

TOKEN = generate_jwt_token("theirs", extra_payload={"arguments": {"run": [b"a"]}})


def head(start="GET /server HTTP/1.1", *lines):
    """The bytes of a head."""
    return "\r\n".join([start, "Host: localhost", *lines, "", ""]).encode()


def websocket(*protocols):
    """The head of a request for a websocket."""
    lines = [f"sec-websocket-protocol: {protocol}" for protocol in protocols]
    return head("GET /server/ws HTTP/1.1", "Upgrade: WebSocket", "Connection: Upgrade", *lines)


def packed(content):
    """A token of this content."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


HEADS = {
    "page": (head(), Head(PAGE, None)),
    "static": (head("GET /server/static/page.css?v=1 HTTP/1.1"), Head(OTHER, None)),
    "address": (head("GET /server?bokeh-session-id=a&bokeh-session-id=b HTTP/1.1"), Head(PAGE, "b")),
    "header": (head("GET /server HTTP/1.1", "bokeh-session-ID: c "), Head(PAGE, "c")),
    "token in the address": (head(f"GET /server?bokeh-token={TOKEN} HTTP/1.1"), Head(PAGE, "theirs")),
    "websocket": (websocket(f"bokeh, {TOKEN}"), Head(WEBSOCKET, "theirs")),
    "signed": (websocket(f"bokeh, {TOKEN}.signature"), Head(WEBSOCKET, "theirs")),
    "two lines": (websocket("bokeh", TOKEN), Head(WEBSOCKET, "theirs")),
    "no token": (websocket("bokeh"), Head(WEBSOCKET, None)),
    "no words": (b"GET\r\n\r\n", Head(OTHER, None)),
    "no HTTP": (b"\x16\x03\x01\x02", Head(OTHER, None)),
    "nothing": (b"", Head(OTHER, None)),
    **{
        f"token {name}": (websocket(f"bokeh, {token}"), Head(WEBSOCKET, None))
        for name, token in {
            "of no session": packed({"session_expiry": 1}),
            "of a number": packed({"session_id": 7}),
            "of a list": packed(["session_id"]),
            "of nothing": packed(None),
            "without end": base64.urlsafe_b64encode(b"[" * 30_000).decode(),
            "of a huge number": base64.urlsafe_b64encode(b'{"session_id":' + b"9" * 9000 + b"}").decode(),
            "broken": "%%%",
            "odd": "a",
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), HEADS.values(), ids=HEADS)
def test_what_a_head_says(text, said):
    assert heads.read(text) == said


@pytest.mark.parametrize("length", [1, 20, 60])
def test_half_a_head_is_waited_for(length):
    text = websocket(f"bokeh, {TOKEN}")
    assert not heads.whole(text[:length])
    assert heads.whole(text) and heads.whole(text.replace(b"\r", b"")) and heads.whole(text + b"more")


def test_what_will_be_no_head_is_not_waited_for():
    assert heads.whole(b"G" * heads.MOST) and heads.whole(b"\x16\x03\n\n")


@given(st.binary(max_size=200))
@example(b"GET http://[ HTTP/1.1\r\n\r\n")
@example(b"GET ?" + b"&a=1" * 5000 + b" HTTP/1.1\r\nupgrade:websocket\r\n\r\n")
def test_whatever_stands_there_is_read(text):
    for content in (text, b"GET /server?" + text, websocket("bokeh, ")[:-4] + text + b"\r\n\r\n"):
        found = heads.read(content)
        assert found.kind in (PAGE, OTHER, WEBSOCKET)
        assert found.session is None or 0 <= heads.place(found.session, 3) < 3


@given(st.text() | st.just("\ud800"), st.integers(1, 64))
def test_every_id_has_a_place(session, count):
    assert 0 <= heads.place(session, count) < count
    assert heads.read(websocket(f"bokeh, {packed({'session_id': session})}")).session == session


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_process_gives_out_ids_that_lead_back_to_it(count):
    for number in range(count):
        session = heads.own(number, count, generate_session_id)
        assert heads.place(session, count) == number
        assert len(session) == len(generate_session_id())
