"""Several server processes behind one port: every session in one of them, and what ends or is hostile harms
no other."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import fake_servers
import make_runs
import pytest
from bokeh.util.token import generate_jwt_token, get_session_id
from tornado.ioloop import IOLoop

from benchmarks.readers import Failed, Reader
from server.processes import heads, member
from tests.apart import run_apart

ROOT = Path(__file__).resolve().parents[2]
COUNTING = str(Path(__file__).with_name("counting.py"))
PATIENCE = 120  # s; a loaded machine is slow, not wrong
MARK = re.compile(r"reader\d+x")
TOKEN = re.compile(rb'"token":"([\w.=-]+)"')

pytestmark = pytest.mark.skipif(not hasattr(socket, "send_fds"), reason="it hands descriptors on")


class Served:
    """A server of `count` processes; built: (process, session, mark) of each session that was built."""

    def __init__(self, folder, count, **environment):
        self.count, self.log, self._built = count, folder / "log", folder / "sessions"
        self._built.touch()
        command = [COUNTING, folder / "runs", "--port", "0", "--no-browser", "--processes", str(count)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                env=os.environ | {"SESSIONS": str(self._built)} | environment, start_new_session=True,
            )  # fmt: skip
        try:
            self.address = self.logged(r"http://localhost:\d+/server")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.port = int(self.address.split(":")[2].partition("/")[0])

    @property
    def built(self):
        return [line.split() for line in self._built.read_text().splitlines()]

    def logged(self, pattern):
        """Waits until this stands in the log."""
        ends = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.log.read_text())):
            assert self.process.poll() is None and time.monotonic() < ends, self.log.read_text()
            time.sleep(0.02)
        return found[0]

    def page(self, host=None, **query):
        """(status, text) of a page."""
        headers = {"Host": host} if host else {}
        request = urllib.request.Request(f"{self.address}?{urlencode(query)}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def says(self, head):
        """What comes back to these bytes, until the other end closes, or a websocket stands or is refused."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            text = b""
            try:
                connection.sendall(head)
                while not re.match(rb"HTTP/1.1 (101|403)", text) and (some := connection.recv(1 << 16)):
                    text += some
            except ConnectionResetError:
                pass
            return text


@contextmanager
def served(folder, count=2, **environment):
    """Such a server over one run, ended with its processes."""
    make_runs.make(folder / "runs" / "a")
    one = Served(folder, count, **environment)
    try:
        yield one
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(PATIENCE) == 0
    finally:
        one.process.kill()
        one.process.wait()


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    with served(tmp_path_factory.mktemp("several")) as one:
        yield one


