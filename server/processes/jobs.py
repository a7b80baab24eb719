"""The way from a session in a server process to the one worker, which its parent has.

A server process writes ("ask", id, path, probe, options, reader), ("cancel", id) and ("warm",); the parent
answers ("progress" | "done" | "error", id, ...), and after "done" come the bytes of the pickled Table as they
came from the process that computed it: the parent does not unpack them.
"""

import itertools
import logging
import pickle
import threading
from collections.abc import Hashable
from multiprocessing.connection import Connection
from queue import SimpleQueue

from server.core.worker import Job, Worker

log = logging.getLogger(__name__)


class RemoteWorker:
    """What stands for the `Worker` in a server process."""

    def __init__(self, link: Connection):
        self._link = link
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._jobs: dict[int, Job] = {}
        threading.Thread(target=self._listen, name="gdlab answers", daemon=True).start()

    def submit(
        self, run_path, probe: str, options: dict, *, reader: Hashable = None, on_progress, on_done, on_error
    ) -> Job:
        """As `Worker.submit`; the callbacks are called from a thread of its own."""
        with self._lock:
            identity = next(self._ids)
            job = Job(on_progress, on_done, on_error, lambda _: self._cancel(identity), reader)
            self._jobs[identity] = job
            self._send("ask", identity, str(run_path), probe, options, reader)
        return job

    def warm(self) -> None:
        """As `Worker.warm`."""
        with self._lock:
            self._send("warm")

    def stop(self) -> None:
        """The server process ends: the parent drops what was asked for when it hears no more of it."""
        with self._lock:
            self._jobs.clear()

    # -- private ----------------------------------------------------------------------------------

    def _send(self, *message) -> None:
        try:
            self._link.send(message)
        except OSError:
            log.debug("the parent has gone, and this process ends with it")

    def _cancel(self, identity: int) -> None:
        with self._lock:
            if self._jobs.pop(identity, None):
                self._send("cancel", identity)

    def _listen(self) -> None:
        try:
            while True:
                kind, identity, *content = self._link.recv()
                if kind == "done":
                    content = [self._link.recv_bytes()]
                with self._lock:
                    job = self._jobs.get(identity)
                    if kind != "progress":
                        self._jobs.pop(identity, None)
                if job is not None and not job.cancelled:
                    job.tell(kind, *(map(pickle.loads, content) if kind == "done" else content))
        except (EOFError, OSError):
            return


class Relay:
    """The parent's end: asks the worker for what a server process asks for, until that has gone.

    worker: hands on the bytes of Tables; name: of the server process, whose readers are no other's.
    """

    def __init__(self, link: Connection, worker: Worker, name: Hashable):
        self._link, self._worker, self._name = link, worker, name
        self._lock = threading.Lock()
        self._jobs: dict[int, Job] = {}
        # A process that does not read holds up no other.
        self._answers: SimpleQueue[tuple | None] = SimpleQueue()
        for work in (self._listen, self._answer):
            threading.Thread(target=work, name=f"gdlab relay {name}", daemon=True).start()

    # -- private ----------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            while True:
                kind, *content = self._link.recv()
                if kind == "ask":
                    self._ask(*content)
                elif kind == "cancel":
                    self._cancel(*content)
                elif not self._worker.stopped:
                    self._worker.warm()
        except (EOFError, OSError):  # it has gone
            for identity in list(self._jobs):
                self._cancel(identity)
            self._answers.put(None)

    def _ask(self, identity: int, path: str, probe: str, options: dict, reader: Hashable) -> None:
        def told(kind: str):
            def tell(*content) -> None:
                if kind != "progress":
                    with self._lock:
                        self._jobs.pop(identity, None)
                self._answers.put((kind, identity, *content))

            return tell

        on = {f"on_{kind}": told(kind) for kind in ("progress", "done", "error")}
        try:
            with self._lock:  # the answer may come before `submit` returns
                self._jobs[identity] = self._worker.submit(
                    path, probe, options, reader=(self._name, reader), **on
                )
        except Exception as error:
            log.exception("%s of %s could not be asked for", probe, path)
            self._answers.put(("error", identity, f"{type(error).__name__}: {error}"))

    def _cancel(self, identity: int) -> None:
        with self._lock:
            job = self._jobs.pop(identity, None)
        if job is not None:
            job.cancel()

    def _answer(self) -> None:
        try:
            while answer := self._answers.get():
                kind, identity, *content = answer
                if kind == "done":
                    self._link.send((kind, identity))
                    self._link.send_bytes(content[0])
                else:
                    self._link.send(answer)
        except OSError:
            log.debug("server process %s has gone", self._name)
        self._link.close()
