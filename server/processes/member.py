"""One server process as its parent sees it: it is handed connections, and says how many sessions it has."""

import logging
import multiprocessing
import socket
import time
from asyncio import Event
from functools import partial

from tornado.ioloop import IOLoop

from server.core.arguments import Told
from server.core.worker import Worker
from server.processes import child, heads
from server.processes.jobs import Relay

log = logging.getLogger(__name__)

SHORT = 10.0  # s: a process that ends sooner than that will do so again, as a rule
LONGEST = 30.0  # s until such a one is started again


class Member:
    """Number `number` of `count` server processes. It runs in the loop, and is started again when it ends.

    ready: it can be handed connections; failed: how it ended before that, at its first start.
    told, origins: as of `child.serve`.
    """

    def __init__(self, loop: IOLoop, number: int, count: int, worker: Worker, told: Told, origins: list[str]):
        self.ready = Event()
        self.failed = ""
        self.process: multiprocessing.process.BaseProcess | None = None
        self._loop, self._number, self._worker = loop, number, worker
        self._arguments = (number, count, told, origins)
        self._served = False  # ever
        self._again = 0.0  # s after which it is started again
        self._stopped = False

    @property
    def load(self) -> int:
        """Its sessions, and the pages that were handed to it and may not have one yet."""
        return self._sessions + self._handed - self._received

    def start(self) -> None:
        """Starts the process; connections may be handed to it when it is `ready`."""
        context = multiprocessing.get_context("spawn")
        self._hand, theirs = socket.socketpair()
        self._hand.setblocking(False)
        link, their_link = context.Pipe()
        self.process = process = context.Process(
            target=child.serve, args=(*self._arguments, theirs, their_link), daemon=True
        )
        self._began = time.monotonic()
        self._sessions = self._handed = self._received = 0
        self._heard = b""
        process.start()
        theirs.close()
        their_link.close()
        Relay(link, self._worker, f"{self._number}, process {process.pid}")
        self._loop.add_handler(self._hand, self._hear, IOLoop.READ)
        self._loop.add_handler(process.sentinel, partial(self._ended, process), IOLoop.READ)

    def take(self, connection: socket.socket, kind: bytes) -> bool:
        """Hands a connection over, of one of the kinds of `heads`; whether there was room for it."""
        try:
            socket.send_fds(self._hand, [kind], [connection.fileno()])
        except OSError:  # it is too busy to take any, or has just ended
            return False
        self._handed += kind == heads.PAGE
        return True

    def stop(self) -> None:
        """Tells the process to end; `end` waits for it."""
        self._stopped = True
        if self.process is not None:
            self._loop.remove_handler(self.process.sentinel)
            self._loop.remove_handler(self._hand)
            self._hand.close()

    def end(self, until: float) -> None:
        """After `stop`: ends the process where it has not ended by itself, at a time of `time.monotonic`."""
        if self.process is not None:
            self.process.join(max(0.0, until - time.monotonic()))
            self.process.kill()
            self.process.join()

    # -- private ----------------------------------------------------------------------------------

    def _hear(self, *_) -> None:
        try:
            heard = self._hand.recv(1 << 16)
        except OSError:
            heard = b""
        if not heard:
            self._loop.remove_handler(self._hand)  # it ends; `_ended` sees that, too
            return
        self._heard += heard
        count = len(self._heard) // child.REPORT.size
        if count:
            self._received, self._sessions = child.REPORT.unpack_from(
                self._heard, (count - 1) * child.REPORT.size
            )
            self._heard = self._heard[count * child.REPORT.size :]
            self.ready.set()
            self._served = True

    def _ended(self, process: multiprocessing.process.BaseProcess, *_) -> None:
        self._loop.remove_handler(process.sentinel)
        self._loop.remove_handler(self._hand)
        self._hand.close()
        process.join()
        if not self._served:
            self.failed = f"exit code {process.exitcode}"
            return
        self.ready.clear()
        lived = time.monotonic() - self._began
        log.warning(
            "server process %d ended unexpectedly (exit code %s), and %d sessions with it; it starts again",
            self._number, process.exitcode, self._sessions,
        )  # fmt: skip
        self.process = None
        self._start_again(lived)

    def _start_again(self, lived: float) -> None:
        """At once, or the later, the more often it has ended soon."""
        self._again = 0.0 if lived > SHORT else min(LONGEST, 2 * self._again or 1.0)
        self._loop.call_later(self._again, self._restart)

    def _restart(self) -> None:
        if self._stopped:
            return
        try:
            self.start()
        except OSError as error:  # no memory, or too many processes or open files
            log.warning("server process %d could not be started: %s", self._number, error)
            self.process = None
            self._start_again(0.0)
