"""The filter correlation heat maps of the runs looked at."""

from server.core.context import Context, View
from server.pages.ensemble.correlation_maps import CorrelationMaps
from server.pages.ensemble.panel import staged


def build(context: Context) -> View:
    """Below the views of all runs."""
    return staged(context, CorrelationMaps, span=12)
