"""Which hyper-parameters of an ensemble matter, and which act together."""

from server.core.context import Context, View
from server.pages.ensemble.importance_bars import Importance
from server.pages.ensemble.panel import staged


def build(context: Context) -> View:
    """Shares of the variance of the heat map's measure."""
    return staged(context, Importance)
