"""A legend above a figure: names every line, is as wide as the figure, and leaves the plot its height."""

from collections.abc import Sequence

from bokeh.models import InlineStyleSheet, Legend, LegendItem

# Its entries stand in a grid of equal columns; in lines they take less room.
CSS = """
:host { max-width: calc(100% - 72px); }
.bk-grid { display: flex; flex-flow: row wrap; gap: 1px 14px !important; width: auto; height: auto; }
.bk-item { max-width: 100%; }
.bk-label { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
"""
GROWS = "grows"  # static/mends.js adds the legend's height to that of the figure


def above(context, plot, items: Sequence[LegendItem], *, name: str) -> Legend:
    """Adds a legend above a figure, which grows by it; a click on a name hides its lines."""
    legend = Legend(
        items=list(items), location="left", click_policy="hide", name=name, padding=0, margin=3,
        glyph_height=14, label_height=14, tags=[GROWS, plot.height],
        stylesheets=[InlineStyleSheet(css=CSS)],
    )  # fmt: skip
    plot.add_layout(legend, "above")
    context.paint(legend, background_fill_color="card")
    return legend
