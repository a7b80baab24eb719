"""What takes seconds the first time is computed beside the event loop, and shown when it is there."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


def later(context, compute: Callable, done: Callable, failed: Callable[[str], None]) -> None:
    """Calls done(compute()), or failed(why), in the session's event loop; compute() runs in a thread of its
    own. Nothing is called when the session has gone meanwhile."""

    def work():
        try:
            result, call = compute(), done
        except Exception as error:
            log.exception("%s failed", compute)
            result, call = f"{type(error).__name__}: {error}", failed
        context.mail.post(lambda: call(result))

    threading.Thread(target=work, name="gdlab later", daemon=True).start()
