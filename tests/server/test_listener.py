"""The listener with made-up server processes: silent, slow and hostile connections hold up nobody."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from server.processes import heads, listener
from server.processes.listener import Listener
from tests.apart import run_apart

REQUEST = b"GET /server HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Fake:
    """Takes connections and answers each with its own number; `full`: how often it has no room before."""

    def __init__(self, number, load=0, full=0):
        self.number, self.load, self.full = number, load, full
        self.ready = asyncio.Event()
        self.ready.set()

    def take(self, connection, kind):
        """As `Member.take`."""
        if self.full:
            self.full -= 1
            return False
        connection.send(b"%d%s" % (self.number, kind) + connection.recv(1 << 17))
        return True


@asynccontextmanager
async def listening(*members):
    """connect(text) -> (reader, writer) of a connection to a listener that has these."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        task, writers = asyncio.create_task(Listener(server, members).run()), []

        async def connect(text=b""):
            reader, writer = await asyncio.open_connection(*server.getsockname(), limit=1 << 20)
            writer.write(text)
            writers.append(writer)
            return reader, writer

        yield connect
        task.cancel()
        for writer in writers:
            writer.close()
        await asyncio.gather(task, *(w.wait_closed() for w in writers), return_exceptions=True)


async def answer(connection):
    """Everything that comes until the other end closes."""
    try:
        return await connection[0].read()
    except ConnectionResetError:  # it was closed without having been read
        return b""


def with_id(session):
    """A page's request that names its session."""
    return REQUEST.replace(b"Host", b"Bokeh-Session-Id: %s\r\nHost" % session.encode())


def test_a_session_has_one_process_and_a_new_one_that_with_the_fewest():
    async def case():
        async with listening(*(Fake(number, load) for number, load in enumerate((5, 3, 4)))) as connect:
            assert await answer(await connect(REQUEST)) == b"1p" + REQUEST  # nothing of it was taken
            for session in "abcdefgh":
                found = await answer(await connect(with_id(session)))
                assert found == b"%dp" % heads.place(session, 3) + with_id(session)

    run_apart(case())


def test_silent_and_slow_connections_hold_up_nobody():
    async def case():
        async with listening(Fake(0)) as connect:
            silent = [await connect() for _ in range(50)]
            slow = [await connect(REQUEST[:length]) for length in range(1, len(REQUEST))]
            assert await answer(await connect(REQUEST)) == b"0p" + REQUEST
            for length, (_, writer) in enumerate(slow, 1):
                writer.write(REQUEST[length:])
            for _, writer in silent:
                writer.write(REQUEST)
            for connection in (*slow, *silent):
                assert await answer(connection) == b"0p" + REQUEST

    run_apart(case())


@pytest.mark.parametrize(("limit", "text"), [("SILENT", b""), ("SLOW", REQUEST[:10]), ("SLOW", b"\x16\x03")])
def test_who_says_nothing_for_too_long_is_left(monkeypatch, limit, text):
    monkeypatch.setattr(listener, limit, 0.05)

    async def case():
        async with listening(Fake(0)) as connect:
            assert await answer(await connect(text)) == b""
            assert await answer(await connect(REQUEST)) == b"0p" + REQUEST

    run_apart(case())


def test_who_has_waited_longest_makes_room(monkeypatch):
    monkeypatch.setattr(listener, "MOST_WAITING", 3)

    async def case():
        async with listening(Fake(0)) as connect:
            waiting = [await connect(text) for text in (b"", b"GET", b"GE", b"", b"")]
            assert [await answer(connection) for connection in waiting[:2]] == [b"", b""]
            waiting[2][1].write(REQUEST[2:])
            waiting[4][1].write(REQUEST)
            assert await answer(waiting[2]) == await answer(waiting[4]) == b"0p" + REQUEST

    run_apart(case())


@pytest.mark.parametrize("text", [b"\r\n\r\n", b"G" * heads.MOST], ids=["lines", "long"])
def test_what_is_no_head_is_some_processs_to_refuse(text):
    async def case():
        async with listening(Fake(0)) as connect:
            assert (await answer(await connect(text))).startswith(b"0o")

    run_apart(case())


def test_a_process_that_is_busy_or_begins_is_waited_for():
    async def case():
        begins, busy = Fake(0), Fake(1, full=3)
        begins.ready.clear()
        async with listening(begins, busy) as connect:
            theirs = next(session for session in "abcdefgh" if heads.place(session, 2) == 0)
            waits = await connect(with_id(theirs))
            assert (await answer(await connect(REQUEST))).startswith(b"1p")
            begins.ready.set()
            assert (await answer(waits)).startswith(b"0p")

    run_apart(case())