def websocket(token, origin="http://localhost"):
    """The head of a request for a websocket."""
    lines = (
        "GET /server/ws HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Origin: {origin}",
        f"Sec-WebSocket-Protocol: bokeh, {token}", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


# -- sessions -----------------------------------------------------------------------------------------


async def crowd(address, count):
    """What went wrong for `count` readers at once, each of whom has a mark that nobody else may see."""
    wrong = []

    async def read(number):
        mark, reader = f"reader{number}x", Reader(address, PATIENCE)
        page = {"page": "descent", "run": "a"} if number % 2 else {"page": "runs"}
        try:
            await reader.open(until=f"page_{page['page']}", filter=mark, **page)
            await reader.act("theme", "dark")
            wrong.extend(f"{mark} sees {other}" for other in set(MARK.findall(reader.seen)) - {mark})
            if mark not in reader.seen:
                wrong.append(f"{mark} does not see its page")
        except Failed as error:
            wrong.append(f"{mark}: {error}")
        finally:
            reader.close()

    await asyncio.gather(*(read(number) for number in range(count)))
    return wrong


def test_every_session_is_built_once_where_its_page_was_drawn(several):
    before = len(several.built)
    assert run_apart(crowd(several.address, 40)) == []
    built = several.built[before:]
    # One whose reader needed more than 15 s from the page to the websocket, on a loaded machine, has expired
    # and is built again: where it was before.
    once = {(session, mark): process for process, session, mark in built}
    assert sorted(mark for _, mark in once) == sorted(f"reader{number}x" for number in range(40))
    assert all(once[session, mark] == process for process, session, mark in built) and len(built) < 60
    shares = Counter(once.values())
    assert len(shares) == 2 and min(shares.values()) >= 12  # pages go where the fewest sessions are
    homes = {(process, heads.place(session, 2)) for process, session, _ in built}
    assert len(homes) == 2


def test_a_session_of_ones_own_id_is_built_once(several):
    """As for a page that a site embeds: the id is the reader's, and need not be one that was given out."""
    before = len(several.built)
    for number in range(6):
        status, text = several.page(**{"bokeh-session-id": f"mine{number}", "filter": f"own{number}"})
        token = TOKEN.search(text)[1].decode()
        assert status == 200 and get_session_id(token) == f"mine{number}"
        assert several.says(websocket(token)).startswith(b"HTTP/1.1 101")
    assert sorted(mark for _, _, mark in several.built[before:]) == [f"own{number}" for number in range(6)]


def test_connections_may_be_used_again_by_no_page(several):
    """Its next request might be for a session of another process."""
    head = b"GET /server/static/page.css HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    found = several.says(head)
    assert found.startswith(b"HTTP/1.1 200") and b"\r\nConnection: close\r\n" in found


def test_signed_sessions_are_those_that_were_given_out(tmp_path):
    with served(tmp_path, BOKEH_SIGN_SESSIONS="yes", BOKEH_SECRET_KEY="k" * 40) as one:
        assert one.page(**{"bokeh-session-id": "mine"})[0] == 403
        assert run_apart(crowd(one.address, 6)) == []
        assert len(one.built) == 6 and all("." in session for _, session, _ in one.built)


# -- strangers ----------------------------------------------------------------------------------------

EXPIRED = generate_jwt_token("expired", expiration=-1)
STRANGE = {
    "no token": websocket("").replace(b"bokeh, ", b""),
    "garbage": websocket("%%%"),
    "no session": websocket("e30"),
    "expired": websocket(EXPIRED),
    "a huge head": websocket("x" * 70_000),
    "a head without end": b"GET /server HTTP/1.1\r\n" + b"x" * (1 << 18),
    "no method": b"\x00\x01\x02\x03 /server\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a foreign origin": websocket(generate_jwt_token("x"), origin="http://evil.example"),
}  # fmt: skip


def test_what_strangers_send_is_refused_and_harms_nobody(several):
    before = several.built
    for name, head in STRANGE.items():
        found = several.says(head)
        assert not re.match(rb"HTTP/1.1 (200|5..)", found), (name, found[:200])
    assert b"403" in several.says(STRANGE["a foreign origin"])
    assert several.built == before
    assert several.page(page="runs")[0] == 200
    assert "unexpectedly" not in several.log.read_text()


def test_a_long_address_comes_back_in_a_head_that_leads_to_its_session(several):
    before = len(several.built)
    query = {f"run{number}": os.urandom(30).hex() for number in range(100)}
    status, text = several.page(filter="long", **query)
    head = websocket(TOKEN.search(text)[1].decode())
    assert status == 200 and len(head) > 10_000
    assert several.says(head).startswith(b"HTTP/1.1 101")
    assert [mark for _, _, mark in several.built[before:]] == ["long"]


def test_every_process_refuses_foreign_names_and_endless_addresses(several):
    for _ in range(8):
        assert several.page("evil.example")[0] == 403
        assert several.page(f"localhost:{several.port}")[0] == 200
    for number in range(8):
        status, text = several.page(filter="x" * 20_000, **{"bokeh-session-id": str(number)})
        assert status == 414 and b"8000 characters" in text


def test_connections_that_say_nothing_hold_up_nobody(several):
    opened = [socket.create_connection(("127.0.0.1", several.port)) for _ in range(30)]
    for connection in opened[:15]:
        connection.sendall(b"GET /server HTTP/1.1\r\nHost: loc")
    assert several.page(page="runs")[0] == 200
    opened[0].settimeout(PATIENCE)
    opened[0].sendall(b"alhost\r\n\r\n")
    assert opened[0].recv(100).startswith(b"HTTP/1.1 200")
    for connection in opened:
        connection.close()


# -- ends ---------------------------------------------------------------------------------------------


async def _at_home(one, number):
    """(reader, process) of a session that lives in process `number`."""
    while True:
        reader = Reader(one.address, PATIENCE)
        await reader.open(until="page_runs", page="runs")
        process, session, _ = one.built[-1]
        if heads.place(session, one.count) == number:
            return reader, int(process)
        reader.close()


async def _one_is_killed(one):
    mine, process = await _at_home(one, 0)
    other, elsewhere = await _at_home(one, 1)
    os.kill(process, signal.SIGKILL)
    assert await other.act("theme", "dark") < PATIENCE
    with pytest.raises(Failed):
        while True:
            await mine.act("theme", "dark")
    mine.close()
    for _ in range(4):
        new = Reader(one.address, PATIENCE)
        await new.open(until="page_runs", page="runs")
        new.close()
    again, replaced = await _at_home(one, 0)
    await again.act("theme", "dark")
    await other.act("theme", "light")
    assert len({process, elsewhere, replaced}) == 3
    again.close()
    other.close()
    return [elsewhere, replaced]


@pytest.mark.slow
def test_a_process_that_is_killed_comes_back_and_the_others_go_on(tmp_path):
    with served(tmp_path) as one:
        processes = run_apart(_one_is_killed(one))
        assert "server process 0 ended unexpectedly (exit code -9)" in one.log.read_text()
        os.killpg(one.process.pid, signal.SIGINT)  # as a terminal sends it
        assert one.process.wait(PATIENCE) == 0
        for process in processes:
            with pytest.raises(ProcessLookupError):
                os.kill(process, 0)
    assert "Traceback" not in one.log.read_text()


def test_a_process_that_ends_again_and_again_is_started_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(member.child, "serve", fake_servers.serve)
    monkeypatch.setattr(member, "SHORT", 0.0)

    async def case():
        one = member.Member(IOLoop.current(), 0, 1, None, tmp_path, [])
        one.start()
        while not (one.ready.is_set() and one.load == 3):
            assert not one.failed
            await asyncio.sleep(0.01)
        one.stop()
        one.end(time.monotonic() + PATIENCE)
        return one.process.exitcode

    assert run_apart(case()) == 0
    assert len((tmp_path / "starts").read_text().split()) == 3
    assert caplog.text.count("it starts again") == 2


@pytest.mark.slow
def test_no_process_outlives_a_parent_that_is_killed(tmp_path):
    make_runs.make(tmp_path / "runs" / "a")
    one = Served(tmp_path, 2)
    run_apart(crowd(one.address, 4))
    processes = {int(process) for process, _, _ in one.built}
    one.process.kill()
    one.process.wait()
    ends = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{process}/stat").exists() for process in processes):
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert "Traceback" not in one.log.read_text()


def test_a_port_that_is_taken_is_named(several, tmp_path):
    command = ["-m", "server", tmp_path, "--no-browser", "--processes", "2", "--port", str(several.port)]
    ended = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 2 and f"port {several.port} cannot be used" in ended.stderr


def test_a_process_that_cannot_begin_ends_the_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = ["server", tmp_path, "--no-browser", "--processes", "2", "--port", port]
    ended = subprocess.run(
        [sys.executable, "-m", *command, "--allow-websocket-origin", "a:b:c"],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert ended.returncode == 1 and "a server process ended as it began" in ended.stderr


def test_bokehs_own_processes_are_refused(tmp_path):
    command = ["-m", "bokeh", "serve", "server", "--num-procs", "2", "--port", "0", "--args", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.stderr.count("python -m server RUNS --processes N") == 2


@pytest.mark.parametrize("count", ["0", "-1", "65", "two"])
def test_a_number_that_is_none_is_refused(capsys, count):
    from server.__main__ import main

    with pytest.raises(SystemExit):
        main(["--processes", count])
    assert "--processes" in capsys.readouterr().err
