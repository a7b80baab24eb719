"""What the head of a request says of its session, and in which process that session lives.

All of it is a stranger's text: it is bounded in size, and what cannot be understood has no session.
"""

import base64
import json
import re
import zlib
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from server.core.address import MOST_ADDRESS

MOST = 1 << 16  # bytes of a head, as many as Tornado takes
WEBSOCKET, PAGE, OTHER = b"w", b"p", b"o"  # the kinds of requests

_END = re.compile(rb"\r?\n\r?\n")


class Head(NamedTuple):
    """kind: of the request; session: the id of its session, None where it names none."""

    kind: bytes
    session: str | None


def whole(text: bytes) -> bool:
    """Whether nothing more is to be waited for: the head has ended, or is too long."""
    return len(text) >= MOST or _END.search(text) is not None


def read(text: bytes) -> Head:
    """What a request says that begins with this text, whatever it is."""
    start, *lines = text[:MOST].decode("latin-1").splitlines()[:1000] or [""]
    headers: dict[str, str] = {}
    for line in lines:
        if not line:
            break
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    words = start.split(" ")
    try:
        address = urlsplit(words[1])
        asked = parse_qs(address.query[:MOST_ADDRESS])  # a longer one is refused
    except (IndexError, ValueError):
        return Head(OTHER, None)
    if headers.get("upgrade", "").lower() == "websocket":
        offered = headers.get("sec-websocket-protocol", "").split(",")
        return Head(WEBSOCKET, _of_token(offered[1].strip()) if len(offered) > 1 else None)
    if "bokeh-token" in asked:
        session = _of_token(asked["bokeh-token"][-1])
    else:
        session = headers.get("bokeh-session-id") or asked.get("bokeh-session-id", [None])[-1]
    return Head(OTHER if "/static/" in address.path else PAGE, session)


def place(session: str, count: int) -> int:
    """The number, below `count`, of the process in which a session lives."""
    return zlib.crc32(session.encode("utf-8", "surrogatepass")) % count


def own(number: int, count: int, make: Callable[[], str]) -> str:
    """An id of those that make() gives out, of a session that lives in process `number` of `count`."""
    while place(session := make(), count) != number:
        pass
    return session


def _of_token(token: str) -> str | None:
    """The session's id in Bokeh's token; None where there is none."""
    body = token.partition(".")[0]
    try:
        content = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        session = content["session_id"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return session if isinstance(session, str) else None
