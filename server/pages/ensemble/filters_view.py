"""Layer, time and threshold of the views of the filters' correlations."""

from server.core.context import Context, View
from server.pages.ensemble.filter_bar import FilterBar
from server.pages.ensemble.panel import staged


def build(context: Context) -> View:
    """Above the three views of the filters."""
    return staged(context, FilterBar, span=12)
