"""Ranks over time and early stopping."""

from server.context import Context, View
from server.ensemble.panel import staged
from server.ensemble.ranks import Ranks


def build(context: Context) -> View:
    """Below the views of the filters."""
    return staged(context, Ranks, span=12)
