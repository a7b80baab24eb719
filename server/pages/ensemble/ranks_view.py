"""Ranks over time and early stopping."""

from server.core.context import Context, View
from server.pages.ensemble.panel import staged
from server.pages.ensemble.ranks import Ranks


def build(context: Context) -> View:
    """Below the views of the filters."""
    return staged(context, Ranks, span=12)
