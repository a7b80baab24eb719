"""One run's filters: the heat map of their correlations under the dendrogram that orders them."""

import numpy as np
from bokeh.models import ColorBar, ColumnDataSource, CustomJSHover, HoverTool, LinearColorMapper, Range1d
from bokeh.models.glyphs import Image, MultiLine

from gdlab.messages import counted
from server.ui import card, figures

TREE, MAP = 74, 300  # px
FILTER = "return String(order[Math.floor(value)] ?? '')"


class CorrelationMap:
    """root: name, dendrogram and heat map. show(run, Ordered or why there is none)."""

    def __init__(self, shared, name: str):
        self.shared, self.context = shared, shared.context
        context = self.context
        self.x, self.y, self.height = Range1d(0, 1), Range1d(1, 0), Range1d(0, 1)
        self.tree = ColumnDataSource({"xs": [], "ys": []}, name=f"{name}_tree")
        self.image = ColumnDataSource({"image": [], "x": [], "y": [], "w": [], "h": []}, name=f"{name}_image")
        self.mapper = LinearColorMapper(low=0, high=1, palette=self._palette())
        self.number = CustomJSHover(args={"order": []}, code=FILTER)
        self.title = card.text("", "gd-label", name=f"{name}_title")
        self.words = card.text("", "gd-caption", name=f"{name}_words")
        self.dendrogram = self._figure(f"{name}_dendrogram", TREE, self.height)
        self.map = self._figure(f"{name}_map", MAP, self.y)
        lines = context.paint(MultiLine(xs="xs", ys="ys", line_width=1), line_color="muted")
        figures.draw(self.dendrogram, self.tree, lines)
        self._draw_map()
        self.root = card.box(
            context, self.title, self.dendrogram, self.map, self.words, classes=["gd-facet"], name=name
        )
        context.on("theme", lambda: self.mapper.update(palette=self._palette()))

    def show(self, run: int, ordered) -> None:
        """A run's matrix, or why it has none."""
        self.name_run(run)
        missing = isinstance(ordered, str)
        self.dendrogram.visible = self.map.visible = not missing
        if missing:
            self.words.text = f"Nothing to show: {ordered}."
            return
        count, order = len(ordered.matrix), ordered.order
        self.x.update(start=0, end=count)
        self.y.update(start=count, end=0)
        self.height.update(start=0, end=1.04 * float(np.max(order.dcoord, initial=1e-9)))
        self.tree.data = {"xs": list(order.icoord), "ys": list(order.dcoord)}
        self.image.data = {
            "image": [ordered.matrix.astype(np.float32)], "x": [0], "y": [0], "w": [count],
            "h": [count],
        }  # fmt: skip
        self.number.args = {"order": [int(i) for i in order.order]}
        ties = len(order.ties)
        self.words.text = f"{counted(count, 'filter')} at iteration {ordered.step:,}. " + (
            f"{counted(ties, 'tie')} in the order could not be resolved."
            if ties else "The order is unique."
        )  # fmt: skip

    def name_run(self, run: int) -> None:
        """Hyper-parameters, P1 and selections of the run."""
        shared = self.shared
        parts = []
        for axis in shared.axes:
            value = float(axis.values[run])
            if axis.shown and (not axis.measure or axis.name == "P1"):
                parts.append(f"{axis.name} {axis.label(value) if np.isfinite(value) else 'none'}")
        inside = [c.name for c, has in zip(shared.selections.choices, shared.chosen, strict=True) if has[run]]
        self.title.text = ", ".join(parts) + (f" · {', '.join(inside)}" if inside else "")
        self.title.html_attributes = {"title": shared.ensemble.names[run]}

    def _figure(self, name: str, height: int, y_range):
        plot = figures.figure(name, height=height, x_range=self.x, y_range=y_range)
        plot.tools = []
        plot.axis.visible = plot.grid.visible = False
        plot.min_border_left, plot.min_border_right = 4, 44
        plot.min_border_top = plot.min_border_bottom = 2
        return plot

    def _draw_map(self) -> None:
        image = Image(image="image", x="x", y="y", dw="w", dh="h", color_mapper=self.mapper)
        drawn = figures.draw(self.map, self.image, image)
        self.context.paint(
            self.map, outline_line_color="line"
        )  # where nothing is correlated there is no colour
        bar = ColorBar(
            color_mapper=self.mapper, width=7, padding=2, border_line_color=None, background_fill_color=None,
            bar_line_color=None, major_tick_line_color=None, label_standoff=3, title="|r|",
        )  # fmt: skip
        self.context.paint(bar, major_label_text_color="muted", title_text_color="muted")
        self.map.add_layout(bar, "right")
        tips = [("filters", "$x{custom} and $y{custom}"), ("|r|", "@image{0.000}")]
        formatters = {"$x": self.number, "$y": self.number}
        self.map.add_tools(HoverTool(renderers=[drawn], tooltips=tips, formatters=formatters, visible=False))

    def _palette(self) -> list[str]:
        return list(self.context.palette.magnitudes)
