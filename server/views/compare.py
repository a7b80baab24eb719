"""Two runs side by side on the same axes, each with its segments: what one axis for both would hide.

Becker 2019, Figure 6: batch training beside mini-batch training.
"""

from server import card
from server.context import Context, View
from server.curve.curve import Curve
from server.curve.page import page

SIDE_BY_SIDE = 2


def build(context: Context) -> View:
    """The enhanced curves of the first two selected runs, zoomed and panned together."""
    shared = page(context)
    tools, panels = shared.take_options()
    bar = card.row(context, *tools, classes=["gd-tools"])
    curves = [
        Curve(context, run_name, shared, name=f"curve_{index}", title=run_name, span=6)
        for index, run_name in enumerate(context.selected[:SIDE_BY_SIDE])
    ]
    cards = [bar, *panels, *(curve.root for curve in curves)]
    root = card.box(context, *cards, classes=["gd-grid", "gd-even", "gd-span-12"], name="compare")
    return View(root, shared.start(curves))
