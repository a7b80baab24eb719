"""Nothing that is sent changes; a session that ends frees all and walks nowhere."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import make_runs
import pytest
from bokeh.application import Application
from bokeh.application.handlers.directory import DirectoryHandler
from bokeh.server.server import Server
from tornado.ioloop import IOLoop

import server
from benchmarks import made_up_dumps
from benchmarks.readers import Reader
from server.core import pace
from server.core.worker import Worker
from server.shell import app
from server.shell.session import Session
from tests.apart import run_apart

APP = Path(server.__file__).parent
# A page as JSON, by a process whose models are counted from 1; with or without what is tested here.
SCRIPT = """
import json, sys
from server.core import pace
if sys.argv[3] == "plain":
    pace.install = lambda: None
from pathlib import Path
from bokeh.document import Document
from bokeh.themes import Theme
from server.shell import app
from server.core.runs_cache import RunsCache
from server.shell.session import Session
from server.core.worker import Worker
folder, page = Path(sys.argv[1]), sys.argv[2]
doc, worker = Document(theme=Theme(filename="server/theme.yaml")), Worker()
worker.warm = lambda: None
session = Session(doc, folder, {"page": [page.encode()], "run": [b"a", b"b"]}, RunsCache(folder), worker)
session._prefetch = lambda *_: None
session.start()
for theme in ("light", "dark", "light"):
    session._on_greet(theme)
    session.show(page)
print(json.dumps(doc.to_json(deferred=False), default=str))
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        make_runs.make(tmp_path / name, seed=ord(name))
    return tmp_path


@pytest.mark.parametrize("page", ["descent", "compare", "surface"])
def test_a_page_is_sent_as_bokeh_alone_would_send_it(folder, page):
    sent = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, folder, page, how], cwd=APP.parent, capture_output=True, text=True,
            check=True, env=os.environ | {"PYTHONHASHSEED": "0"},
        ).stdout
        for how in ("plain", "quick")
    ]  # fmt: skip
    assert len(sent[0]) > 10_000
    assert json.loads(sent[0]) == json.loads(sent[1])


@pytest.fixture
def serve(folder, monkeypatch):
    """serve(visit): the result of visit(address, server) in the event loop of a server."""
    worker = Worker("fake_probes:run_probe")
    monkeypatch.setattr(app, "worker", lambda told: worker)
    monkeypatch.setattr(pace, "settle", lambda: None)

    def run(visit):
        async def serving():
            handler = DirectoryHandler(filename=APP, argv=[str(folder)])
            running = Server(
                {"/server": Application(handler)}, port=0, address="127.0.0.1", io_loop=IOLoop.current(),
                unused_session_lifetime_milliseconds=2000, check_unused_sessions_milliseconds=50,
            )  # fmt: skip
            running.start()
            try:
                return await visit(f"http://localhost:{running.port}/server", running)
            finally:
                running.stop()

        return run_apart(serving())

    yield run
    worker.stop()


@pytest.mark.parametrize("page", ["descent", "steps", "ensemble", "tracker"])
def test_a_session_that_ends_is_freed_without_a_walk_through_the_heap(serve, monkeypatch, page, folder):
    made_up_dumps.write(folder / "net", dumps=40, classes=6, images=10)
    begun, walks = [], []
    start = Session.start
    monkeypatch.setattr(Session, "start", lambda self: begun.append(weakref.ref(self)) or start(self))
    collect, get_referrers = gc.collect, gc.get_referrers

    async def visit(address, running):
        modules, reader = set(sys.modules), Reader(address, 300)
        await reader.open(until=f"page_{page}", page=page, run="net" if page == "tracker" else "a")
        monkeypatch.setattr(gc, "collect", lambda *a: walks.append("collect") or collect(*a))
        monkeypatch.setattr(gc, "get_referrers", lambda *a: walks.append("referrers") or get_referrers(*a))
        reader.close()
        while running.get_sessions("/server"):
            await asyncio.sleep(0.05)
        assert not [name for name in set(sys.modules) - modules if name.startswith("bokeh_app_")]

    serve(visit)
    assert (len(begun), walks) == (1, [])
    monkeypatch.undo()
    gc.collect()
    assert begun[0]() is None


@pytest.mark.parametrize("page", ["runs", "descent", "steps", "surface", "ensemble"])
def test_nothing_of_a_session_that_ended_waits_for_a_collection(serve, folder, page):
    models = []

    async def visit(address, running):
        reader = Reader(address, 300)
        await reader.open(until=f"page_{page}", page=page, run="a")
        (session,) = running.get_sessions("/server")
        models.extend(map(weakref.ref, session.document.models))
        del session
        gc.collect()
        gc.disable()
        reader.close()
        while running.get_sessions("/server"):
            await asyncio.sleep(0.05)

    try:
        serve(visit)
        alive = [model() for model in models if model() is not None]
    finally:
        gc.enable()
    assert len(models) > 50
    # What is left has lost all it held; a card of ours may still refer to it until the next collection.
    held = sum(len(vars(model)) for model in alive)
    assert held <= 0.02 * len(models)


def test_what_is_loaded_is_out_of_the_way_of_collections():
    before = gc.get_freeze_count()
    try:
        pace.settle()
        assert gc.get_freeze_count() > before + 10_000
    finally:
        gc.unfreeze()
