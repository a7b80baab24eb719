"""The other end of `server.core.worker`: the process that imports JAX and computes.

It reads ("run", id, path, probe, options), ("cancel", id) and ("warm",) from its link and writes
("progress" | "done" | "error" | "cancelled", id, ...); after "done" come the bytes of the pickled Table, so
that whoever hands them on need not unpack them. It ends when the server does.
"""

import importlib
import logging
import math
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from server.core.limits import Limits, is_out_of_memory, restrain

REPORT_EVERY = 0.05  # s between reports of progress: more would only load the page

log = logging.getLogger(__name__)


class Cancelled(BaseException):
    """Not an Exception, so that a probe's own error handling lets it pass."""


def serve(link: Connection, target: str | Callable, given: dict[str, Any], limits: Limits) -> None:
    """Answers requests until the link closes; given, limits: as of `server.core.worker.Worker`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's business
    os.nice(5)  # the page comes first
    try:
        while True:
            message = link.recv()
            if message[0] == "run":
                answer, table = _answer(link, target, given, limits, *message[1:])
                link.send(answer)
                if table is not None:
                    link.send_bytes(table)
            elif message[0] == "warm":
                _warm(target, limits)
    except (EOFError, OSError):
        return


def _answer(
    link: Connection, target, given, limits, identity: int, path: str, probe: str, options: dict
) -> tuple[tuple, bytes | None]:
    """The message, and the pickled Table where there is one."""
    try:
        table = _function(target, limits)(path, probe, options, _reporter(link, identity), **given)
        return ("done", identity), pickle.dumps(table, protocol=5)
    except Cancelled:
        return ("cancelled", identity), None
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            log.warning("probe %r of %s failed for lack of memory: %s", probe, path, error)
            return ("error", identity, limits.too_much), None
        if isinstance(error, (ValueError, OSError)) or type(error).__module__.startswith("gdlab."):
            return ("error", identity, str(error)), None  # said in words for the reader
        log.error("probe %r of %s failed\n%s", probe, path, traceback.format_exc())
        return ("error", identity, f"{type(error).__name__}: {error}"), None


def _reporter(link: Connection, identity: int) -> Callable[[float, str], None]:
    last = -math.inf

    def progress(fraction: float, text: str = "") -> None:
        """Reports how far the work is, in [0, 1]; raises `Cancelled` when it is not wanted any more."""
        nonlocal last
        while link.poll():
            message = link.recv()
            if message == ("cancel", identity):
                raise Cancelled
        if (now := time.monotonic()) - last >= REPORT_EVERY:
            last = now
            link.send(("progress", identity, min(max(float(fraction), 0.0), 1.0), str(text)))

    return progress


def _warm(target, limits) -> None:
    try:
        _function(target, limits)
    except Exception:
        log.error("the worker could not import %s\n%s", target, traceback.format_exc())


def _function(target, limits) -> Callable:
    if not callable(target):
        module, _, name = target.partition(":")
        target = getattr(importlib.import_module(module), name)
    restrain(limits.memory)
    return target
