"""The enhanced error curve of the first selected run, which deepens as the reader zooms in.

From afar the error over the iterations, nearer the error along each direction, and the line search of
the iteration that is tapped (in its own card). Becker 2019, Figure 2.
"""

from server.core.context import Context, View
from server.views.curve.curve import Curve
from server.views.curve.page import page


def build(context: Context) -> View:
    """The curve's card; with several runs it shares the window of the card that overlays them."""
    shared, first = page(context), context.selected[0]
    title = "Error curve" if len(context.selected) == 1 else f"Error curve: {first}"
    curve = Curve(context, first, shared, name="curve", title=title, span=8)
    return View(curve.root, shared.start([curve]))
