"""What all sessions of the server share, and how one of them begins."""

import logging
from pathlib import Path
from threading import Lock

from bokeh.application import Application
from bokeh.application.handlers.directory import DirectoryHandler

from server.core import pace, runs_cache
from server.core.arguments import Told, parse
from server.core.worker import Asked, Worker
from server.shell import pages
from server.shell.session import Session

# A page that was closed a moment ago is still told what changes: that is no news for the log.
logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)

pace.install()

APP = Path(__file__).resolve().parents[1]

_worker: Asked | None = None
_lock = Lock()


def served(told: Told) -> dict[str, Application]:
    """What a server serves under which path."""
    return {f"/{APP.name}": Application(DirectoryHandler(filename=APP, argv=told.arguments()))}


def open_session(doc, arguments: list[str]) -> Session:
    """Fills a new document. arguments: the command line's, as of `server.core.arguments`."""
    told = parse(arguments)
    tabs = pages.pages(told.config_dir)
    cache = runs_cache.shared(told.root)
    session = Session(doc, told.root, _request_arguments(doc), cache, worker(told), tabs, told.control)
    doc.title = "gdlab"
    doc.template_variables.update(
        static=_static(doc),
        tabs=[(page.name, page.title) for page in tabs.values()],
        current=session.page,
        theme="dark" if session.dark else "light",
        chosen_theme=session.state.get("theme", "", choices=("light", "dark")),
    )
    session.start()
    return session


def use(worker: Asked) -> None:
    """Takes this for the worker, instead of one of its own."""
    global _worker
    with _lock:
        _worker = worker


def worker(told: Told) -> Asked:
    """The server's one worker; its process starts with its first job."""
    global _worker
    with _lock:
        if _worker is None:
            _worker = Worker(size=told.workers, given={"places": told.places}, limits=told.limits)
        return _worker


def stop() -> None:
    """The server ends: so does the worker."""
    global _worker
    with _lock:
        if _worker is not None:
            _worker.stop()
            _worker = None


def _request_arguments(doc) -> dict[str, list[bytes]]:
    request = doc.session_context.request if doc.session_context else None
    return dict(request.arguments) if request else {}


def _static(doc) -> str:
    """Address of `static/`, relative to the page's own, whatever the app is mounted as: from `/server` it is
    `server/static/`, from `/server/`, which is served, too, `static/`."""
    request = doc.session_context.request if doc.session_context else None
    path = getattr(request, "path", None) or "/server"
    return "static/" if path.endswith("/") else f"{path.rpartition('/')[2]}/static/"
