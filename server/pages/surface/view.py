"""The loss surface around a training path: drawn from what is kept, computed when the reader asks for it.

Kuchta 2023, section 6.4.
"""

from server.core.context import Context, View
from server.pages.surface.page import SurfacePage


def build(context: Context) -> View:
    """Map, checks and numbers of the (first) run; of two runs side by side."""
    return SurfacePage(context).view
