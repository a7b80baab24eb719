"""What Bokeh calls when the server begins and ends."""

import sys
from importlib import import_module

from tornado.process import task_id

from server.core import arguments, guard, pace
from server.core.threads import in_thread, wait
from server.shell import app, pages

ARGUMENTS = sys.argv[1:]  # Bokeh has put those of the app there, for as long as this is imported
SLOW = ("colorcet", "sklearn.cluster")  # to import; the first page that needs them would wait for a second


def on_server_loaded(server_context) -> None:
    """Loads what is slow to load while the reader still looks at the list of runs.

    Ends the process where Bokeh has forked it: nothing leads a websocket to the process that has its page, so
    every other session would be built twice, and each process would have a worker of its own.
    """
    if task_id() is not None:
        print("--num-procs is not supported; use `python -m server RUNS --processes N`", file=sys.stderr)
        sys.exit(0)  # anything else would be taken for a crash, and it be started again
    try:
        found = pages.pages(arguments.parse(ARGUMENTS).config_dir)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    guard.install()
    in_thread(lambda: _load(found), "gdlab loads")


def on_server_unloaded(server_context) -> None:
    """Ends the worker's process with the server."""
    app.stop()
    wait()


def _load(found: dict[str, pages.Page]) -> None:
    for page in found.values():
        for part in page.views:
            pages.load(part)
    for name in SLOW:
        import_module(name)
    pace.settle()
