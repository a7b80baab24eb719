"""The second map: how uncertain the losses are, how two differ, how far apart their parameters lie."""

import numpy as np
from bokeh.models import LinearColorMapper, Select

from gdlab.analysis import surface
from gdlab.analysis.surface_options import settings
from gdlab.analysis.surfaces import grid
from gdlab.records import Table
from server.pages.surface import picture
from server.pages.surface.plot import Map
from server.ui import card, figures, shades, sheets
from server.ui.choices import button
from server.ui.query import Query

TIPS = [("value", "@value{%.6g}"), ("at", "(@at_x{%.4g}, @at_y{%.4g})")]
TITLES = {
    "uncertainty": "Uncertainty",
    "uncertainty_b": "Uncertainty of the second",
    "difference": "Difference of the losses",
    "distance": "Distance of the parameters",
}
SPREADS = {
    "bootstrap": "if the examples were drawn again",
    "dropout": "over dropout masks",
    "late": "where late points of the path scatter",
}


class Second:
    """map, root; `draw` follows the surfaces of a SurfacePage. kind: one of TITLES."""

    def __init__(self, context, page, on_tap):
        self.context, self.page = context, page
        self.query = Query(
            context, lambda table: self.draw(), name="surface_second", failed=lambda why: self.draw(),
            cancelled=self.draw,
        )  # fmt: skip
        self.kind = context.state.get("second", "", choices=tuple(TITLES))
        self.shown: Table | None = None
        self._asked: dict | None = None
        self.mapper = LinearColorMapper(
            palette=list(context.palette.magnitudes), low=0, high=1, name="surface_second_mapper"
        )
        self.map = Map(context, "surface_second", self.mapper, on_tap, TIPS)
        self.map.figure.height = page.maps["a"].figure.height
        self.select = Select(
            name="surface_kind", value="uncertainty", width=220, stylesheets=[context.sheet],
            options=[("uncertainty", TITLES["uncertainty"])], html_attributes={"title": "What is mapped"},
        )  # fmt: skip
        self.select.on_change("value", lambda attribute, old, new: self._set(new))
        self.words = card.text("", "gd-message", name="surface_second_words")
        name_ = "surface_second_compute"
        self.button = button(
            context, "Compute", name_, "What is missing of it", self._compute, classes=["gd-primary"]
        )
        self.bar = card.row(context, self.words, self.button, classes=["gd-bar"], visible=False)
        body = card.box(context, self.bar, self.map.figure, self.query.progress.root, classes=["gd-body"])
        body.stylesheets = [*body.stylesheets, sheets.sheet("curve")]
        self.root = card.card(
            context, TITLES["uncertainty"], "", body,
            read="surface", name="surface_second", figures=[self.map.figure],
            csv=self.table, controls=[self.select], span=8,
        )  # fmt: skip
        self.root.visible = False
        context.on("theme", self.draw)

    @property
    def kinds(self) -> list[str]:
        """What can be mapped of the surfaces that there are, the most telling first."""
        tables = {p: table for p, table in self.page.tables.items() if table.columns["done"].any()}
        kinds = []
        if len(tables) == 2 and self.page.same_plane:
            kinds.append("difference")
            if not tables["a"].attrs["refine"]:
                kinds.append("distance")
        if "a" in tables:
            kinds.append("uncertainty")
        if "b" in tables:
            kinds.append("uncertainty_b")
        return kinds

    def draw(self) -> None:
        """Draws what the surfaces of the page give."""
        kinds = self.kinds
        if self.query.waiting and self._wanted() != self._asked:
            self.query.forget()  # other surfaces are shown now
        self.root.visible = bool(kinds)
        if not kinds:
            return
        kind = self.kind if self.kind in kinds else kinds[0]
        options = [(name, TITLES[name]) for name in kinds]
        if self.select.options != options:
            self.select.options = options
        self.select.value = kind
        self.select.visible = len(kinds) > 1
        value, done, words = getattr(self, f"_{kind.removesuffix('_b')}")("b" if kind[-2:] == "_b" else "a")
        there = bool(np.isfinite(value).any())
        self.bar.visible = not there and not self.query.waiting
        self.button.visible = kind == "distance"
        self.words.text = words if not there else ""
        if there and np.nanmin(value) == np.nanmax(value):
            words += f" It is {shades.label(np.nanmax(value))} everywhere."
        card.retitle(self.root, title=TITLES[kind], caption=words if there else "")
        self.map.figure.visible = there
        self.shown = None
        if there:
            self._show("b" if kind == "uncertainty_b" else "a", value, done, signed=kind == "difference")
        # After everything that is drawn: what whoever drives the page from outside may wait for.
        self.root.tags = [kind, "computing" if self.query.waiting else "whole" if there else "missing"]

    def table(self) -> Table:
        """The cells of the map, one row each, for CSV."""
        return self.shown or Table({}, {}, {})

    # -- what is mapped: (picture, mask of its cells, words) --------------------------------------

    def _uncertainty(self, place: str):
        table = self.page.tables[place]
        value, kind = table.columns["deviation"], table.attrs["uncertainty"]
        if not np.isfinite(value).any():
            reason = "There are no examples, or too few, to tell how uncertain the losses are."
            return value, table.columns["done"], reason if table.columns["done"].any() else ""
        with np.errstate(invalid="ignore", divide="ignore"):
            share = table.columns["deviation_error"] / value
        known = share[np.isfinite(share)]
        precise = f" Its standard error: {100 * np.median(known):.2g} % (median)." if known.size else ""
        words = f"Standard deviation of the mean loss, {SPREADS[kind]}.{precise}"
        return value, table.columns["done"], words

    def _difference(self, place: str):
        tables, names, clip = self.page.tables, self.page.names, self.page.shades.high
        one, other = (tables[p].columns["value"] for p in ("a", "b"))
        done = tables["a"].columns["done"] & tables["b"].columns["done"]
        if self.page.options.clip:
            one, other = np.minimum(one, clip), np.minimum(other, clip)
        value = np.where(done, other - one, np.nan)
        largest = np.nanmax(np.abs(value)) if np.isfinite(value).any() else np.nan
        words = f"Loss of {names['b']} less that of {names['a']}; {shades.label(largest)} at most."
        return value, done, words if np.isfinite(largest) else ""

    def _distance(self, place: str):
        table = self.page.tables["a"]
        value = np.full(table.columns["value"].shape, np.nan)
        chosen = [settings(slot.run, **slot.chosen) for slot in self.page.slots.values()]
        cache = surface.distance_cache(self.page.slots["a"].run, *chosen)
        done = np.asarray(cache.done(0, value.size))
        order = grid.order(len(table.columns["x"]), len(table.columns["y"]))
        value.ravel()[order] = np.where(done, cache.read(0, value.size)["distance"], np.nan)
        words = "L² distance between the parameters of the two methods at every point of the plane."
        if not done.all():
            words += " Not computed yet." if not done.any() else " Not complete."
        return value, np.isfinite(value), words

    # -- private ----------------------------------------------------------------------------------

    def _show(self, place: str, value, done, signed: bool) -> None:
        columns = self.page.tables[place].columns
        x, y = columns["x"], columns["y"]
        scale = shades.choose([value], wanted="linear")
        if signed:
            reach = max(abs(scale.low), abs(scale.high)) or 1.0
            scale = scale._replace(low=-reach, high=reach)
        palette = self.context.palette.signed if signed else self.context.palette.magnitudes
        self.mapper.palette = list(palette)
        figures.fit_bar(self.mapper, None, scale.low, scale.high)
        shown = picture.filled(value, done)
        relief = self.page.options.relief
        self.map.show(x, y, shown, scale.ticks(), scale.levels, {"value": value}, relief=relief)
        self.page.overlay(self.map, place)
        ranges = self.page.maps[place].figure
        plot = self.map.figure
        if (plot.x_range, plot.y_range) != (ranges.x_range, ranges.y_range):
            plot.x_range, plot.y_range = ranges.x_range, ranges.y_range
        across, up = (np.ravel(axis) for axis in np.meshgrid(x, y))
        cells = {"x": across, "y": up, "value": np.ravel(value)}
        self.shown = Table(cells, dict.fromkeys(cells, ("cell",)), {})

    def _set(self, kind: str) -> None:
        kinds = self.kinds
        if kind not in kinds:
            return
        self.kind = kind
        self.context.state.set("second", None if kind == kinds[0] else kind)
        self.draw()

    def _wanted(self) -> dict | None:
        """Options of the probe for the distances between the surfaces of the page; None without two."""
        slots, options = self.page.slots, self.page.options
        if "a" not in slots or not options.other:
            return None
        return {**slots["a"].chosen, "against": options.against(options.other)}

    def _compute(self) -> None:
        wanted = self._asked = self._wanted()
        if wanted is None:
            return
        self.bar.visible = False
        self.query.forget()
        self.query.probe(self.page.slots["a"].run, "surface", wanted, "Distances")
