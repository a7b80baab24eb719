"""A card's question to the background: shown as progress, taken up when the answer is there."""

from collections.abc import Callable
from functools import partial

from server.ui.query import Query

CANCELLED = "Cancelled: what is shown is older. Choose again to go on."
FAILED = "There is no answer to what was chosen last; what is shown, if anything, is older."


class Question:
    """progress: to be placed in the card. ask(key, compute): unless `key` was what was asked for last."""

    def __init__(self, shared, what: str, show: Callable, caption: Callable[[str], None]):
        self.shared, self.what = shared, what
        self.query = Query(
            shared.context, show, name=what, failed=lambda why: caption(FAILED),
            cancelled=lambda: caption(CANCELLED),
        )  # fmt: skip
        self.progress = self.query.progress

    def ask(self, key, compute: Callable) -> None:
        """compute(progress) in a thread, its result to `show`."""
        self.query.ask(key, partial(self._begin, compute))

    def drop(self) -> None:
        """Nothing is asked for any more."""
        self.query.forget()

    # -- what a Query asks of one that it has begun ------------------------------------------------

    def _begin(self, compute: Callable, *, on_progress, on_done, on_error) -> "Question":
        self.shared.background.ask(self.what, compute, on_done, on_error, on_progress)
        return self

    def cancel(self) -> None:
        """Nobody waits for the work any more."""
        self.shared.background.cancel(self.what)
