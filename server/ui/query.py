"""One question that a card asks of the worker or of a thread, and what becomes of it.

Whatever a card asks goes through a `Query`: the newest question counts, in whatever order answers come;
what failed can be asked again; what is shown is known to be older than what was asked for.
"""

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from bokeh.models import LayoutDOM

from gdlab.records import Table
from server.core.faults import logged
from server.core.threads import Computation
from server.ui import card

log = logging.getLogger(__name__)

CANCELLED = "Cancelled: what is shown is older. Choose again to go on."
CANCELLED_FIRST = "Cancelled. Choose again to go on."
NOTHING = "There is nothing to show."
OLDER = "There is no answer to what was chosen last; what is shown, if anything, is older."
UNREADABLE = "What was computed cannot be shown ({}); the server's log says more."


def _nothing(*args) -> None:
    pass


class Query:
    """show(answer): the answer to the question that was asked last; failed(why), cancelled(): there is none.

    name: the models of `progress` are called NAME_progress and so on; None: no progress is shown.
    progressed(share in [0, 1], words): is told instead of `progress`. All are called in the session's event
    loop.

    key: of the question that stands, which waits or is answered; None after a failure or a cancellation, so
    that the same may be asked again. answer: what is shown, None before the first; answered: its key.
    """

    def __init__(
        self,
        context,
        show: Callable[[Any], None],
        *,
        name: str | None = None,
        failed: Callable[[str], None] = _nothing,
        cancelled: Callable[[], None] = _nothing,
        progressed: Callable[[float, str], None] | None = None,
    ):
        self.context, self._show, self._failed, self._cancelled = context, show, failed, cancelled
        self._bar = card.Progress(context, self.cancel, name=f"{name}_progress") if name else None
        self._progressed = progressed or self._show_progress
        self.key: object = None
        self.answer: Any = None
        self.answered: object = None
        self.failure: str | None = None
        self._turn: object | None = None  # of the question that waits for its answer
        self._job: Any = None

    @property
    def progress(self) -> card.Progress:
        """What shows how far it is, to be placed in the card; only of a query that was given a name."""
        if self._bar is None:
            raise ValueError("a Query that is given no name shows no progress")
        return self._bar

    @property
    def waiting(self) -> bool:
        """Whether a question has been asked and not been answered yet."""
        return self._turn is not None

    @property
    def stale(self) -> bool:
        """Whether what is shown answers another question than the one that was asked last."""
        return self.answer is not None and self.answered != self.key

    # -- asking -----------------------------------------------------------------------------------

    def probe(self, run, probe: str, options: dict, words: str = "") -> bool:
        """Asks the worker for a probe of a run as it is recorded now; see `ask`."""
        key = (str(run.path), run.key, probe, json.dumps(options, sort_keys=True))
        words = words or probe.replace("_", " ").capitalize()
        return self.ask(key, partial(self.context.worker.submit, run.path, probe, options), words)

    def compute(self, key, compute: Callable[..., Any], words: str = "") -> bool:
        """Lets a thread call compute(), or compute(progress) where it takes that; see `ask`, and
        `server.core.threads.Computation`."""
        return self.ask(key, partial(Computation, self.context.mail, compute), words)

    def ask(self, key, begin: Callable, words: str = "") -> bool:
        """Asks, unless this question stands already; drops the one before. Whether it was asked.

        begin(on_progress=, on_done=, on_error=): starts the work; what it returns may have a `cancel`.
        words: what is computed, for the progress bar.
        """
        if key is not None and key == self.key:
            return False
        self.drop()
        turn = self._turn = object()
        self.key, self.failure = key, None
        self._progressed(0.0, words)

        def mine(receive: Callable) -> Callable:
            return lambda *found: receive(*found) if turn is self._turn else None

        job = begin(
            on_progress=mine(self._progressed),
            on_done=mine(self._arrived),
            on_error=mine(self._fail),
        )
        if turn is self._turn:
            self._job = job
        return True

    def cancel(self) -> None:
        """The reader gives the question up: what was there before stays."""
        self.drop()
        self._cancelled()

    def drop(self) -> None:
        """Nothing is asked for any more: an answer that is still to come is not shown."""
        job, self._job, waiting = self._job, None, self.waiting
        self._turn = None
        if waiting:
            self.key = None
        if self._bar:
            self._bar.done()
        if job is not None and hasattr(job, "cancel"):
            job.cancel()

    def forget(self) -> None:
        """Drops the question and its answer."""
        self.drop()
        self.key = self.answer = self.answered = self.failure = None

    # -- what comes -------------------------------------------------------------------------------

    def _arrived(self, answer) -> None:
        self._turn = self._job = None
        self.answer, self.answered = answer, self.key
        if self._bar:
            self._bar.done(answer if isinstance(answer, Table) else None)
        try:
            self._show(answer)
        except Exception as error:  # the card says so instead of showing half of two answers
            self._fail(UNREADABLE.format(logged(log, "an answer could not be shown", error)))

    def _fail(self, why: str) -> None:
        self._turn = self._job = self.key = self.answer = self.answered = None
        self.failure = why
        if self._bar:
            self._bar.failed(_sentence(why))
        self._failed(why)

    def _show_progress(self, share: float, words: str) -> None:
        if self._bar:
            self._bar.show(share, _sentence(words))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


class CardQuery(Query):
    """A Query whose card says in its caption what became of a question that has no answer.

    layouts: are hidden as long as there is nothing to show in them.
    """

    def __init__(self, context, show: Callable[[Any], None], caption: Callable[[str], None], *, name: str):
        super().__init__(
            context, self._revealed, name=name, failed=self._has_failed, cancelled=self._was_cancelled
        )
        self._draw, self._caption = show, caption
        self.layouts: list[LayoutDOM] = []

    def rows(self) -> Table:
        """The Table that is shown, for CSV."""
        return self.answer or Table({}, {}, {})

    def _revealed(self, answer) -> None:
        self._reveal(True)
        self._draw(answer)

    def _has_failed(self, why: str) -> None:
        self._reveal(False)
        self._caption(NOTHING if self.layouts else OLDER)

    def _was_cancelled(self) -> None:
        self._caption(CANCELLED if self.answer is not None else CANCELLED_FIRST)

    def _reveal(self, visible: bool) -> None:
        for layout in self.layouts:
            layout.visible = visible
