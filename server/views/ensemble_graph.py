"""The filter correlation graph."""

from server.context import Context, View
from server.ensemble.correlation_graph import CorrelationGraph
from server.ensemble.panel import staged


def build(context: Context) -> View:
    """Beside the similarity plot."""
    return staged(context, CorrelationGraph, span=6)
