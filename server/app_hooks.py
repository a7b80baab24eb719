"""What Bokeh calls when the server begins and ends."""

from importlib import import_module
from threading import Thread

from server import app, guard, pace, pages

SLOW = ("colorcet", "sklearn.cluster")  # to import; the first page that needs them would wait for a second


def on_server_loaded(server_context) -> None:
    """Loads what is slow to load while the reader still looks at the list of runs."""
    guard.install()
    Thread(target=_load, daemon=True).start()


def on_server_unloaded(server_context) -> None:
    """Ends the worker's process with the server."""
    app.stop()


def _load():
    for page in pages.pages().values():
        for target in page.targets:
            pages.load(target)
    for name in SLOW:
        import_module(name)
    pace.settle()
