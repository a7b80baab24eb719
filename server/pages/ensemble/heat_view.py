"""The performance heat map of two hyper-parameters."""

from server.core.context import Context, View
from server.pages.ensemble.heat_map import HeatMap
from server.pages.ensemble.panel import staged


def build(context: Context) -> View:
    """Beside the loss-accuracy graph."""
    return staged(context, HeatMap, span=5, later=False)
