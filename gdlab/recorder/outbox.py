"""What a loop has handed over and the device has not computed yet, in order."""

from collections import deque

from gdlab.recorder.handing import Written, handed, is_ready
from gdlab.recorder.pen import Pen

WAITING = 256  # calls whose numbers may still be on the device; with more, the oldest is waited for


class Outbox:
    """Calls of `write` on their way to the thread that writes."""

    def __init__(self):
        self._waiting: deque[Written] = deque()
        self._new: list = []

    def put(self, written: Written) -> None:
        """Behind what waits already."""
        self._waiting.append(written)
        self._new += written.commands

    def hand_on(self, pen: Pen, everything: bool = False) -> list[Exception]:
        """Gives the thread what has been computed by now, or, waiting for it, everything; the errors of calls
        that cannot be. Where too many copies wait to be written, the loop waits for them."""
        if self._new:
            pen.shelf.announce(self._new)
            self._new = []
        full = pen.shelf.full()
        errors = self._hand_on(pen, everything or full)
        if full:
            pen.shelf.wait(lambda: pen.failure is None)
        return errors

    def _hand_on(self, pen, everything):
        waiting = self._waiting
        errors: list[Exception] = []
        while waiting and (everything or len(waiting) > WAITING or is_ready(waiting[0])):
            written = waiting.popleft()
            try:
                found, wrong = handed(written)
                errors += wrong
                if found is not None:
                    pen.put(found)
            except Exception as error:  # of this call alone
                errors.append(error)
                pen.shelf.settled(written.commands)  # an iteration that is not recorded gives nothing up
                continue
            pen.carry_out(written.commands)
        return errors
