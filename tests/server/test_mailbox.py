"""What threads have for a session reaches its document through the mailbox alone, and no other reader's."""

import ast
import asyncio
import logging
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import make_ensemble
import make_runs
import pytest
from bokeh.application import Application
from bokeh.application.handlers.directory import DirectoryHandler
from bokeh.document import Document
from bokeh.document.callbacks import DocumentCallbackManager
from bokeh.io import doc as current
from bokeh.server.server import Server
from tornado.ioloop import IOLoop

import server
from benchmarks import made_up_dumps
from benchmarks.readers import Failed, Reader
from server.core.mailbox import Mailbox
from server.core.worker import Worker
from server.shell import app, pages
from tests.apart import run_apart

APP = Path(server.__file__).parent
NOISY = str(Path(__file__).with_name("noisy.py"))
# Where threads are made; what they run may hold no document.
THREADS = {
    "core/threads.py",
    "core/worker.py",
    "core/runs_cache.py",
    "app_hooks.py",
    "pages/tracker/prefetching.py",
    "processes/jobs.py",
}
STARTS = {
    "in_thread",
    "Thread",
    "Timer",
    "ThreadPoolExecutor",
    "ProcessPoolExecutor",
    "run_in_executor",
    "to_thread",
}


# -- the mailbox --------------------------------------------------------------------------------------


def test_mail_is_delivered_in_order_and_a_letter_that_fails_keeps_none_back(caplog):
    mail, got = Mailbox(Document()), []
    mail.post(lambda: got.append(1))
    mail.post(lambda: got.append(1 / 0))
    mail.post(lambda: got.append(2))
    while mail.deliver():
        pass
    assert got == [1, 2]
    assert "ZeroDivisionError" in caplog.text


def test_nothing_is_delivered_when_the_session_has_gone():
    mail, got = Mailbox(Document()), []
    mail.post(lambda: got.append(1))
    mail.close()
    mail.post(lambda: got.append(2))
    assert not mail.deliver()
    assert (got, mail.waiting, mail.closed) == ([], 0, True)


# -- the rule, read from the source -------------------------------------------------------------------


def _names(path):
    """Every name and attribute that a module uses, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias):
            yield node.name.rpartition(".")[2], node.lineno


def _uses(words):
    return {
        (path.relative_to(APP).as_posix(), name)
        for path in APP.rglob("*.py")
        for name, _ in _names(path)
        if name in words
    }


def test_only_the_mailbox_speaks_to_the_loop_and_only_the_entry_asks_for_the_current_document():
    assert _uses({"add_next_tick_callback", "add_callback", "call_soon_threadsafe"}) == {
        ("core/mailbox.py", "add_callback"),
        ("__main__.py", "add_callback"),  # before the loop runs
    }
    assert {path for path, _ in _uses({"curdoc", "patch_curdoc", "set_curdoc"})} == {"main.py"}


def test_what_runs_in_threads_has_no_document():
    assert {path for path, _ in _uses(STARTS)} == THREADS
    held = {(path, name) for path, name in _uses({"doc", "_doc", "document"}) if path in THREADS}
    assert not held


# -- the rule, watched at work ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of every kind that pages are made for."""
    root = tmp_path_factory.mktemp("many")
    for name in ("a", "b"):
        make_runs.make(root / name, seed=ord(name))
    make_runs.damage(root / "broken")
    make_ensemble.grid(root, size=3, times=4)
    made_up_dumps.write(root / "net", dumps=40, classes=6, images=10)
    return root


@pytest.fixture
def touched(monkeypatch):
    """Names of the threads that changed a document, or made one the current one, or called it back."""
    threads = set()

    def watch(owner, name):
        original = getattr(owner, name)

        def watched(*args, **kwargs):
            threads.add(threading.current_thread().name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    for name in ("trigger_on_change", "notify_change", "add_session_callback", "remove_session_callback"):
        watch(DocumentCallbackManager, name)
    watch(current, "patch_curdoc")
    return threads


PATIENCE = 300  # s; a loaded machine is slow, not wrong
MODES = ("classes", "layers", "correlation", "health")
QUERIES = [
    {"page": "runs"},
    {"page": "runs", "filter": "a|b"},
    *({"page": page, "run": "a"} for page in ("descent", "line", "steps", "insides", "surface")),
    {"page": "compare", "run": ["a", "b"]},
    {"page": "optimizers", "run": ["a", "b", "broken"]},
    *({"page": "tracker", "run": "net", "mode": mode} for mode in MODES),
    {"page": "ensemble", "ens_folder": "sweep"},
    {"page": "ensemble", "ens_match": "sweep"},
]  # fmt: skip


async def _visit(address, query):
    reader = Reader(address, PATIENCE)
    await reader.open(until=f"page_{query['page']}", **query)
    await reader.act("theme", "dark")
    await reader.act("step", 1)
    for page in ("runs", query["page"]):
        await reader.act("page", page)
    reader.close()


def test_every_page_is_drawn_by_the_event_loop_alone(folder, touched, monkeypatch, caplog):
    worker = Worker("fake_probes:run_probe")
    monkeypatch.setattr(app, "worker", lambda told: worker)
    assert {query["page"] for query in QUERIES} == set(pages.pages())

    loops = set()

    async def serve():
        loops.add(threading.current_thread().name)
        handler = DirectoryHandler(filename=APP, argv=[str(folder)])
        running = Server(
            {"/server": Application(handler)}, port=0, address="127.0.0.1", io_loop=IOLoop.current()
        )
        running.start()
        try:
            address = f"http://localhost:{running.port}/server"
            await asyncio.gather(*(_visit(address, query) for query in QUERIES))
        finally:
            running.stop()
            await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR):
        run_apart(serve())
    worker.stop()
    assert touched == loops
    assert [record.getMessage() for record in caplog.records] == []


# -- many readers -------------------------------------------------------------------------------------

SESSIONS, AT_ONCE = 16, 8
MARK = re.compile(r"reader\d+x")


async def _crowd(address):
    """What went wrong for readers each of whom has a mark in the address that nobody else may see."""
    gate, wrong = asyncio.Semaphore(AT_ONCE), []

    async def read(number):
        mark, reader = f"reader{number}x", Reader(address, PATIENCE)
        page = {"page": "descent", "run": "a"} if number % 2 else {"page": "runs"}
        async with gate:
            try:
                await reader.open(until=f"page_{page['page']}", filter=mark, colour=f"aabbcc:{mark}", **page)
                await reader.act("theme", "dark")
                wrong.extend(f"{mark} sees {other}" for other in set(MARK.findall(reader.seen)) - {mark})
            except Failed as error:
                wrong.append(f"{mark}: {error}")
            finally:
                reader.close()

    await asyncio.gather(*map(read, range(SESSIONS)))
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["server", "{runs}", "--port", "0", "--no-browser"],
        ["bokeh", "serve", "server", "--port", "0", "--args", "{runs}"],
    ],
    ids=["own", "bokeh"],
)
def test_no_reader_gets_the_page_of_another(folder, command, tmp_path):
    """While a thread speaks to every session; without the mailbox a third to a half of them fail."""
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, NOISY, *(part.format(runs=folder) for part in command)],
            cwd=APP.parent, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        while not (match := re.search(r"http://localhost:\d+/server", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        assert run_apart(_crowd(match[0])) == []
    finally:
        process.kill()
        process.wait()
    assert not re.search("ERROR|Traceback", log.read_text()), log.read_text()
