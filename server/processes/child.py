"""A server process: Bokeh's server, whose connections come from the parent instead of a port.

What is imported at the top is imported by the parent, too; it needs no Bokeh.
"""

import logging
import signal
import socket
import struct
from multiprocessing.connection import Connection

from server.core.arguments import Told
from server.processes import heads

REPORT = struct.Struct("!II")  # pages that were received, sessions that live
EVERY = 500  # ms between two reports
REFUSED = 5.0  # s until a connection that was to become a websocket, and was refused, is closed

log = logging.getLogger(__name__)


def serve(
    number: int, count: int, told: Told, origins: list[str], hand: socket.socket, jobs: Connection
) -> None:
    """Is process `number` of `count` until the parent closes `hand`, over which connections come.

    told: what the server was told at its start; origins: HOST[:PORT] where websockets may come from; jobs:
    the way to the parent's worker.
    """
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C is the parent's business, and so is the terminal
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    from tornado.ioloop import IOLoop

    from server.core import runs_cache
    from server.processes.jobs import RemoteWorker
    from server.shell import app

    app.use(RemoteWorker(jobs))
    loop = IOLoop.current()
    signal.signal(signal.SIGTERM, lambda *_: loop.add_callback_from_signal(loop.stop))
    server = _Server(loop, number, count, told, origins, hand)
    runs_cache.shared(told.root).relist()
    loop.start()
    server.stop()


class _Server:
    """Two servers of HTTP stand before one application, as a connection that becomes a websocket may not be
    told that it ends after one answer."""

    def __init__(self, loop, number: int, count: int, told: Told, origins: list[str], hand: socket.socket):
        from bokeh.server.server import BaseServer
        from bokeh.server.util import create_hosts_allowlist
        from tornado.httpserver import HTTPServer
        from tornado.ioloop import PeriodicCallback

        from server.shell import app

        self._loop, self._hand = loop, hand
        self._received = self._before = 0  # pages, now and at the last report
        self._reported: tuple[int, int] | None = None
        hand.setblocking(False)
        allowed = create_hosts_allowlist(origins, None)
        self._tornado = _application(number, count)(app.served(told), extra_websocket_origins=allowed)
        once = HTTPServer(self._tornado, no_keep_alive=True)
        upgraded = HTTPServer(self._tornado, idle_connection_timeout=REFUSED)
        self._http = {heads.PAGE: once, heads.OTHER: once, heads.WEBSOCKET: upgraded}
        self._server = BaseServer(loop, self._tornado, once)
        self._server.start()
        loop.add_handler(hand, self._receive, loop.READ)
        self._reports = PeriodicCallback(self._report, EVERY)
        self._reports.start()
        self._report()

    def stop(self) -> None:
        """When the loop has stopped."""
        self._reports.stop()
        self._server.stop(wait=False)

    def _receive(self, *_) -> None:
        try:
            kind, descriptors = socket.recv_fds(self._hand, 1, 1)[:2]
        except BlockingIOError:
            return
        except OSError:
            kind = b""
        if not kind:
            self._loop.stop()  # the parent has gone, or ends
            return
        self._received += kind == heads.PAGE
        for descriptor in descriptors:  # none where this process may not open any more
            self._serve(socket.socket(fileno=descriptor), self._http[kind])

    def _serve(self, connection: socket.socket, http) -> None:
        from tornado.iostream import IOStream

        connection.setblocking(False)
        try:
            address = connection.getpeername()
        except OSError:  # it was closed meanwhile
            connection.close()
            return
        stream = IOStream(connection, max_buffer_size=http.max_buffer_size)
        http.handle_stream(stream, address)

    def _report(self) -> None:
        """Tells the parent how many sessions there are, and how many pages had come at the last time: their
        sessions are among them now, if they have any."""
        sessions = sum(len(self._tornado.get_sessions(path)) for path in self._tornado.app_paths)
        report = (self._before, sessions)
        self._before = self._received
        if report != self._reported:
            try:
                self._hand.send(REPORT.pack(*report))
            except OSError:
                return  # the parent is busy, or has gone
            self._reported = report


def _application(number: int, count: int) -> type:
    """Bokeh's application, but that sessions begin under ids that lead back to this process."""
    from bokeh.server.tornado import BokehTornado
    from bokeh.util.token import generate_session_id

    class Tornado(BokehTornado):
        def find_handler(self, request, **kwargs):
            named = {"bokeh-session-id", "bokeh-token"} & request.arguments.keys()
            if not named and "Bokeh-Session-Id" not in request.headers:
                request.headers["Bokeh-Session-Id"] = heads.own(number, count, self._id)
            return super().find_handler(request, **kwargs)

        def _id(self) -> str:
            return generate_session_id(secret_key=self.secret_key, signed=self.sign_sessions)

    return Tornado
