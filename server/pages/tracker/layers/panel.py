"""The layer view: structure and charts side by side, opened by clicks, marked by the page's selection."""

import numpy as np
from bokeh.events import Tap
from bokeh.models import Range1d

from gdlab.records import Table
from server.core.rest import Rest
from server.pages.tracker.layers import layout, statistics
from server.pages.tracker.layers.drawing import Drawing
from server.pages.tracker.layers.facets import Facets
from server.pages.tracker.layers.options import Options
from server.pages.tracker.layers.painter import Painter
from server.pages.tracker.layers.structure import Structure
from server.pages.tracker.layers.tree import Tree
from server.ui import card, figures

LONGEST = 1900  # letters of the address for the nodes that are open
REST_MS = 80  # box plots follow a range that has not moved for so long


class Layers:
    """root: the card. update(): the dumps have grown, or the view is shown again."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.tree = Tree(tracker.dumps.nodes)
        self.opened = self._opened()
        self.y_range = Range1d(-1, 0, name="layers_y")
        self.structure = Structure(context, self.tree, self.y_range)
        self.facets = Facets(context, tracker, "layers", self.y_range)
        self.options = Options(context, tracker.dumps.run, self.draw)
        self.options.expand.on_click(lambda: self._open(self.tree.groups()))
        self.options.collapse.on_click(lambda: self._open(set()))
        self.painter = Painter(context, tracker, self.tree, self.options)
        self.bands: list[layout.Band] = []
        self._rest = Rest(context, REST_MS, self.draw)
        shown = [self.structure.figure, self.facets.figure]
        row = card.row(context, *shown, classes=["gd-row"], sizing_mode="stretch_width", spacing=0)
        body = card.box(context, self.options.root, row, classes=["gd-body"])
        self.root = card.card(
            context, "Layers", "", body, name="layers", figures=shown, csv=self.table,
            controls=self.options.tools,
        )  # fmt: skip
        self._listen()
        self.draw()

    def update(self) -> None:
        """Draws what is recorded now."""
        self.draw()

    def draw(self) -> None:
        """Everything, by the choices and the nodes that are open."""
        chosen = self.options.chosen
        self.bands = self.painter.bands(self.opened)
        total = layout.height(self.bands)
        drawing = Drawing()
        tips, ticks = [("value", "value")], {}
        if not chosen.anomalies:
            tips, ticks = self.painter.charts(drawing, self.bands)
        pictures = self.painter.pictures(self.bands)
        with figures.at_once(self.structure.figure, self.facets.figure):
            self.facets.draw(drawing, total, pictures, signed=statistics.signed(chosen.pixel))
            self.facets.tell(tips)
            self.facets.scale(ticks)
            self.y_range.update(start=-total, end=0)
            self.mark()
        self.options.filters.visible = any(band.pixels for band in self.bands)
        card.retitle(self.root, caption=self.painter.caption(self.bands))

    def mark(self) -> None:
        """The selection, and the structure with it."""
        selection, chosen = self.tracker.selection, self.options.chosen
        inside = np.array(selection.filters, np.int64)
        counts, heights = {}, []
        for band in self.bands:
            node = self.tree.nodes[band.row.node]
            here = inside[(inside >= node.first) & (inside < node.first + node.filters)]
            if len(here):
                counts[band.row.node] = f"{len(here):,} of {node.filters:,} selected"
            at = np.flatnonzero(np.isin(band.filters, here))
            heights += (-band.height_of(at)).tolist()
        opened = self.tree.groups() if chosen.anomalies else self.opened
        boxes = self.tree.boxes(opened)
        self.structure.draw(
            self.bands, boxes, self.tree.links(self.tracker.dumps.edges, opened), chosen=selection.layers,
            counts=counts, total=layout.height(self.bands),
        )  # fmt: skip
        self.structure.mark(heights)
        marked = [(-b.top, -b.bottom) for b in self.bands if b.row.node in selection.layers]
        self.facets.mark(selection.dumps, marked, heights)

    def table(self) -> Table:
        """For CSV: dump, iteration, layer and every statistic shown of it, in the order of the rows."""
        dumps, chosen = self.tracker.dumps, self.options.chosen
        nodes = [band.row.node for band in self.bands]
        names = (
            [f"{chosen.of}_{w}" for w in statistics.BOX] if chosen.chart == "boxes" else [chosen.statistic]
        )
        count = dumps.count
        columns = {
            "layer": np.repeat([self.tree.nodes[node].name for node in nodes], count),
            "dump": np.tile(np.arange(count), len(nodes)),
            "iteration": np.tile(dumps.iteration, len(nodes)),
        } | {name: dumps.layer(name)[:, nodes].T.ravel() for name in names}
        return Table(columns, dict.fromkeys(columns, ("value",)), {})

    # -- what the reader does ---------------------------------------------------------------------

    def _listen(self) -> None:
        self.structure.figure.on_event(Tap, self._tapped_structure)
        self.facets.figure.on_event(Tap, self._tapped_chart)
        for end in ("start", "end"):
            self.tracker.x_range.on_change(end, self._moved)
        on = {
            "selection": self.mark,
            "settings": self._resettled,
            "theme": self.draw,
            "step": self._step,
            "log": self._log,
        }
        for event, action in on.items():
            self.context.on(event, self._here(action))

    def _here(self, action):
        def act(*args):
            if self.tracker.mode == "layers":
                action(*args)

        return act

    def _tapped_structure(self, event: Tap) -> None:
        found = self.structure.at(event.x, event.y)
        if found is None:
            return
        part, node = found
        inner = self.tree.nodes[node].kind == "group"
        if part == "label" or inner:
            self._open(self.opened ^ {node})
        else:
            self.tracker.toggle("layers", node, extended(event))

    def _tapped_chart(self, event: Tap) -> None:
        """A column is a dump; a row of pixels is a filter, a chart is a layer."""
        dump, down = int(np.floor(event.x + 0.5)), -event.y
        band = next((b for b in self.bands if b.top <= down <= b.bottom), None)
        if band is None or not 0 <= dump < self.tracker.count:
            return
        filter_ = band.filter_at(down)
        name, item = ("layers", band.row.node) if filter_ is None else ("filters", filter_)
        now = self.tracker.selection
        wanted: dict[str, set[int]]
        if extended(event):
            wanted = {"dumps": set(now.dumps) ^ {dump}, name: set(getattr(now, name)) ^ {item}}
        elif now.dumps == (dump,) and getattr(now, name) == (item,):
            wanted = {"dumps": set(), name: set()}
        else:
            wanted = {"dumps": {dump}, name: {item}}
        self.tracker.select(**wanted)

    def _open(self, wanted: set[int]) -> None:
        """Opens these nodes, and closes all others."""
        if self.options.chosen.anomalies:
            return
        self.opened = {node for node in wanted if self.tree.nodes[node].filters}
        self.context.state.set("layers_open", ",".join(map(str, sorted(self.opened)))[:LONGEST] or None)
        self.draw()

    def _opened(self) -> set[int]:
        texts = self.context.state.get("layers_open", "").split(",")
        found = {int(text) for text in texts if text.isdecimal() and len(text) < 6}
        return {node for node in found if node < len(self.tree.nodes) and self.tree.nodes[node].filters}

    def _moved(self, attribute, old, new) -> None:
        """Boxes are as wide as the window allows: drawn again once it rests."""
        if self.options.chosen.chart != "boxes" or self.tracker.mode != "layers":
            return
        self._rest.begin()

    def _resettled(self) -> None:
        if self.options.chosen.anomalies:
            self.draw()

    def _step(self, by: int) -> None:
        """Another dump than the one that is selected."""
        now = self.tracker.selection.dumps
        if len(now) == 1:
            self.tracker.select(dumps=(min(max(now[0] + by, 0), self.tracker.count - 1),))

    def _log(self) -> None:
        self.options.set(log=not self.options.chosen.log)


def extended(event: Tap) -> bool:
    """Whether a click adds to what is selected."""
    held = event.modifiers or {}
    return bool(held.get("shift") or held.get("ctrl"))
