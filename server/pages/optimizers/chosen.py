"""The enhanced curve of one of the runs that are compared: the reader says of which.

For methods without a line search the segments run along the step taken, to eta^max = 2, on the
mini-batch or on the training set (in the options).
"""

from bokeh.models import CrosshairTool, Select

from server.core.context import Context, View
from server.ui import card
from server.views.curve.curve import Curve
from server.views.curve.page import page


def build(context: Context) -> View:
    """The curve's card under the one that overlays the runs, in the same window."""
    return _Chosen(context).view


class _Chosen:
    def __init__(self, context: Context):
        self.context, self.shared = context, page(context)
        names = context.selected
        wanted = context.state.get("focus", names[0], choices=names)
        options = [(name, context.short_label(name)) for name in names]
        self.select = Select(
            options=options, value=wanted, width=220, name="chosen_select", stylesheets=[context.sheet],
            html_attributes={"title": "The run whose segments are shown"},
        )  # fmt: skip
        self._known: dict[str, Curve] = {}
        self.curves = [self._curve(wanted)]
        self.root = card.box(context, self.curves[0].root, classes=["gd-span-8"], name="chosen")
        update = self.shared.start(self.curves)
        self._crosshair = next(
            tool.overlay for tool in self.curves[0].plot.main.tools if isinstance(tool, CrosshairTool)
        )
        self.select.on_change("value", lambda attribute, old, new: self._choose(new))
        self.view = View(self.root, update)

    def _curve(self, name: str) -> Curve:
        """The curve of a run, made once, in the page's window; the list of runs stands in its head."""
        curve = self._known.get(name)
        if curve is None:
            index = self.context.selected.index(name)
            title = "Error along the steps"
            curve = Curve(self.context, name, self.shared, name=f"curve_{index}", title=title, span=12)
            self._known[name] = curve
        else:
            self.shared.viewport.members.append(curve)
            self.shared.viewport.plots.append(curve.plot.main)
        tools = curve.root.children[0].children[1]
        tools.children = [self.select, *(child for child in tools.children if child is not self.select)]
        return curve

    def _choose(self, name: str) -> None:
        """Another run's curve takes the place of the one before."""
        viewport, before = self.shared.viewport, self.curves[0]
        before.feed.cancel()
        viewport.members.remove(before)
        viewport.plots.remove(before.plot.main)
        tools = before.root.children[0].children[1]
        tools.children = [child for child in tools.children if child is not self.select]
        self.context.state.update({"focus": name, "k": None})
        curve = self.curves[0] = self._curve(name)
        if not any(isinstance(tool, CrosshairTool) for tool in curve.plot.main.tools):
            curve.plot.main.add_tools(CrosshairTool(overlay=self._crosshair, visible=False))
        self.root.children = [curve.root]
        viewport.rescale()
        self.context.emit("focus", name)
        self.context.emit("iteration", None)
