"""A process that computes, as the server sees it: given one task at a time, followed, ended where it must be.

What it does itself stands in `server.core.worker_child`.
"""

import itertools
import logging
import multiprocessing
import time
from collections.abc import Callable
from typing import Any

from server.core.limits import Limits, Watch
from server.core.worker_child import serve

log = logging.getLogger(__name__)


class Task:
    """A question to the model, and the jobs of those who wait for its answer."""

    ids = itertools.count()

    def __init__(self, key: str, request: tuple):
        self.id, self.key, self.request = next(self.ids), key, request
        self.jobs: list = []
        self.cancelled_at: float | None = None


class WorkerProcess:
    """Used by one thread alone, but for `task`: what it works on, None while it is idle.

    report(process, kind, content): is told what comes of the task, kind being "progress" (share, text),
    "done" (the bytes of a pickled Table), "error" (message) or "cancelled". target, given, limits, grace: as
    of `server.core.worker.Worker`. The process itself starts with its first task.
    """

    def __init__(self, target: str | Callable, given: dict[str, Any], limits: Limits, grace: float, report):
        self.task: Task | None = None
        self.watch = Watch(limits)
        self._arguments, self._grace, self._report = (target, given, limits), grace, report
        self._told: Task | None = None  # has been told to stop
        self._process: multiprocessing.process.BaseProcess | None = None
        self._link: Any = None  # a Connection while there is a process

    @property
    def sources(self) -> list:
        """What to wait for: afterwards `look` has something to see."""
        return [self._link, self._process.sentinel] if self._process else []

    @property
    def patience(self) -> float | None:
        """Seconds after which to look even so."""
        return 0.2 if self._told else 1.0 if self.task else None

    @property
    def runs(self) -> bool:
        """Whether it has been started."""
        return self._process is not None

    def begin(self, task: Task | None) -> None:
        """Gives an idle process its task, which stands in `task`; None: its imports alone."""
        try:
            process = self._process or self._spawn()
            if task:
                self.watch.begin(process.pid)
            self._link.send(("run", task.id, *task.request) if task else ("warm",))
        except OSError as error:
            log.debug("a worker process takes no task: %s", error)
            self._crashed()

    def look(self) -> None:
        """Reports what has come, tells a task that nobody wants to stop, ends one that takes too much."""
        if self._process:
            self._listen()
        self._told = self._tell()
        self._end_overdue()

    def end(self) -> None:
        """Ends the process; the next task gets a new one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._link.close()
            self._process = self._link = None

    # -- private ----------------------------------------------------------------------------------

    def _spawn(self) -> multiprocessing.process.BaseProcess:
        context = multiprocessing.get_context("spawn")
        self._link, child_end = context.Pipe()
        process = context.Process(target=serve, args=(child_end, *self._arguments), daemon=True)
        self._process = process
        process.start()
        child_end.close()
        return process

    def _listen(self) -> None:
        try:
            while self._link.poll():
                kind, identity, *content = self._link.recv()
                if kind == "done":
                    content = [self._link.recv_bytes()]
                if self.task is not None and self.task.id == identity:
                    self.watch.heard()
                    self._report(self, kind, content)
        except (EOFError, OSError):
            self._crashed()
            return
        if self._process and not self._process.is_alive():
            self._crashed()

    def _tell(self) -> Task | None:
        """Tells the child once that its task is not wanted any more; ends it when it does not listen."""
        task = self.task
        if task is None or task.cancelled_at is None:
            return None
        if self._told is not task:
            try:
                self._link.send(("cancel", task.id))
            except OSError:
                self._crashed()
        elif time.monotonic() - task.cancelled_at > self._grace:
            log.info("a cancelled computation did not stop within %g s; its process is ended", self._grace)
            self.end()
            self._report(self, "cancelled", [])
            return None
        return task

    def _end_overdue(self) -> None:
        """Ends the child whose task takes longer than it may, and tells those who wait for it."""
        task = self.task
        if task and (reason := self.watch.reason()):
            log.warning("%s of %s is ended. %s", task.request[1], task.request[0], reason)
            self.end()
            self._report(self, "error", [reason])

    def _crashed(self) -> None:
        process = self._process
        if process is None:  # no memory, or too many processes or open files
            message = "The worker process could not be started; the server's log says why. Ask again later."
        else:
            process.join(timeout=5)
            code = process.exitcode
            message = f"The worker process ended unexpectedly (exit code {code}); ask again to restart it."
        log.warning(message)
        self.end()
        if self.task:
            self._report(self, "error", [message])
