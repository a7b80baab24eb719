"""Layer, time and threshold of the views of the filters' correlations."""

from server.context import Context, View
from server.ensemble.filter_bar import FilterBar
from server.ensemble.panel import staged


def build(context: Context) -> View:
    """Above the three views of the filters."""
    return staged(context, FilterBar, span=12)
