"""What needs the model's parameters is computed in one other process, so that the page never waits.

The child process imports JAX at its first job and lives as long as the server. A thread here feeds
it: the newest request first, one at a time, since a reader looks at what was asked for last. Equal
requests of several sessions become one task. A cancelled task stops at its next report of
progress; a child that does not listen is ended, as is one that crashed, and the next task gets a
new one.
"""

import itertools
import json
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from gdlab.records import Table
from server.limits import UNLIMITED, Watch
from server.mailbox import Mailbox
from server.runs_cache import which
from server.worker_child import serve

log = logging.getLogger(__name__)

TARGET = "gdlab.experiment:run_probe"
GRACE = 15.0  # s until a cancelled task that reports no progress costs the child its life


class Job:
    """One listener's share in a task; no callback is called after `cancel()` has returned."""

    def __init__(self, on_progress, on_done, on_error, cancel: Callable[["Job"], None]):
        self.on_progress, self.on_done, self.on_error = on_progress, on_done, on_error
        self.cancelled = False
        self._cancel = cancel

    def cancel(self) -> None:
        """Gives up; the computation stops unless another listener wants it."""
        if not self.cancelled:
            self.cancelled = True
            self._cancel(self)


class _Task:
    ids = itertools.count()

    def __init__(self, key: str, request: tuple):
        self.id, self.key, self.request = next(self.ids), key, request
        self.jobs: list[Job] = []
        self.cancelled_at: float | None = None


class Worker:
    """The server's one worker. target: "module:function", called in the child as
    `function(run_path, probe, options, progress, **given) -> Table`; `progress(fraction, text)` raises there
    when the task is cancelled. given: what the server allows its jobs, such as the places of their data;
    limits: what a job may use."""

    def __init__(
        self, target: str | Callable = TARGET, *, grace=GRACE, given: dict | None = None, limits=UNLIMITED
    ):
        self._target, self._grace, self._given, self._limits = target, grace, given or {}, limits
        self._watch = Watch(limits)
        self._lock = threading.Lock()
        self._waiting: list[_Task] = []
        self._running: _Task | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._link: Any = None  # a Connection while there is a child
        self._thread: threading.Thread | None = None
        self._woken, self._wake = multiprocessing.Pipe(duplex=False)
        self._stopped = False
        self._warm = False

    def submit(self, run_path, probe: str, options: dict, *, on_progress, on_done, on_error) -> Job:
        """Asks for a Table; the callbacks are called from the worker's thread.

        on_progress(fraction in [0, 1], text); then either on_done(Table) or on_error(message), unless
        the job was cancelled. options: whatever JSON can hold.
        """
        key = json.dumps([str(run_path), which(run_path), probe, options], sort_keys=True)
        job = Job(on_progress, on_done, on_error, self._cancel)
        with self._lock:
            tasks = [*self._waiting, *([self._running] if self._running else [])]
            task = next((t for t in tasks if t.key == key and t.cancelled_at is None), None)
            if task is None:
                task = _Task(key, (str(run_path), probe, options))
            if task is not self._running:
                self._waiting = [t for t in self._waiting if t is not task] + [task]
            task.jobs.append(job)
            self._start()
        return job

    def warm(self) -> None:
        """Starts the child and its imports, so that the first job need not wait for them."""
        with self._lock:
            self._warm = True
            self._start()

    def stop(self) -> None:
        """Ends the child; jobs that are left are dropped."""
        with self._lock:
            self._stopped, self._waiting = True, []
            thread = self._thread
            if thread:
                self._wake.send(None)
        if thread:
            thread.join()

    # -- in the caller's thread -------------------------------------------------------------------

    def _start(self) -> None:
        if self._stopped:
            raise RuntimeError("the worker has been stopped")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gdlab worker", daemon=True)
            self._thread.start()
        self._wake.send(None)

    def _cancel(self, job: Job) -> None:
        with self._lock:
            for task in [*self._waiting, *([self._running] if self._running else [])]:
                if job in task.jobs:
                    task.jobs.remove(job)
                    if not task.jobs:
                        task.cancelled_at = time.monotonic()
            self._waiting = [task for task in self._waiting if task.jobs]
            if not self._stopped:
                self._wake.send(None)

    # -- in the worker's thread -------------------------------------------------------------------

    def _run(self) -> None:
        told = None  # the running task that has been told to stop
        while not self._stopped:
            sources = [self._woken] + ([self._link, self._process.sentinel] if self._process else [])
            wait(sources, timeout=0.2 if told else 1.0 if self._running else None)
            while self._woken.poll():
                self._woken.recv()
            if self._process:
                self._listen()
            told = self._tell(told)
            self._end_overdue()
            self._next()
        self._end()

    def _next(self) -> None:
        """Hands the newest waiting task to the child when it is idle, or just wakes the child."""
        with self._lock:
            if self._running or not (self._waiting or self._warm):
                return
            task = self._running = self._waiting.pop() if self._waiting else None
            self._warm = False
        try:
            if self._process is None:
                self._spawn()
            if task:
                self._watch.begin(self._process.pid)
            self._link.send(("run", task.id, *task.request) if task else ("warm",))
        except OSError:
            self._crashed()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._link, child_end = context.Pipe()
        arguments = (child_end, self._target, self._given, self._limits)
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        child_end.close()

    def _listen(self) -> None:
        """Passes on what the child has reported."""
        try:
            while self._link.poll():
                kind, identity, *content = self._link.recv()
                self._report(kind, identity, content)
        except (EOFError, OSError):
            self._crashed()
            return
        if not self._process.is_alive():
            self._crashed()

    def _report(self, kind: str, identity: int, content: list) -> None:
        with self._lock:
            task = self._running
            if task is None or task.id != identity:
                return
            jobs = list(task.jobs)
            self._watch.heard()
            if kind != "progress":
                self._running = None
        if kind in ("progress", "done", "error"):
            for job in jobs:
                _call(job, getattr(job, f"on_{kind}"), *content)

    def _tell(self, told: _Task | None) -> _Task | None:
        """Tells the child once that its task is not wanted any more; ends it when it does not listen."""
        task = self._running
        if task is None or task.cancelled_at is None:
            return None
        if told is not task:
            try:
                self._link.send(("cancel", task.id))
            except OSError:
                self._crashed()
        elif time.monotonic() - task.cancelled_at > self._grace:
            log.info("a cancelled computation did not stop within %g s; its process is ended", self._grace)
            self._end()
            with self._lock:
                self._running = None
            return None
        return task

    def _end_overdue(self) -> None:
        """Ends the child whose task takes longer than it may, and tells those who wait for it."""
        task = self._running
        if task and (reason := self._watch.reason()):
            log.warning("%s of %s is ended. %s", task.request[1], task.request[0], reason)
            self._end()
            self._report("error", task.id, [reason])

    def _crashed(self) -> None:
        process = self._process
        process.join(timeout=5)
        message = (
            f"The worker process ended unexpectedly (exit code {process.exitcode}); ask again to restart it."
        )
        log.warning(message)
        self._end()
        if self._running:
            self._report("error", self._running.id, [message])

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._link.close()
            self._process = self._link = None


