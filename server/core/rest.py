"""A reader who moves on is not answered at every step: what counts is where a gesture comes to rest."""

from collections.abc import Callable


class Rest:
    """Calls act() once, `ms` after the last `begin`; after the first where `steady`, so that a gesture
    without end is followed, too."""

    def __init__(self, context, ms: int, act: Callable[[], object], *, steady: bool = False):
        self._doc, self._ms, self._act, self._steady = context.doc, ms, act, steady
        self._timer = None

    @property
    def waiting(self) -> bool:
        """Whether act() is still to be called."""
        return self._timer is not None

    def begin(self) -> None:
        """The reader has done something."""
        if self._steady and self.waiting:
            return
        self.stop()
        self._timer = self._doc.add_timeout_callback(self._rested, self._ms)

    def stop(self) -> None:
        """It has been answered otherwise, or is not wanted any more."""
        if self._timer is not None:
            self._doc.remove_timeout_callback(self._timer)
            self._timer = None

    def _rested(self) -> None:
        self._timer = None
        self._act()
