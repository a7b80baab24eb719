"""The ensemble similarity plot."""

from server.core.context import Context, View
from server.pages.ensemble.panel import staged
from server.pages.ensemble.similarity import Similarity


def build(context: Context) -> View:
    """Beside the filter correlation graph."""
    return staged(context, Similarity, span=6)
