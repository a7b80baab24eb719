"""The one way from a thread to a session's page: its mailbox.

A document belongs to the event loop. Bokeh's own `add_next_tick_callback`, called from a thread, puts the
document for a moment on a stack of the whole process, and a session that begins just then fills that
document instead of its own. So a thread calls `add_callback` of the loop and nothing else; the loop takes
the document's lock and runs the mail under it. No other module of the server does either
(`tests/server/test_mailbox.py`).
"""

import logging
from collections import deque
from collections.abc import Callable

from tornado.ioloop import IOLoop

from server.core.faults import logged

log = logging.getLogger(__name__)


class Mailbox:
    """One session's mail; made in the event loop, where its document's session begins.

    closed: the session has gone. Without a server (a document of a test) the mail waits for `deliver`.
    """

    def __init__(self, doc):
        self.closed = False
        self._session = doc.session_context
        self._loop = IOLoop.current() if self._session is not None else None
        self._waiting: deque[Callable[[], object]] = deque()

    def post(self, mail: Callable[[], object]) -> None:
        """Lets the event loop call mail() under the document's lock, in the order of posting; not at all
        when the session has gone. From any thread; never waits."""
        loop = self._loop
        self._waiting.append(mail)
        if loop is not None:
            loop.add_callback(self._arrive)

    @property
    def waiting(self) -> int:
        """How many mails have not been delivered yet."""
        return len(self._waiting)

    def deliver(self) -> bool:
        """Runs the oldest mail, in the event loop; whether there was any. What it raises is logged."""
        if not self._waiting:
            return False
        try:
            self._waiting.popleft()()
        except Exception as error:
            logged(log, "what a thread had for the page failed", error)
        return True

    def close(self) -> None:
        """The session is gone: what was posted and what will be is dropped."""
        self.closed, self._session, self._loop = True, None, None
        self._waiting = deque(maxlen=0)

    # -- private ----------------------------------------------------------------------------------

    async def _arrive(self) -> None:
        if self._session is not None and self._waiting:
            await self._session.with_locked_document(self._locked)

    async def _locked(self, doc) -> None:
        self.deliver()
