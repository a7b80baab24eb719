"""The filter correlation graph."""

from server.core.context import Context, View
from server.pages.ensemble.correlation_graph import CorrelationGraph
from server.pages.ensemble.panel import staged


def build(context: Context) -> View:
    """Beside the similarity plot."""
    return staged(context, CorrelationGraph, span=6)
