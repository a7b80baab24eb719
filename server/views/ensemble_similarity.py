"""The ensemble similarity plot."""

from server.context import Context, View
from server.ensemble.panel import staged
from server.ensemble.similarity import Similarity


def build(context: Context) -> View:
    """Beside the filter correlation graph."""
    return staged(context, Similarity, span=6)
