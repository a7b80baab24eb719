"""The thread that writes: a training neither waits for a disk, nor ends because one is full."""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Sequence

from gdlab import store
from gdlab.recorder import place
from gdlab.recorder.cutting import before
from gdlab.recorder.dumping import Dumping
from gdlab.recorder.keeping import Command, Measure
from gdlab.recorder.rows import SCALARS, Handed, Rows
from gdlab.recorder.saying import MOST_REASON
from gdlab.recorder.shelf import Shelf
from gdlab.store import requests
from gdlab.store.config import load_as_written
from gdlab.store.folder import add_to_identity

_STILL = 60.0  # s after which a commit is made though there is nothing new: others see that it lives


class Pen:
    """Writes one run folder from a thread of its own, from construction to `close`.

    failure: the error that ended the writing, None while all is well; stop: set where a reader asks the
    training to end; shelf: what it does with parameters.
    """

    def __init__(self, path, config, identity, *, resume: bool, every: float, asked=None, measuring=None):
        """every: seconds between commits; asked(n): called where a reader asks for n iterations; measuring:
        as
        of `Dumping`. Raises what `RunWriter.create` and `resume` raise."""
        self.path, self.every = os.fspath(path), every
        self.failure: Exception | None = None
        self.stop = threading.Event()
        self._config, self._identity = config, identity
        self._queue: queue.SimpleQueue = queue.SimpleQueue()
        self._notes: list[str] = []
        self.shelf, self._asked = Shelf(self.path, self._say), asked
        self._dumping = Dumping(measuring, self._say)
        self._seen_notes = 0
        if resume and place.begun(self.path):
            self._config = load_as_written(self.path) if config is None else config
            self._resume(None)
        else:
            self._writer = store.RunWriter.create(
                self.path, config=config, identity=identity, arrays={"scalars": SCALARS}
            )
            self._rows = Rows(self._writer, None)
        requests.answered(self.path, requests.STOP)  # which meant an earlier session
        self.before = _seconds(store.open_run(self.path))
        self.last = self._rows.last
        self._thread = threading.Thread(target=self._work, name=f"gdlab {self.path}", daemon=True)
        self._thread.start()

    def put(self, handed: Handed) -> None:
        """To be written soon."""
        self._queue.put(handed)

    def carry_out(self, commands: Sequence[Command]) -> None:
        """To be done behind what was put before; `shelf.announce` has been told of them."""
        for command in commands:
            self._queue.put(command)

    def tell(self, facts: dict) -> None:
        """To be added to what the run's identity says."""
        self._queue.put(facts)

    def new_notes(self) -> list[str]:
        """What there is to say that was not yet asked for."""
        found = self._notes[self._seen_notes :]
        self._seen_notes += len(found)
        return found

    def close(self, state: str, reason: str | None) -> None:
        """Writes what waits, with the state of the run, and ends the thread."""
        self._queue.put((state, reason))
        self._thread.join()

    def _work(self):
        committed, waiting = time.monotonic(), False
        try:
            while True:
                handed = None  # a copy of parameters is held no longer than until it is written
                handed = self._next()
                if isinstance(handed, Handed):
                    self._take(handed)
                    waiting = True
                elif isinstance(handed, Command):
                    self._carry_out(handed)
                    waiting = True
                elif isinstance(handed, dict):
                    add_to_identity(self.path, handed)
                elif handed is not None:
                    self._end(*handed)
                    return
                if time.monotonic() - committed > (self.every if waiting else _STILL):
                    self._commit()
                    committed, waiting = time.monotonic(), False
        except Exception as error:
            self._give_up(error)

    def _next(self):
        try:
            return self._queue.get(timeout=self.every)
        except queue.Empty:
            return None

    def _take(self, handed):
        if not self._rows.can_take(handed):
            self._cut(handed.step)
        self._rows.add(handed)

    def _carry_out(self, command):
        self.shelf.carry_out(command)
        if isinstance(command, Measure):
            self._dumping.take(command, self._writer, self.path)

    def _commit(self):
        if self._asked is not None and (count := self.shelf.asked()):
            self._asked(count)
        if requests.stop_taken(self.path):
            self.stop.set()
        self._rows.flush()
        for note in self._rows.notes:
            self._say(note)
        self._writer.commit(**({"notes": " · ".join(self._notes)} if self._notes else {}))

    def _cut(self, step):
        """The loop began again at an earlier iteration: what was recorded from there on is given up."""
        last = self._rows.last
        self._rows.complete()
        self._commit()
        self._writer.close()
        self._resume(step)
        self._say(f"iteration {step} came after {last}: what was recorded from {step} on is cut")

    def _resume(self, step):
        run = store.open_run(self.path)
        cursors = None if step is None else before(run, step)
        self._writer = store.RunWriter.resume(
            self.path, config=self._config, cursors=cursors, identity=self._identity
        )
        self._rows = Rows(self._writer, store.open_run(self.path))
        self._dumping.begin_again()

    def _end(self, state, reason):
        self._rows.complete()
        self._commit()
        self._writer.set_status(state, reason)
        self._writer.close()

    def _give_up(self, error):
        why = f"the recorder stopped: {type(error).__name__}: {error}"
        with contextlib.suppress(Exception):  # the first error is the one to tell
            self._writer.set_status("failed", why[:MOST_REASON])
        with contextlib.suppress(Exception):  # says so in the space that is kept for it, and ends the lease
            self._writer.close()
        self.failure = error  # last: whoever sees it may use the folder again

    def _say(self, note):
        if note not in self._notes:
            self._notes.append(note)


def _seconds(run):
    """When the latest iteration of a Run was recorded, since its beginning."""
    last = run.rows("scalars") - 1
    return float(run.array("scalars", last)[0, run.columns("scalars").index("seconds")]) if last >= 0 else 0.0
