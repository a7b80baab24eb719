"""Ctrl-C waits until a change of several places is complete."""

import signal
import threading


class Uninterrupted:
    """Context manager: a SIGINT that arrives inside takes effect at the end of the block.

    Only the main thread is ever interrupted by it, so elsewhere nothing is done.
    """

    def __enter__(self):
        self._received = None
        # None: set by something else than Python, which could not be put back.
        self._former = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread():
            self._former = None
        if self._former is not None:
            signal.signal(signal.SIGINT, self._remember)

    def __exit__(self, *error):
        if self._former is None:
            return
        signal.signal(signal.SIGINT, self._former)
        if self._received and callable(self._former):
            self._former(*self._received)

    def _remember(self, *arguments):
        self._received = arguments
