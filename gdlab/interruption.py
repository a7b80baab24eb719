"""Ctrl-C while a long computation runs: it ends where nothing is lost, the second time at once."""

import signal
import threading
from functools import partial


class interruptible:
    """Ctrl-C and SIGTERM set the event that `with` gives; a second Ctrl-C ends the program at once."""

    def __enter__(self):
        self.stop = threading.Event()
        self.previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous[number] = signal.signal(number, partial(self._ask, self.previous))
        return self.stop

    def __exit__(self, *exception):
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _ask(self, previous, number, frame):
        del frame
        self.stop.set()
        signal.signal(number, previous[number])
