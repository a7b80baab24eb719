"""Hyper-parameters and measures of an ensemble as parallel coordinates, where runs are brushed."""

from server.core.context import Context, View
from server.pages.ensemble.panel import staged
from server.pages.ensemble.parallel import Parallel


def build(context: Context) -> View:
    """The widest card: its selections colour all others."""
    return staged(context, Parallel, later=False)
