"""What is said of an error: one line where a run folder or the disk is its cause, all of it where we are."""

import logging

from gdlab.store import StoreError


class Refused(ValueError):
    """What a reader asked for cannot be done; says why in words for the reader."""


CAUSED_ELSEWHERE = (StoreError, OSError, Refused)


def logged(log: logging.Logger, what: str, error: Exception) -> str:
    """The words for the reader; the log gets a line of them, or the traceback where the fault is ours."""
    if isinstance(error, CAUSED_ELSEWHERE):
        log.warning("%s: %s", what, error)
        return str(error)
    log.error("%s", what, exc_info=error)
    return f"{type(error).__name__}: {error}"
