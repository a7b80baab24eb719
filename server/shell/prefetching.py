"""A page is built when what it draws has been read beside the event loop: meanwhile scripts are served.

A view's module may have `prefetch(context)` beside `build`. Before the page is built it is called in a
thread, with the context that `build` will have, and leaves what it finds where `build` will look for it. It
neither adds models to the document nor listens to events.
"""

import logging
import time

from server.shell import pages

log = logging.getLogger(__name__)

HEAD_START = 0.08  # s: the browser asks for its scripts first, and reads them while the page is built


def needed(page: pages.Page) -> bool:
    """Whether any view of a page prefetches."""
    return any(pages.prefetch(part) for part in page.views)


def read(page: pages.Page, context, least: float = 0.0) -> None:
    """Lets the views of a page prefetch; takes `least` seconds at least.

    A view that cannot be read says so itself when it is built: what is raised here is left alone.
    """
    began = time.monotonic()
    for part in page.views:
        try:
            found = pages.prefetch(part)
            if found:
                found(context)
        except Exception as error:
            log.debug("%s could not prefetch: %s", part.name, error)
    time.sleep(max(0.0, began + least - time.monotonic()))
