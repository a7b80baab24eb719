"""Runs side by side on the same axes, each with its segments: what one axis for all would hide.

Becker 2019, Figure 6: batch training beside mini-batch training.
"""

from server.core.context import Context, View
from server.ui import card, left_out
from server.views.curve.curve import Curve
from server.views.curve.page import page

MOST = 6  # curves, each a figure with segments of its own
WHERE = "Optimizers draws all of them on one axis; a cross beside a name above takes a run away."


def build(context: Context) -> View:
    """The enhanced curves of the selected runs, zoomed and panned together."""
    shared = page(context)
    tools, panels = shared.take_options()
    bar = card.row(context, *tools, classes=["gd-tools"])
    curves = [
        Curve(context, run_name, shared, name=f"curve_{index}", title=run_name, span=6)
        for index, run_name in enumerate(context.selected[:MOST])
    ]
    cards = [bar, *panels, *(curve.root for curve in curves)]
    cards += left_out.notice(context, MOST, WHERE, name="compare_more")
    root = card.box(context, *cards, classes=["gd-grid", "gd-even", "gd-span-12"], name="compare")
    return View(root, shared.start(curves))
