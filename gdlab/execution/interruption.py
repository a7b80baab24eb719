"""What ends a long computation: it ends where nothing is lost, at a second signal at once.

Ctrl-C, SIGTERM, a terminal that closes (SIGHUP), and a scheduler's warning (SIGUSR1). What was inherited as
ignored stays ignored, as `nohup` and a script's background want it, but for SIGTERM, which schedulers send.
SIGUSR1 belongs to whoever has a handler for it, as submitit has.
"""

import signal
import threading
from functools import partial

ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


def handled():
    """Numbers of the signals of ENDING that end a computation of this process."""
    numbers = [getattr(signal, name, None) for name in ENDING]
    return [number for number in numbers if number is not None and _is_ours(number)]


class interruptible:
    """The signals of `handled` set the event that `with` gives; the second one ends the program at once."""

    def __enter__(self):
        self.stop = threading.Event()
        self.previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in handled():
                self.previous[number] = signal.signal(number, partial(self._ask, self.previous))
        return self.stop

    def __exit__(self, *exception):
        for number, handler in self.previous.items():
            signal.signal(number, _settable(handler))

    def _ask(self, previous, number, frame):
        del frame
        self.stop.set()
        signal.signal(number, _settable(previous[number]))


def _is_ours(number):
    former = signal.getsignal(number)
    if number == signal.SIGTERM:
        return True
    if number == getattr(signal, "SIGUSR1", None):
        return former is signal.SIG_DFL
    return former is not signal.SIG_IGN


def _settable(handler):
    """A former handler; one that was not set by Python cannot be put back, the default can."""
    return signal.SIG_DFL if handler is None else handler
