"""The performance heat maps of all pairs, where there are more than two hyper-parameters."""

from server.core.context import Context, View
from server.pages.ensemble.pairs import Pairs
from server.pages.ensemble.panel import staged


def build(context: Context) -> View:
    """Below the heat map of one pair."""
    return staged(context, Pairs, span=12)
