"""What Bokeh calls when the server begins and ends."""

import sys
from importlib import import_module

from tornado.process import task_id

from server.core import guard, pace
from server.core.threads import in_thread, wait
from server.shell import app, pages

SLOW = ("colorcet", "sklearn.cluster")  # to import; the first page that needs them would wait for a second


def on_server_loaded(server_context) -> None:
    """Loads what is slow to load while the reader still looks at the list of runs.

    Ends the process where Bokeh has forked it: nothing leads a websocket to the process that has its page, so
    every other session would be built twice, and each process would have a worker of its own.
    """
    if task_id() is not None:
        print("--num-procs is not supported; use `python -m server RUNS --processes N`", file=sys.stderr)
        sys.exit(0)  # anything else would be taken for a crash, and it be started again
    guard.install()
    in_thread(_load, "gdlab loads")


def on_server_unloaded(server_context) -> None:
    """Ends the worker's process with the server."""
    app.stop()
    wait()


def _load():
    for page in pages.pages().values():
        for target in page.targets:
            pages.load(target)
    for name in SLOW:
        import_module(name)
    pace.settle()
