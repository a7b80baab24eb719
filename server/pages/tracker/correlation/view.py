"""The card of the correlation view: its figures as an L or a cube, what a click selects, what is selected."""

import numpy as np
from bokeh.events import DoubleTap, RangesUpdate, Tap
from bokeh.models import CustomJSHover, HoverTool

from gdlab.messages import counted
from gdlab.records import Table
from server.core.context import Context, View
from server.pages.tracker.correlation.ablation import Ablation
from server.pages.tracker.correlation.cube import Cube
from server.pages.tracker.correlation.layout import filters_of, layout, parts_with
from server.pages.tracker.correlation.plot import Plot
from server.pages.tracker.correlation.strongest import Strongest
from server.pages.tracker.lazy import lazily
from server.pages.tracker.names import within_layer
from server.ui import card
from server.ui.choices import Choice

KINDS = {"full": "Mini-sets", "abstract": "Counts"}
SHAPES = {"l": "L", "cube": "Cube"}
WHERE = {
    "l": "Left: how much they change; below: error rates.",
    "cube": "Front: how much they change; on top: error rates.",
}
EMPTY = (
    "No class has an anomaly with this window and threshold. A lower threshold, or Propose, finds some.\n"
    "An anomaly is an iteration at which many images of one class flip together."
)
NAMED = 6  # classes that are named in the words about a mini-set
NO_LABELS = "The dumps of this run hold no predictions, or no filters: there is nothing to relate."


def build(context: Context) -> View:
    """Which filters changed when which classes did: layers and classes between their two neighbours."""

    def correlation(tracker) -> View:
        dumps = tracker.dumps
        if len(dumps.labels) and len(tracker.evidence.layers) and dumps.stats():
            return Correlation(context, tracker).view
        empty = card.empty_card(context, "Filters and classes", NO_LABELS, name="correlation_none")
        return View(empty, lambda: None)

    return lazily(context, "correlation", correlation)


