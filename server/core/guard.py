"""Requests that this server answers: under a name of its own, with an address of bearable length.

A web site can let its own name point to this machine (DNS rebinding); its pages are then of the same
origin as ours, and only the name in the Host header tells that they are not. Bokeh checks where websockets
come from, not this.
"""

import gc
import logging

from bokeh.server.tornado import BokehTornado
from bokeh.server.util import check_allowlist
from bokeh.settings import settings
from tornado.httputil import HTTPServerRequest, split_host_and_port
from tornado.web import RequestHandler

from server.core.address import MOST_ADDRESS

log = logging.getLogger(__name__)

OWN = {"localhost", "127.0.0.1", "::1", "[::1]"}  # at whatever port: it may be a tunnel's


class Refusal(RequestHandler):
    """Answers with a status and a line of plain text."""

    def initialize(self, status: int, words: str) -> None:
        """status: of HTTP; words: what is wrong, and what would be right."""
        self._status, self._words = status, words

    def prepare(self) -> None:
        """The answer, whatever the method."""
        self.set_status(self._status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self._words + "\n")

    def _log(self) -> None:
        # The guard has written a line of its own, without the address, which may be of any length.
        pass


def install() -> None:
    """Guards the servers of this process, once Bokeh has made them; it tells nobody where they are."""
    for found in gc.get_objects():
        if issubclass(type(found), BokehTornado) and "find_handler" not in vars(found):
            _guard(found)


def refusal(request: HTTPServerRequest, origins: set[str]) -> tuple[int, str] | None:
    """(status, words) where a request is not answered. origins: of `--allow-websocket-origin`."""
    if len(request.uri or "") > MOST_ADDRESS:
        return 414, f"An address may have {MOST_ADDRESS} characters; this one has {len(request.uri or '')}."
    host = request.host.lower()
    name, _ = split_host_and_port(host)
    if name in OWN or check_allowlist(host, list(origins | set(settings.allowed_ws_origin() or ()))):
        return None
    return (
        403,
        f"This server is not known as {host[:200]!r}; it is, if started with --allow-websocket-origin.",
    )


def _guard(server: BokehTornado) -> None:
    route = server.find_handler

    def guarded(request, **kwargs):
        refused = refusal(request, server.websocket_origins)
        if refused is None:
            return route(request, **kwargs)
        log.warning("refused a request: %s", refused[1])
        return server.get_handler_delegate(request, Refusal, {"status": refused[0], "words": refused[1]})

    server.find_handler = guarded
