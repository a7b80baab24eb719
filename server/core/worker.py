"""What needs the model's parameters is computed in another process, so that the page never waits.

The process imports JAX at its first job and lives as long as the server; there may be several, which share
one queue. A thread here feeds them, and whose job is next `server.core.turns` says: readers take turns, and
of each the newest request comes first, since a reader looks at what was asked for last. Equal
requests of several sessions become one task. A cancelled task stops at its next report of
progress; a process that does not listen is ended, as is one that crashed, and the next task gets a
new one.
"""

import itertools
import json
import logging
import multiprocessing
import os
import pickle
import threading
import time
from collections.abc import Callable, Hashable
from functools import partial
from multiprocessing.connection import wait
from typing import Any, Protocol

from gdlab.records import Table
from server.core.limits import UNLIMITED
from server.core.mailbox import Mailbox
from server.core.runs_cache import which
from server.core.turns import Turns
from server.core.worker_process import Task, WorkerProcess

log = logging.getLogger(__name__)

TARGET = "gdlab.experiment:run_probe"
GRACE = 15.0  # s until a cancelled task that reports no progress costs its process its life


class Job:
    """One listener's share in a task; no callback is called after `cancel()` has returned. reader: whose."""

    def __init__(
        self, on_progress, on_done, on_error, cancel: Callable[["Job"], None], reader: Hashable = None
    ):
        self.on_progress, self.on_done, self.on_error = on_progress, on_done, on_error
        self.reader = reader
        self.cancelled = False
        self._cancel = cancel

    def cancel(self) -> None:
        """Gives up; the computation stops unless another listener wants it."""
        if not self.cancelled:
            self.cancelled = True
            self._cancel(self)

    def tell(self, kind: str, *content) -> None:
        """Calls the listener's on_progress, on_done or on_error, unless it has given up."""
        if self.cancelled:
            return
        try:
            getattr(self, f"on_{kind}")(*content)
        except Exception:
            log.exception("a listener of the worker failed")


class Asked(Protocol):
    """Whoever takes the jobs of sessions: a `Worker`, or what stands for one in another process."""

    def submit(
        self, run_path, probe: str, options: dict, *, reader: Hashable = None, on_progress, on_done, on_error
    ) -> Job:
        """See `Worker.submit`."""

    def warm(self) -> None:
        """See `Worker.warm`."""

    def stop(self) -> None:
        """See `Worker.stop`."""


class Worker:
    """The server's worker. target: "module:function", called in a process of its own as
    `function(run_path, probe, options, progress, **given) -> Table`; `progress(fraction, text)` raises there
    when the task is cancelled. size: how many jobs run at once; given: what the server allows its jobs, such
    as the places of their data; limits: what a job may use; read: makes of the bytes of a pickled Table what
    is handed on. stopped: it takes no more jobs."""

    def __init__(
        self,
        target: str | Callable = TARGET,
        *,
        size: int = 1,
        grace=GRACE,
        given: dict | None = None,
        limits=UNLIMITED,
        read: Callable[[bytes], Any] = pickle.loads,
    ):
        self._processes = [
            WorkerProcess(target, given or {}, limits, grace, self._report) for _ in range(size)
        ]
        self._read = read
        self._lock = threading.Lock()
        self._turns: Turns[Task] = Turns()
        self._thread: threading.Thread | None = None
        self._woken, self._wake = multiprocessing.Pipe(duplex=False)
        self.stopped = False
        self._warm = False

    def submit(
        self, run_path, probe: str, options: dict, *, reader: Hashable = None, on_progress, on_done, on_error
    ) -> Job:
        """Asks for a Table; the callbacks are called from the worker's thread.

        on_progress(fraction in [0, 1], text); then either on_done(Table) or on_error(message), unless
        the job was cancelled. options: whatever JSON can hold. reader: who asks; readers take turns.
        """
        key = json.dumps([str(run_path), which(run_path), probe, options], sort_keys=True)
        job = Job(on_progress, on_done, on_error, self._cancel, reader)
        with self._lock:
            running = self._running()
            known = (*self._turns, *running)
            task = next((t for t in known if t.key == key and t.cancelled_at is None), None)
            if task is None:
                task = Task(key, (str(run_path), probe, options))
            if task not in running:
                self._turns.put(reader, task)
            task.jobs.append(job)
            self._start()
        return job

    def warm(self) -> None:
        """Starts a process and its imports, so that the first job need not wait for them."""
        with self._lock:
            self._warm = True
            self._start()

    def stop(self) -> None:
        """Ends the processes; jobs that are left are dropped."""
        with self._lock:
            self.stopped, self._turns = True, Turns()
            thread = self._thread
            if thread:
                self._wake.send(None)
        if thread:
            thread.join()

    # -- in the caller's thread -------------------------------------------------------------------

    def _running(self) -> list[Task]:
        return [process.task for process in self._processes if process.task]

    def _start(self) -> None:
        if self.stopped:
            raise RuntimeError("the worker has been stopped")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gdlab worker", daemon=True)
            self._thread.start()
        self._wake.send(None)

    def _cancel(self, job: Job) -> None:
        with self._lock:
            for task in (*self._turns, *self._running()):
                if job in task.jobs:
                    task.jobs.remove(job)
                    if not any(other.reader == job.reader for other in task.jobs):
                        self._turns.drop(task, job.reader)
                    if not task.jobs:
                        task.cancelled_at = time.monotonic()
            if not self.stopped:
                self._wake.send(None)

    # -- in the worker's thread -------------------------------------------------------------------

    def _run(self) -> None:
        while not self.stopped:
            sources = [self._woken, *(source for process in self._processes for source in process.sources)]
            patience = [p.patience for p in self._processes if p.patience is not None]
            wait(sources, timeout=min(patience, default=None))
            while self._woken.poll():
                self._woken.recv()
            for process in self._processes:
                process.look()
            while self._next():
                pass
        for process in self._processes:
            process.end()

    def _next(self) -> bool:
        """Hands the next task to a process that is idle, or just wakes it; whether there was anything."""
        with self._lock:
            idle = sorted((p for p in self._processes if not p.task), key=lambda process: not process.runs)
            if not idle:
                return False
            task = idle[0].task = self._turns.take()
            if not (task or self._warm):
                return False
            self._warm = False
        idle[0].begin(task)
        return True

    def _report(self, process: WorkerProcess, kind: str, content: list) -> None:
        with self._lock:
            task = process.task
            if task is None:
                return
            jobs = list(task.jobs)
            if kind != "progress":
                process.task = None
                self._turns.done(task)
        if kind == "done" and jobs:
            content = [self._read(content[0])]
        if kind != "cancelled":
            for job in jobs:
                job.tell(kind, *content)


class SessionWorker:
    """The worker as one session sees it: callbacks arrive in its event loop, by its mailbox."""

    readers = itertools.count()

    def __init__(self, worker: Asked, mail: Mailbox):
        self._worker, self._mail = worker, mail
        self._reader = next(self.readers)
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
            run_path,
            probe,
            options,
            reader=self._reader,
            **{key: partial(deliver, call) for key, call in on.items()},
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
