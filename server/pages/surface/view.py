"""The loss surface around a training path: drawn from what is kept, computed when the reader asks for it.

Kuchta 2023, section 6.4.
"""

from server.core.context import Context, View
from server.pages.surface.page import SurfacePage
from server.ui import recorded


def build(context: Context) -> View:
    """Map, checks and numbers of the (first) run; of two runs side by side."""
    words = "A loss surface is computed from parameters and their error"
    needs = ("loss", "points", "examples")
    none = recorded.refusal(context, "No loss surface", words, needs, name="surface_none")
    return none or SurfacePage(context).view
