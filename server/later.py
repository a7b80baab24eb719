"""What takes seconds the first time is computed beside the event loop, and shown when it is there."""

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable

PATIENCE = 10.0  # s that the end of the process waits for what is still being computed

log = logging.getLogger(__name__)
_begun: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def beside(work: Callable[[], object], name: str) -> threading.Thread:
    """Begins work() in a thread of its own. The end of the process waits `PATIENCE` seconds for it: a thread
    that Python takes down inside a C++ library (say, in its import) would abort the whole process."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    _begun.add(thread)
    thread.start()
    return thread


def later(context, compute: Callable, done: Callable, failed: Callable[[str], None]) -> None:
    """Calls done(compute()), or failed(why), in the session's event loop; compute() runs in a thread of its
    own. Nothing is called when the session has gone meanwhile."""

    def work():
        try:
            result, call = compute(), done
        except Exception as error:
            log.exception("%s failed", compute)
            result, call = f"{type(error).__name__}: {error}", failed
        context.mail.post(lambda: call(result))

    beside(work, "gdlab later")


@atexit.register
def _wait() -> None:
    end = time.monotonic() + PATIENCE
    for thread in tuple(_begun):
        thread.join(max(end - time.monotonic(), 0.0))
