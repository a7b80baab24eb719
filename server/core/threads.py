"""What takes seconds the first time is computed beside the event loop, and shown when it is there."""

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable

from server.core.faults import logged

PATIENCE = 10.0  # s that the end of the process waits for what is still being computed

log = logging.getLogger(__name__)
_begun: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_ending = threading.Event()


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


@atexit.register
def wait() -> None:
    """Waits, `PATIENCE` seconds at the most, for what was begun `in_thread`; the process is to end."""
    _ending.set()
    end = time.monotonic() + PATIENCE
    for thread in tuple(_begun):
        thread.join(max(end - time.monotonic(), 0.0))
