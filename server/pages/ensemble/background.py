"""Work that would hold the page runs in threads of the server; of each kind the newest question counts.

NumPy, SciPy and scikit-learn leave the interpreter to others while they compute; what they need no
parameters for does not go to the worker, which reads one run at a time.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gdlab.store import StoreError
from server.core.mailbox import Mailbox

log = logging.getLogger(__name__)

_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="gdlab ensemble")


class Superseded(Exception):
    """Nobody waits for this work any more; raised by the `progress` that it is given."""


class Background:
    """ask(): computes in a thread and delivers into the session's event loop."""

    def __init__(self, mail: Mailbox):
        self._mail = mail
        self._turn: dict[str, int] = {}

    def ask(
        self,
        what: str,
        compute: Callable,
        done: Callable,
        failed: Callable[[str], None],
        progress: Callable[[float, str], None] = lambda share, words: None,
    ) -> None:
        """Calls done(compute(progress)) unless something else of the kind `what` was asked for meanwhile.

        compute may call progress(share in [0, 1], words), which ends it where it is not wanted any more.
        failed(message): it raised; what is no ValueError, OSError or StoreError is logged, too.
        """
        turn = self._turn[what] = self._turn.get(what, 0) + 1

        def report(share: float, words: str) -> None:
            if self._turn[what] != turn or self._mail.closed:
                raise Superseded
            if words:
                self._deliver(what, turn, progress, share, words)

        def work() -> None:
            try:
                report(0.0, "")
                found = compute(report)
            except Superseded:
                return
            except Exception as error:
                known = isinstance(error, (ValueError, OSError, StoreError))
                if not known:
                    log.exception("%s failed", what)
                self._deliver(what, turn, failed, str(error) if known else f"{type(error).__name__}: {error}")
                return
            self._deliver(what, turn, done, found)

        _pool.submit(work)

    def cancel(self, what: str) -> None:
        """What was asked for is not wanted any more."""
        self._turn[what] = self._turn.get(what, 0) + 1

    def _deliver(self, what: str, turn: int, callback: Callable, *args) -> None:
        def arrive() -> None:
            if self._turn[what] == turn:
                callback(*args)

        self._mail.post(arrive)
