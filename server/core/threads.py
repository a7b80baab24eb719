"""What takes seconds the first time is computed beside the event loop, and shown when it is there."""

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from inspect import signature

from server.core.faults import logged
from server.core.mailbox import Mailbox

AT_ONCE = 2  # long computations
PATIENCE = 10.0  # s that the end of the process waits for what is still being computed

log = logging.getLogger(__name__)
_begun: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_ending = threading.Event()
_few = threading.BoundedSemaphore(AT_ONCE)


def in_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """Begins work() in a thread of its own. The end of the process waits `PATIENCE` seconds for it: a thread
    that Python takes down inside a C++ library (say, in its import) would abort the whole process."""

    def watched():
        try:
            work()
        except RuntimeError:
            if not _ending.is_set():  # where Python ends, a library may not be loadable any more
                raise

    thread = threading.Thread(target=watched, name=name, daemon=True)
    _begun.add(thread)
    thread.start()
    return thread


def run_in_thread(context, compute: Callable, done: Callable, failed: Callable[[str], None]) -> None:
    """Calls done(compute()), or failed(why), in the session's event loop; compute() runs in a thread of its
    own. Nothing is called when the session has gone meanwhile."""

    def work():
        try:
            result, call = compute(), done
        except Exception as error:
            result, call = logged(log, "what was asked for failed", error), failed
        context.mail.post(lambda: call(result))

    in_thread(work, "gdlab computes")


class Abandoned(Exception):
    """Nobody waits for this computation any more; raised by the `progress` that it is given."""


class Computation:
    """compute(), or compute(progress), in a thread; what becomes of it is told in the session's event loop.

    It may call progress(share in [0, 1], words), which ends it where it was cancelled or the session has
    gone. Of those that take it, which take long, `AT_ONCE` run at a time. on_progress(share, words); then
    on_done(what it returned) or on_error(why), unless it was cancelled.
    """

    def __init__(self, mail: Mailbox, compute: Callable, *, on_progress, on_done, on_error):
        self.cancelled = False
        self._mail, self._on = mail, (on_progress, on_done, on_error)
        self._compute, self._long = compute, bool(signature(compute).parameters)
        in_thread(self._work, "gdlab computes")

    def cancel(self) -> None:
        """Nobody waits for it: nothing more is told."""
        self.cancelled = True

    def _report(self, share: float, words: str) -> None:
        if self.cancelled or self._mail.closed:
            raise Abandoned
        self._tell(self._on[0], share, words)

    def _tell(self, told: Callable, *content) -> None:
        self._mail.post(lambda: None if self.cancelled else told(*content))

    def _work(self) -> None:
        _, on_done, on_error = self._on
        try:
            with _few if self._long else nullcontext():
                if self.cancelled:
                    return
                found = self._compute(self._report) if self._long else self._compute()
        except Abandoned:
            return
        except Exception as error:
            self._tell(on_error, logged(log, "what was asked for failed", error))
        else:
            self._tell(on_done, found)


@atexit.register
def wait() -> None:
    """Waits, `PATIENCE` seconds at the most, for what was begun `in_thread`; the process is to end."""
    _ending.set()
    end = time.monotonic() + PATIENCE
    for thread in tuple(_begun):
        thread.join(max(end - time.monotonic(), 0.0))
