"""Several runs on one axis above the curve of the first; nothing where one run is selected.

Becker 2019, Figure 1.
"""

from server.core.context import Context, View
from server.ui import card
from server.views.curve.overlay import Overlay
from server.views.curve.page import page


def build(context: Context) -> View:
    """The overlay's card, drawn and refreshed by the page's viewport."""
    if len(context.selected) < 2:
        return View(card.box(context, classes=["gd-none"], visible=False, name="overlay"), lambda: None)
    return View(Overlay(context, page(context)).root, lambda: None)
