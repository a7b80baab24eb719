"""A page is built when what it draws has been read beside the event loop: meanwhile scripts are served.

A view's module may have `read_ahead(context)` beside `build`. Before a session's first page is built it is
called in a thread, with the context that `build` will have, and leaves what it finds where `build` will
look for it. It neither adds models to the document nor listens to events.
"""

import logging
import time

from server import pages

log = logging.getLogger(__name__)

HEAD_START = 0.08  # s: the browser asks for its scripts first, and reads them while the page is built


def read(page: pages.Page, context) -> None:
    """Lets the views of a page read ahead; takes HEAD_START at least.

    A view that cannot be read says so itself when it is built: what is raised here is left alone.
    """
    began = time.monotonic()
    for target in page.targets:
        try:
            pages.read_ahead(target)(context)
        except Exception as error:
            log.debug("%s did not read ahead: %s", target, error)
    time.sleep(max(0.0, began + HEAD_START - time.monotonic()))