class SessionWorker:
    """The worker as one session sees it: callbacks arrive in its event loop, by its mailbox."""

    def __init__(self, worker: Worker, mail: Mailbox):
        self._worker, self._mail = worker, mail
        self._jobs: list[Job] = []

    def submit(
        self,
        run_path: str | os.PathLike,
        probe: str,
        options: dict,
        *,
        on_progress: Callable[[float, str], None] = lambda fraction, text: None,
        on_done: Callable[[Table], None],
        on_error: Callable[[str], None],
    ) -> Job:
        """As `Worker.submit`; nothing arrives after `Job.cancel()`, or when the session is gone."""
        box: list[Job] = []  # the job is known only after submit, its callbacks may come before

        def deliver(callback, *args):
            def arrive():
                if not box[0].cancelled:
                    callback(*args)

            self._mail.post(arrive)

        on = {"on_progress": on_progress, "on_done": on_done, "on_error": on_error}
        job = self._worker.submit(
            run_path, probe, options, **{key: partial(deliver, call) for key, call in on.items()}
        )
        box.append(job)
        self._jobs = [*[old for old in self._jobs if not old.cancelled][-64:], job]
        return job

    def warm(self) -> None:
        """Starts the worker ahead of the first job."""
        self._worker.warm()

    def close(self) -> None:
        """The session is gone: gives up what it asked for."""
        for job in self._jobs:
            job.cancel()


def _call(job: Job, callback, *args) -> None:
    if job.cancelled:
        return
    try:
        callback(*args)
    except Exception:
        log.exception("a listener of the worker failed")
