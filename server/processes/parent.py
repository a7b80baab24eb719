"""The process that listens: it has the server processes, and the one worker behind them."""

import asyncio
import socket
import time

from tornado.ioloop import IOLoop

from server.core.arguments import Told
from server.core.worker import Worker
from server.processes.listener import Listener
from server.processes.member import Member

BACKLOG = 512  # connections that the system keeps until they are accepted
GRACE = 3.0  # s that the server processes have to end by themselves
LOOK = 0.02  # s between two looks at whether they have begun


class Parent:
    """`count` server processes on 127.0.0.1; they serve as soon as `io_loop` runs. As Bokeh's `Server` it has
    `io_loop`, `port` and `stop`.

    port: 0 takes a free one; names: other names, HOST[:PORT], under which pages are reached.
    Raises OSError where the port is taken, ChildProcessError where a server process cannot begin.
    """

    def __init__(self, count: int, port: int, told: Told, names: list[str]):
        self._listening = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self._listening.setblocking(False)
        self.port = self._listening.getsockname()[1]
        self.io_loop = IOLoop.current()
        self._worker = Worker(
            size=told.workers, given={"places": told.places}, limits=told.limits, read=lambda table: table
        )
        origins = [*(f"{host}:{self.port}" for host in ("localhost", "127.0.0.1")), *names]
        self._members = [
            Member(self.io_loop, number, count, self._worker, told, origins) for number in range(count)
        ]
        self._listens: asyncio.Task | None = None
        try:
            self.io_loop.run_sync(self._begin)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends all processes, when the loop has stopped."""
        self.io_loop.run_sync(self._close)
        until = time.monotonic() + GRACE
        for member in self._members:
            member.end(until)
        self._worker.stop()

    # -- private ----------------------------------------------------------------------------------

    async def _begin(self) -> None:
        for member in self._members:
            member.start()
        while not all(member.ready.is_set() for member in self._members):
            if failed := next((member for member in self._members if member.failed), None):
                raise ChildProcessError(f"a server process ended as it began ({failed.failed})")
            await asyncio.sleep(LOOK)
        self._listens = asyncio.create_task(Listener(self._listening, self._members).run())

    async def _close(self) -> None:
        if self._listens is not None:
            self._listens.cancel()
            await asyncio.gather(self._listens, return_exceptions=True)
        self._listening.close()
        for member in self._members:
            member.stop()
