"""Accepts connections and gives each to a server process, having looked at the head of its request.

The head is looked at and left where it is (MSG_PEEK): the process reads it as if it had accepted the
connection itself. Each connection is waited for on its own, so that one which says nothing, or speaks slowly,
holds up no other; there may be so many of them, for so long.
"""

import asyncio
import logging
import random
import socket
from collections.abc import Sequence

from server.processes import heads
from server.processes.heads import Head
from server.processes.member import Member

log = logging.getLogger(__name__)

SILENT = 120.0  # s that a connection may say nothing: browsers open some in advance
SLOW = 20.0  # s from the first byte of a head to its last
MOST_WAITING = 400  # connections whose heads are waited for; the one that came first makes room
PATIENCE = 60.0  # s that a connection waits for a process that is being started, or is too busy to take it
FULL = 0.5  # s until it is tried again to accept one
PAUSE = 0.02  # s between two looks


class Listener:
    """Serves a socket that listens, without blocking, for `members`, in the order of their numbers."""

    def __init__(self, listening: socket.socket, members: Sequence[Member]):
        self._listening, self._members = listening, members
        self._tasks: set[asyncio.Task] = set()
        self._waiting: dict[asyncio.Task, None] = {}  # for their heads, the oldest first

    async def run(self) -> None:
        """Goes on until it is cancelled; then what waits is closed."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(self._listening)
                except OSError as error:  # too many open files, or it was closed already
                    log.warning("a connection could not be accepted: %s", error)
                    await asyncio.sleep(FULL)
                    continue
                task = loop.create_task(self._serve(connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _serve(self, connection: socket.socket) -> None:
        with connection:  # the process has a descriptor of its own
            try:
                if text := await self._waited_for(connection):
                    async with asyncio.timeout(PATIENCE):
                        await self._hand_over(connection, heads.read(text))
            except (OSError, TimeoutError) as error:
                log.debug("a connection is closed: %s", error)

    async def _waited_for(self, connection: socket.socket) -> bytes:
        mine = asyncio.current_task()
        assert mine is not None  # it runs in one
        self._waiting[mine] = None
        if len(self._waiting) > MOST_WAITING:
            next(iter(self._waiting)).cancel()
        try:
            return await _head(connection)
        finally:
            del self._waiting[mine]

    async def _hand_over(self, connection: socket.socket, head: Head) -> None:
        while True:
            member = self._chosen(head)
            await member.ready.wait()
            if member.take(connection, head.kind):
                return
            await asyncio.sleep(PAUSE)

    def _chosen(self, head: Head) -> Member:
        """The process of the session; that with the fewest sessions where there is none yet."""
        if head.session is not None:
            return self._members[heads.place(head.session, len(self._members))]
        ready = [member for member in self._members if member.ready.is_set()]
        return min(ready or self._members, key=lambda member: (member.load, random.random()))


async def _head(connection: socket.socket) -> bytes:
    """The first bytes of a request, which stay to be read; none where the other end has left.

    Raises TimeoutError, OSError.
    """
    async with asyncio.timeout(SILENT):
        await _first_byte(connection)
    pause = PAUSE / 16
    async with asyncio.timeout(SLOW):
        while (text := connection.recv(heads.MOST, socket.MSG_PEEK)) and not heads.whole(text):
            await asyncio.sleep(pause)  # the loop would call at once, for what is there already
            pause = min(2 * pause, 8 * PAUSE)
    return text


async def _first_byte(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(connection, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(connection)