class Correlation:
    """root: the cards. update(): after new dumps."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.plot = Plot(context, tracker)
        self._kind = Choice(
            context, "grid", "full", KINDS, help="Every mini-set, or how many filters of a layer",
            changed=lambda value: self.update(),
        )  # fmt: skip
        self._shape = Choice(
            context, "shape", "l", SHAPES, help="Side by side, or as the faces of a cube",
            changed=lambda value: self.update(),
        )  # fmt: skip
        self.words = card.text("", "gd-caption", name="correlation_words")
        self.ablation = Ablation(context, tracker)
        self.strongest = Strongest(context, tracker)
        plot = self.plot
        self.cube: Cube | None = None  # made when it is first wanted
        self.cube_place = card.box(context, classes=["gd-body"], visible=False)
        self.upper = card.row(
            context, plot.strips, plot.grid, classes=["gd-options-row"], sizing_mode="stretch_width"
        )
        corner = card.box(context, self.words, self.ablation.root, self.strongest.root, classes=["gd-body"])
        lower = card.row(
            context, corner, plot.stripes, classes=["gd-options-row"], sizing_mode="stretch_width"
        )
        self.body = card.box(context, self.upper, self.cube_place, lower, classes=["gd-body"])
        figures = [plot.strips, plot.grid, plot.stripes, self.cube_place, self.strongest.figure]
        self.root = card.card(
            context, "Filters and classes", "", self.body, name="correlation", figures=figures,
            csv=self._table, controls=[
                self._shape.radio("correlation_shape"), self._kind.radio("correlation_kind"),
            ],
        )  # fmt: skip
        self.empty = card.empty_card(context, "Filters and classes", EMPTY, name="correlation_empty")
        self.both = card.box(context, self.root, self.empty, classes=["gd-grid", "gd-span-12"])
        self._listen()
        self.update()

    @property
    def view(self) -> View:
        """What the page is given."""
        return View(self.both, self.update)

    def update(self) -> None:
        """Everything anew."""
        self.plot.abstract = self._kind.value == "abstract"
        some = len(self.tracker.anomalies().columns["dump"]) > 0 and len(self.tracker.grid().layers) > 0
        self.root.visible, self.empty.visible = some, not some
        if not some:
            return
        self._draw()
        grid = self.tracker.grid()
        caption = (
            f"{counted(len(grid.parts.columns['size']), 'mini-set')} of {counted(len(grid.layers), 'layer')} "
            "(rows, as high as they have filters) and "
            f"{counted(len(grid.columns.columns['dump']), 'anomaly iteration')} of "
            f"{counted(len(grid.classes), 'class', 'classes')} (columns). {WHERE[self._shape.value]}"
        )
        if grid.hidden:
            few = counted(grid.minimum, "appearance")
            caption += f" {counted(grid.hidden, 'mini-set')} with fewer than {few} left out."
        card.retitle(self.root, caption=caption)
        self._say()

    def _draw(self):
        """The shape that is shown, and that alone."""
        cube = self._shape.value == "cube"
        self.upper.visible = self.plot.stripes.visible = not cube
        self.cube_place.visible = cube
        self._drawn().draw()

    def _drawn(self) -> Cube | Plot:
        """The shape that is shown."""
        if self._shape.value != "cube":
            return self.plot
        if self.cube is None:
            self.cube = Cube(self.context, self.tracker, self.plot, self._tapped_cube)
            self.cube_place.children = [self.cube.root]
        return self.cube

    def _listen(self):
        plot, context = self.plot, self.context
        context.on("settings", self._if_shown)
        context.on("selection", self._selected)
        context.on("theme", plot.paint_images)
        plot.grid.on_event(Tap, lambda event: self._tapped(event.x, event.y))
        plot.strips.on_event(Tap, lambda event: self._tapped_strip(event.x, event.y))
        plot.stripes.on_event(Tap, lambda event: self._tapped_stripe(event.x, event.y))
        for figure in (plot.grid, plot.strips, plot.stripes):
            figure.on_event(RangesUpdate, lambda event: plot.follow())
            figure.on_event(DoubleTap, lambda event: self._whole())
        number = CustomJSHover(code="return value.toLocaleString('en')")
        hover = HoverTool(
            tooltips=[("filters", "@count{custom}")], formatters={"@count": number}, attachment="above",
            renderers=[plot.rectangles, plot.counts],
        )  # fmt: skip
        plot.grid.add_tools(hover)

    def _if_shown(self):
        if self.tracker.mode == "correlation":
            self.update()

    def _whole(self):
        self.tracker.reset()
        self._draw()

    # -- clicks -----------------------------------------------------------------------------------

    def _tapped(self, x, y):
        """A rectangle selects its filters, class and iteration; a line its mini-set; a count its filters."""
        rows, columns = self._lines()
        grid = self.tracker.grid()
        row, column = rows.at(y), columns.at(x)
        if row is None:
            self.tracker.clear()
            return
        if self.plot.abstract:
            if column is not None:
                self._select_count(grid, row, column)
            return
        found = {"filters": filters_of(grid, row), "layers": [self._layer(grid.parts.columns["layer"][row])]}
        rectangles = grid.rectangles.columns
        if column is not None and ((rectangles["part"] == row) & (rectangles["column"] == column)).any():
            line = grid.columns.columns
            found |= {"classes": [line["class"][column]], "dumps": [line["dump"][column]]}
        else:
            found |= {"classes": self._classes_of(grid, row), "dumps": ()}
        self.tracker.select(**found)

    def _tapped_cube(self, face, first, second):
        """A click on a face is one on the figure that lies there."""
        if face == "right":
            self._tapped(first, second)
        elif face == "front":
            self._tapped_strip(first, second)
        else:
            self._tapped_stripe(second, first)

    def _lines(self):
        return layout(self.tracker.grid(), self.plot.abstract)

    def _select_count(self, grid, row, column):
        line = grid.columns.columns["place"] == column
        met = grid.rectangles.columns
        parts = np.unique(met["part"][line[met["column"]]])
        parts = parts[grid.parts.columns["place"][parts] == row]
        filters = np.concatenate([filters_of(grid, part) for part in parts] or [np.empty(0, int)])
        self.tracker.select(
            filters=filters, layers=[self._layer(grid.layers[row])], classes=[grid.classes[column]], dumps=()
        )

    def _tapped_strip(self, x, y):
        row = self._lines().rows.at(y)
        dump = round(x)
        if row is None or not 0 <= dump < self.tracker.count:
            return
        grid = self.tracker.grid()
        if self.plot.abstract:
            self.tracker.select(layers=[self._layer(grid.layers[row])], filters=(), dumps=[dump])
        else:
            layer = self._layer(grid.parts.columns["layer"][row])
            self.tracker.select(layers=[layer], filters=filters_of(grid, row), dumps=[dump])

    def _tapped_stripe(self, x, y):
        column = self._lines().columns.at(x)
        dump = round(y)
        if column is None or not 0 <= dump < self.tracker.count:
            return
        grid = self.tracker.grid()
        which = grid.classes if self.plot.abstract else grid.columns.columns["class"]
        self.tracker.select(classes=[which[column]], dumps=[dump])

    def _layer(self, number):
        """The node of a layer that the grid counts from 0."""
        return int(self.tracker.evidence.layers[number])

    def _classes_of(self, grid, part):
        """The classes that a mini-set appears with."""
        met = grid.rectangles.columns
        return np.unique(grid.columns.columns["class"][met["column"][met["part"] == part]])

    # -- words ------------------------------------------------------------------------------------

    def _selected(self):
        if self.tracker.mode == "correlation" and self.root.visible:
            self._drawn().mark()
            self._say()

    def _say(self):
        self.ablation.offer()
        self.strongest.offer()
        grid, chosen = self.tracker.grid(), self.tracker.selection
        parts = parts_with(grid, chosen.filters)
        if not len(parts):
            self.words.text = (
                "Click a rectangle, a row or a column: what belongs to it is selected everywhere."
            )
            return
        columns, dumps = grid.parts.columns, self.tracker.dumps
        lines = []
        for part in parts[:NAMED]:
            classes = [dumps.classes[i] for i in self._classes_of(grid, part)]
            named = ", ".join(classes[:NAMED]) + (
                f" and {len(classes) - NAMED} more" if len(classes) > NAMED else ""
            )
            layer = dumps.nodes[self._layer(columns["layer"][part])].name
            lines.append(
                f"{_counted(columns['size'][part], 'filter')} of {layer}: "
                f"{_counted(columns['appearances'][part], 'appearance')}, with {named}."
            )
        if len(parts) > NAMED:
            lines.append(f"And {len(parts) - NAMED:,} more mini-sets.")
        self.words.text = "\n".join(lines)

    def _table(self) -> Table:
        """A row per rectangle: class, iteration, layer, number of filters, appearances, positions of the
        filters in the layer."""
        grid, dumps = self.tracker.grid(), self.tracker.dumps
        met, line, part = grid.rectangles.columns, grid.columns.columns, grid.parts.columns
        at, column = met["part"], met["column"]
        named = {i: within_layer(dumps, filters_of(grid, i)) for i in set(at.tolist())}
        columns = {
            "class": np.array([dumps.classes[i] for i in line["class"][column]]),
            "iteration": dumps.iteration[line["dump"][column]],
            "layer": np.array([dumps.nodes[self._layer(i)].name for i in part["layer"][at]]),
            "size": part["size"][at],
            "appearances": part["appearances"][at],
            "filters": np.array([" ".join(map(str, named[i])) for i in at]),
        }
        return Table(columns, dict.fromkeys(columns, ("rectangle",)), {})


def _counted(count, word):
    return f"{count:,} {word}{'' if count == 1 else 's'}"
