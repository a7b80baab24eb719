"""Readers of a server without a browser: they speak Bokeh's websocket protocol and look at the text alone.

Nothing is decoded beyond each message's header, so that hundreds of them fit beside the server that they
read: what is measured, or put under stress, is the server.
"""

import asyncio
import itertools
import json
import re
import time
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

_TOKEN = re.compile(r'"token":"([\w.=-]+)"')
_BRIDGE = re.compile(r'"id":"(p\d+)","attributes":\{"name":"bridge"')


class Failed(Exception):
    """What a reader asked for did not come as it should."""


class Reader:
    """One visit: `open`, then `act` as often as one likes, then `close`. address: ".../server"."""

    def __init__(self, address: str, timeout: float = 60.0):
        self.address, self.timeout = address, timeout
        self.document = ""  # what the server sent for the whole document, as text,
        self.seen = ""  # and that with everything sent since
        self._numbers = itertools.count()
        self._link: WebSocketClientConnection | None = None

    async def open(self, until: str | None = None, **query) -> float:
        """Asks for the page, then for its document, and waits for a message with the text `until` in it;
        the seconds that took. Raises Failed."""
        return await self._within(self._open(until, query), f"opening {query}")

    async def act(self, kind: str, value=None, until: str | None = None) -> float:
        """Sends an event of the page's script (see `server.shell.bridge`) and waits for the answer, or for
        a message with `until` in it; seconds. Raises Failed."""
        return await self._within(self._act(kind, value, until), f"{kind} {value!r}")

    def close(self) -> None:
        """Leaves, as a closed tab does."""
        if self._link is not None:
            self._link.close()
            self._link = None

    # -- private ----------------------------------------------------------------------------------

    async def _within(self, work, what: str) -> float:
        began = time.monotonic()
        try:
            await asyncio.wait_for(work, self.timeout)
        except TimeoutError:
            raise Failed(f"{what}: nothing within {self.timeout:g} s") from None
        except (OSError, ValueError, HTTPClientError, WebSocketClosedError) as error:
            raise Failed(f"{what}: {error}") from error
        return time.monotonic() - began

    async def _open(self, until: str | None, query: dict) -> None:
        url = f"{self.address}?{urlencode(query, doseq=True)}"
        limits = {"request_timeout": self.timeout, "connect_timeout": self.timeout}
        answer = await AsyncHTTPClient(max_clients=1000).fetch(HTTPRequest(url, **limits), raise_error=False)
        if answer.code != 200:
            raise Failed(f"{url}: HTTP {answer.code}")
        token = _TOKEN.search(answer.body.decode())
        if token is None:
            raise Failed(f"{url}: the page has no session")
        ws = f"{self.address.replace('http', 'ws', 1)}/ws"
        self._link = await websocket_connect(
            HTTPRequest(ws, **limits), subprotocols=["bokeh", token[1]], max_message_size=1 << 30
        )
        await self._until(lambda header, text: header["msgtype"] == "ACK")
        asked = self._send("PULL-DOC-REQ", {})
        self.document = await self._until(lambda header, text: header.get("reqid") == asked)
        if until is not None and until not in self.document:
            await self._until(lambda header, text: until in text)

    async def _act(self, kind: str, value, until: str | None) -> None:
        found = _BRIDGE.search(self.document)
        if found is None:
            raise Failed("the document has no bridge")
        event = json.dumps({"n": next(self._numbers), "type": kind, "value": value})
        change = {"kind": "ModelChanged", "model": {"id": found[1]}, "attr": "event", "new": event}
        asked = self._send("PATCH-DOC", {"events": [change]})
        missing = {"answer", *([until] if until else [])}

        def done(header, text):
            if header.get("reqid") == asked:
                if header["msgtype"] != "OK":
                    raise Failed(f"{kind} {value!r}: {header['msgtype']}")
                missing.discard("answer")
            if until is not None and until in text:
                missing.discard(until)
            return not missing

        await self._until(done)

    def _send(self, kind: str, content: dict) -> str:
        identity = str(next(self._numbers))
        for part in ({"msgid": identity, "msgtype": kind}, {}, content):
            self._link.write_message(json.dumps(part))
        return identity

    async def _until(self, wanted) -> str:
        """The content of the first message for which wanted(header, content) holds."""
        while True:
            header = json.loads(await self._frame())
            await self._frame()  # metadata
            content = await self._frame()
            for _ in range(2 * header.get("num_buffers", 0)):
                await self._frame()
            self.seen += content
            if wanted(header, content):
                return content

    async def _frame(self):
        frame = await self._link.read_message()
        if frame is None:
            raise Failed("the server closed the connection")
        return frame
