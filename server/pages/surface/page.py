"""The page: one surface or two side by side, a map of how they differ or how sure they are, and the checks.

Two maps of the same plane share their axes, and all maps of losses one colour scale.
"""

import numpy as np
from bokeh.models import Column, LinearColorMapper

from gdlab.analysis.surfaces import fidelity
from gdlab.messages import counted
from gdlab.records import Table
from server.core.context import View
from server.pages.surface import picture, second
from server.pages.surface.checks import Check, Numbers
from server.pages.surface.options import NAMES, Options
from server.pages.surface.plot import Map
from server.pages.surface.slot import Slot
from server.ui import card, figures, left_out, shades, sheets

PLACES = ("a", "b")
LINE_WORDS = "From start to end: the surface there, and the true loss of the interpolated parameters."
KNOWN_WORDS = "At points of the path: the surface there, and the true loss of the recorded parameters."
WHERE = "A cross beside a name above takes a run away and makes room for another."


class SurfacePage:
    """slots and maps of the places "a" and, for a comparison, "b"; `view` is what the page takes."""

    def __init__(self, context):
        self.context = context
        self.sheet = sheets.sheet("curve")
        self.options = Options(context, self.ask, self.draw)
        self.mapper = LinearColorMapper(palette=list(context.palette.magnitudes), low=0, high=1)
        self.runs = {"a": context.selected[0], "b": context.selected[-1 if len(context.selected) == 1 else 1]}
        self.slots: dict[str, Slot] = {}
        self.maps: dict[str, Map] = {}
        self.bodies: dict[str, Column] = {}
        self.cards: dict[str, Column] = {}
        self.checks: tuple[Check, ...] = ()  # these two until a map is on the screen
        self.second: second.Second | None = None
        self.coming = [card.loading_card(context, "", name=f"surface_coming_{part}") for part in PLACES]
        self.numbers = Numbers(context, "surface_numbers")
        self.left_out = left_out.notice(context, len(PLACES), WHERE, name="surface_more")
        self.side = card.grid(context, self.coming[0])
        self.below = card.grid(context, self.coming[1], self.numbers.root)
        self.root = card.box(context, classes=[], name="surface")
        self.shades = shades.choose([])
        self._listen()
        self.view = View(self.root, self.update)
        self.ask()

    def ask(self) -> None:
        """Other surfaces are wanted: reads what there is of them."""
        for place in self.places:
            if place not in self.slots:
                self._open(place)
        self._arrange()
        for place in self.places:
            self.slots[place].look()

    def update(self) -> None:
        """The record has grown."""
        for place in self.places:
            self.slots[place].grown()

    @property
    def places(self) -> tuple[str, ...]:
        """The places in use: "a", and "b" while there is a comparison."""
        return PLACES if self.options.other else PLACES[:1]

    @property
    def tables(self) -> dict[str, Table]:
        """{place: Table} of the surfaces whose plane is known."""
        found = {place: self.slots[place].table for place in self.places}
        return {place: table for place, table in found.items() if table is not None}

    @property
    def same_plane(self) -> bool:
        """Whether both surfaces lie on one plane of one run, with the same lines."""
        tables = self.tables
        return (
            len(tables) == 2
            and self.runs["a"] == self.runs["b"]
            and all(np.array_equal(tables["a"].columns[axis], tables["b"].columns[axis]) for axis in "xy")
        )

    @property
    def names(self) -> dict[str, str]:
        """{place: what tells the two surfaces apart}."""
        methods = {"a": NAMES[self.options.method], "b": NAMES[self.options.other or self.options.method]}
        if self.runs["a"] == self.runs["b"]:
            return methods
        labels = {place: self.context.label(run) for place, run in self.runs.items()}
        return {
            p: f"{labels[p]}, {methods[p]}" if len(set(methods.values())) > 1 else labels[p] for p in PLACES
        }

    # -- drawing ----------------------------------------------------------------------------------

    def draw(self) -> None:
        """Draws what there is; the zoom stays."""
        tables = self.tables
        clips = [table.attrs["clip"] for table in tables.values() if np.isfinite(table.attrs["clip"])]
        clip = max(clips) if clips and self.options.clip else np.nan
        pictures = [table.columns["value"] for table in tables.values()]
        self.shades = shades.choose(pictures, clip, self.options.levels)
        low, high = (float(self.shades.drawn(end)) for end in (self.shades.low, self.shades.high))
        figures.fit_bar(self.mapper, None, low, high)
        self.options.log.active = self.shades.kind != "linear"
        for place in self.places:
            self._draw_map(place, tables.get(place))
        self._link()
        similarity = None
        if self.same_plane and all(slot.whole for slot in self.slots.values()):
            similarity = fidelity.structural_similarity(*pictures)
        self.numbers.show(tables, self.names, similarity)
        self.side.visible = self.below.visible = any(t.columns["done"].any() for t in tables.values())
        self._draw_rest()

    def overlay(self, map_: Map, place: str) -> None:
        """Draws the path of a place on a map, and follows the drawing's options."""
        table = self.tables[place]
        columns = table.columns
        iteration = columns["iteration"]
        recorded = self.slots[place].run.table("steps", columns=["loss"]).columns["loss"]
        loss = np.where(iteration < len(recorded), recorded[np.minimum(iteration, len(recorded) - 1)], np.nan)
        extent = np.ptp(columns["x"]), np.ptp(columns["y"])
        map_.show_path(columns["path"], iteration, loss, axis_labels(table), extent)
        map_.set_path_visible(self.options.path)
        map_.set_contours_visible(self.options.contours)

    def _draw_map(self, place: str, table: Table | None) -> None:
        map_ = self.maps[place]
        if table is None or not table.columns["done"].any():
            map_.figure.visible = False
            self.bodies[place].styles = {"margin-top": "0"}
            self._say(place, "")
            return
        self.bodies[place].styles = {}
        columns = table.columns
        x, y = columns["x"], columns["y"]
        shown = self.shades.drawn(picture.filled(columns["value"], columns["done"]))
        values = {name: columns[name] for name in ("value", "deviation")}
        values["spread"] = picture.spreads(columns["deviation"])
        levels = self.shades.drawn(self.shades.levels)
        map_.show(x, y, shown, self.shades.ticks(), levels, values, relief=self.options.relief)
        self.overlay(map_, place)
        self._say(place, caption(table, self.shades, self.options.clip, self.slots[place].replay))

    def _draw_rest(self) -> None:
        for check in self.checks:
            check.show(self.tables, self.names, self.shades.kind == "log")
        if self.second:
            self.second.draw()

    def _say(self, place: str, words: str) -> None:
        title = "Loss surface" if len(self.places) == 1 else f"Loss surface: {self.names[place]}"
        card.retitle(self.cards[place], title=title, caption=words)

    def _arrange(self) -> None:
        """Gives the cards their places: two maps side by side, or one with its checks beside it."""
        two = len(self.places) == 2
        spans = {self.cards["a"]: (8, 6), self.side: (4, 6), self.below: (12, 6)}
        spans |= {self.second.root if self.second else self.coming[1]: (8, 12), self.numbers.root: (4, 12)}
        for root, span in spans.items():
            kept = [name for name in root.css_classes if not name.startswith("gd-span-")]
            root.css_classes = [*kept, f"gd-span-{span[two]}"]
        # Side by side the frames stand at one height, whatever is above them.
        self.root.css_classes = ["gd-grid", "gd-span-12", "gd-even"]
        self.root.children = [
            *(self.cards[place] for place in self.places),
            *([self.below, self.side] if two else [self.side, self.below]),
            *self.left_out,
        ]

    def _link(self) -> None:
        """Maps of one plane move together."""
        if "b" not in self.maps:
            return
        shared = self.maps["a"].ranges if self.same_plane else self.maps["b"].ranges
        b = self.maps["b"].figure
        if (b.x_range, b.y_range) != shared:
            b.x_range, b.y_range = shared

    # -- private ----------------------------------------------------------------------------------

    def _open(self, place: str) -> None:
        """Makes the card of a place when it is first needed: every figure makes the page open later."""
        name, probe = f"surface_{place}", self._probe(place)
        self.slots[place] = Slot(self.context, name, self.runs[place], probe, self.draw)
        self.maps[place] = Map(self.context, name, self.mapper, self._tapped)
        self.options.reset.js_on_click(self.maps[place].whole)
        self.cards[place] = self._card(place)
        # The browser fits the ranges when it has drawn the map and given it its height.
        self.maps[place].ranges[1].on_change("end", lambda attribute, old, new: self._complete())

    def _complete(self) -> None:
        """A map is on the screen: what stands beside it and below follows, once."""
        if self.second is not None:
            return
        along = ("fraction", "line_true", "line_value"), ("known", "known_true", "known_value")
        self.checks = (
            Check(self.context, "surface_line", "On the straight line", LINE_WORDS, along[0], "start to end"),
            Check(self.context, "surface_known", "On the path", KNOWN_WORDS, along[1], "iteration"),
        )
        self.second = second.Second(self.context, self, self._tapped)
        self.side = card.grid(self.context, *(check.root for check in self.checks))
        self.below = card.grid(self.context, self.second.root, self.numbers.root)
        self._draw_rest()
        self._arrange()  # one change of the document, and only then what refers to the new part
        self.options.reset.js_on_click(self.second.map.whole)

    def _card(self, place: str) -> Column:
        slot, map_ = self.slots[place], self.maps[place]
        first = place == "a"
        parts = [self.options.panel] if first else []
        body = card.box(self.context, *parts, slot.bar, map_.figure, slot.progress.root, classes=["gd-body"])
        body.stylesheets = [*body.stylesheets, self.sheet]
        self.bodies[place] = body
        return card.card(
            self.context, "Loss surface", "", body, name=f"surface_{place}", figures=[map_.figure],
            csv=lambda: cells_table(self.slots[place].table), controls=self.options.tools if first else [],
            span=6, read="surface",
        )  # fmt: skip

    def _listen(self) -> None:
        self.context.on("theme", self._theme)
        self.context.on("log", lambda: self.options.set_levels(self.shades.kind == "linear"))
        self.context.on("iteration", self._chosen)
        self.context.on("step", self._step)

    def _probe(self, place: str):
        def options(last: int | None) -> dict:
            method = self.options.method if place == "a" else self.options.other or self.options.method
            return self.options.probe(method, last)

        return options

    def _theme(self) -> None:
        self.mapper.palette = list(self.context.palette.magnitudes)

    def _tapped(self, iteration: int) -> None:
        self.context.iteration = iteration

    def _chosen(self, k: int | None) -> None:
        for map_ in (*self.maps.values(), *([self.second.map] if self.second else [])):
            map_.choose(k)

    def _step(self, step: int) -> None:
        """The arrow keys go along the points of the path that are drawn."""
        dots = np.asarray(self.maps["a"].sources["dots"].data["iteration"])
        if not len(dots):
            return
        k = self.context.iteration
        at = (0 if step > 0 else len(dots) - 1) if k is None else int(np.searchsorted(dots, k)) + step
        self.context.iteration = int(dots[min(max(at, 0), len(dots) - 1)])


