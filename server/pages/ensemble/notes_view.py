"""The runs as a table, with what they cannot be used for and links to their pages."""

from server.core.context import Context, View
from server.pages.ensemble.panel import staged
from server.pages.ensemble.run_table import RunTable


def build(context: Context) -> View:
    """The last card."""
    return staged(context, RunTable, span=12)
