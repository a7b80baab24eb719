"""A page's cards from its views; a view that fails is a card that says so, and the others go on."""

import logging
from typing import NamedTuple

from bokeh.models import Column

from gdlab import store
from server.core.context import Context, View
from server.shell import pages, run_bar
from server.ui import card

log = logging.getLogger(__name__)


class Shown(NamedTuple):
    """A page that has been built, for these runs, and the record's revision that it shows."""

    page: pages.Page
    context: Context
    root: Column
    views: list[View]
    wanted: tuple[str, ...]
    identities: tuple[str | None, ...]
    revision: list

    @property
    def names(self) -> tuple[str, ...]:
        """The runs that it was asked to show, also those that could not be read."""
        return self.wanted if self.page.runs else ()


def build(context: Context, page: pages.Page, broken: list[tuple[str, Exception]]) -> tuple[Column, list]:
    """(root, views) of a page whose context has the runs that can be read; broken: (name, error) of those
    that cannot."""
    cards, views = [], []
    if page.runs and (context.selected or broken):
        views.append(run_bar.build(context))
    for i, (name, error) in enumerate(broken):
        cards.append(card.error_card(context, name, str(error), name=f"error_{i}"))
    if len(context.selected) >= page.runs:
        views += [_view(context, part) for part in page.views]
    elif not broken or page.runs > 1:
        cards.append(_too_few(context, page, len(context.selected)))
    return card.grid(context, *(view.root for view in views), *cards, name=f"page_{page.name}"), views


def _view(context: Context, part: pages.Part) -> View:
    try:
        return pages.load(part)(context)
    except Exception as error:
        return View(_failure(context, part, error), lambda: None)


def _failure(context: Context, part: pages.Part, error: Exception):
    title = part.name.replace("_", " ").capitalize()
    if isinstance(error, (store.StoreError, ValueError, OSError)):
        return card.error_card(context, title, str(error), name=f"error_{title}")
    log.exception("the view %s failed", part.target, exc_info=error)
    message = f"This view failed: {type(error).__name__}: {error}"
    return card.error_card(context, title, message, name=f"error_{title}")


def _too_few(context: Context, page: pages.Page, count: int):
    if page.runs == 1:
        title, message = "No run is chosen", "Choose one in the tab Runs."
    else:
        title = f"{page.title} needs {page.runs} runs"
        chosen = f"{count or 'None'} {'is' if count < 2 else 'are'} chosen."
        message = f"{chosen} Tick {page.runs} or more in the tab Runs."
    return card.empty_card(context, title, message, name="too_few")
