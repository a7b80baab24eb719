"""The head of an ensemble's page: which runs, at which times, the selections that all its views share."""

import time

from server.core.context import Context, View
from server.pages.ensemble.head import Head
from server.pages.ensemble.shared import shared

REST = 10  # at least so many times as long as reading the runs took


def build(context: Context) -> View:
    """The page's first card; new commits of the runs are read here for all others."""
    ensemble = shared(context)
    head = Head(ensemble)
    asked, due = [time.monotonic()], [0.0]

    def taken() -> None:
        due[0] = time.monotonic() + REST * (time.monotonic() - asked[0])

    def update() -> None:
        if time.monotonic() >= due[0]:
            asked[0] = time.monotonic()
            ensemble.load()

    context.on("ensemble", taken)
    return View(head.root, update)
