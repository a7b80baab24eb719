"""A card's question to the background: shown as progress, taken up when the answer is there."""

from collections.abc import Callable

from server import card


class Question:
    """progress: to be placed in the card. ask(key, compute): unless `key` was what was asked for last."""

    def __init__(self, shared, what: str, show: Callable, caption: Callable[[str], None]):
        self.shared, self.what, self.show, self.caption = shared, what, show, caption
        self.progress = card.Progress(shared.context, self.cancel, name=f"{what}_progress")
        self._key: object = None

    def ask(self, key, compute: Callable) -> None:
        """compute(progress) in a thread, its result to `show`."""
        if key == self._key:
            return
        self._key = key
        self.shared.background.ask(self.what, compute, self._take, self._failed, self.progress.show)

    def drop(self) -> None:
        """Nothing is asked for any more."""
        self._key = None
        self.shared.background.cancel(self.what)
        self.progress.done()

    def cancel(self) -> None:
        """The reader pressed "Cancel": what was there before stays."""
        self.drop()
        self.caption("Cancelled: what is shown is older. Choose again to go on.")

    def _take(self, found) -> None:
        self.progress.done()
        self.show(found)

    def _failed(self, message: str) -> None:
        self._key = None
        self.progress.failed(message[:1].upper() + message[1:])