def axis_labels(table: Table) -> tuple[str, str]:
    """What the axes are, with the share of the path's variance along them."""
    names = {"pca": ("PC 1", "PC 2"), "random": ("random direction 1", "random direction 2")}
    first, other = names.get(table.attrs["plane"], ("direction 1", "direction 2"))
    shares = table.attrs["explained"]
    if not np.isfinite(shares).all():
        return first, other
    one, two = (f"{100 * share:.3g} % of the variance" for share in shares)
    return f"{first}, {one}", f"{other}, {two}"


def caption(table: Table, scale: shades.Shades, clipped: bool, replay: dict | None) -> str:
    """What the map shows, and what it does not."""
    attrs, words = table.attrs, []
    words.append(f"Loss on {'the test set' if attrs['on'] == 'test' else 'the training set'}, with the path.")
    if clipped and np.isfinite(attrs["clip"]) and np.nanmax(table.columns["value"]) > scale.high:
        words.append(f"Losses above {shades.label(scale.high)} are drawn like it.")
    if scale.low == scale.high:
        words.append(f"It is {shades.label(scale.low)} everywhere.")
    done = int(table.columns["done"].sum())
    if not attrs["finished"]:
        words.append(f"{done:,} of {table.columns['value'].size:,} cells so far.")
    if attrs["holes"]:
        words.append(f"{counted(attrs['holes'], 'cell')} without a finite loss left empty.")
    if attrs["dropped"]:
        words.append(f"Left out of the path: {counted(attrs['dropped'], 'point')}, not finite.")
    if replay and replay.get("different"):
        words.append(
            f"The replayed training differs from its record in {replay['different']:,} of "
            f"{counted(replay['compared'], 'iteration')}, by {replay['largest']:.2g} at most."
        )
    return " ".join(words)


def cells_table(table: Table | None) -> Table:
    """The cells of a surface, one row each, for CSV."""
    if table is None:
        return Table({}, {}, {})
    x, y = np.meshgrid(table.columns["x"], table.columns["y"])
    columns = {"x": x, "y": y, **{name: table.columns[name] for name in ("value", "deviation", "done")}}
    columns = {name: np.ravel(array) for name, array in columns.items()}
    return Table(columns, dict.fromkeys(columns, ("cell",)), {})
