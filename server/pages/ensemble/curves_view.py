"""The loss-accuracy graph of the selected runs."""

from server.core.context import Context, View
from server.pages.ensemble.loss_accuracy import LossAccuracy
from server.pages.ensemble.panel import staged


def build(context: Context) -> View:
    """Beside the performance heat map."""
    return staged(context, LossAccuracy, span=7, later=False)
