"""A card with one band per layer: distributions of weights, gradients, activations, or one number."""

import numpy as np
from bokeh.models import Button, Select

from gdlab.records import Table
from server.pages.tracker.health.figure import Bands, Row
from server.pages.tracker.layers import statistics
from server.ui import card

PAGE = 12  # layers at once
FULL, LEAST, MOST = 420, 30, 90  # px: of all bands, and of one
OWN = {"common": "one scale", "own": "a scale per layer"}
TIPS = (
    ("maximum", "max"),
    ("upper quartile", "q3"),
    ("median", "median"),
    ("lower quartile", "q1"),
    ("minimum", "min"),
)


class Shown:
    """Which layers the cards show: the same page of them in all."""

    def __init__(self, context):
        self.context, self.first = context, PAGE * context.state.get("health_page", 0, low=0, high=10_000)

    def turn(self, by: int, count: int) -> None:
        """Another page of `count` rows; emits "health_page"."""
        first = self.first + by * PAGE
        if 0 <= first < count:
            self.first = first
            self.context.state.set("health_page", first // PAGE or None)
            self.context.emit("health_page")


class Rows:
    """root: the card. kinds(dumps) gives what can be chosen, {kind: words}; rows(dumps, kind) -> [Row]."""

    def __init__(self, context, tracker, name: str, title: str, source, shown: Shown):
        self.context, self.tracker, self.name, self.shown, self.source = context, tracker, name, shown, source
        self.kinds = source.kinds(tracker.dumps)
        state, sheet = context.state, [context.sheet]
        self.kind = state.get(f"{name}_kind", next(iter(self.kinds), ""), choices=tuple(self.kinds))
        self.own = state.get(f"{name}_own", source.own)
        self.bands = Bands(context, tracker, name)
        kind = Select(options=list(self.kinds.items()), value=self.kind, width=130, name=f"{name}_kind")
        kind.update(stylesheets=sheet)
        kind.on_change("value", lambda a, o, new: self.choose(kind=new))
        scale = Select(options=list(OWN.items()), value="own" if self.own else "common", width=130)
        scale.update(name=f"{name}_scale", stylesheets=sheet)
        scale.on_change("value", lambda a, o, new: self.choose(own=new == "own"))
        self.turners = [self._turner("‹", -1), self._turner("›", 1)]
        figures = [self.bands.figure]
        self.root = card.card(
            context, title, "", self.bands.figure, name=name, figures=figures, csv=self.table,
            controls=[kind, scale, *self.turners], span=6,
        )  # fmt: skip
        context.on("health_page", self.draw)
        self.draw()

    def choose(self, *, kind: str | None = None, own: bool | None = None) -> None:
        """Another quantity, or another scale."""
        self.kind = kind or self.kind
        self.own = self.own if own is None else own
        self.context.state.update({f"{self.name}_kind": self.kind, f"{self.name}_own": self.own})
        self.draw()

    def draw(self) -> None:
        """The page of rows that is shown."""
        rows = self._rows()
        self.shown.first = min(self.shown.first, PAGE * max(0, (len(rows) - 1) // PAGE))
        first = self.shown.first
        page = rows[first : first + PAGE]
        height = float(np.clip(FULL / max(1, len(page)) - 10, LEAST, MOST))
        log = self.kind in self.source.logarithmic
        marks = [statistics.USUAL] if self.kind == "update_ratio" and page else []
        self.bands.draw(page, height, own=self.own, log=log, marks=marks)
        self.bands.tell(TIPS if page and page[0].five else [(self.kinds.get(self.kind, ""), "value0")])
        for button in self.turners:
            button.visible = len(rows) > PAGE
        card.retitle(self.root, caption=self._caption(rows, page))

    def table(self) -> Table:
        """For CSV: layer, iteration, and the numbers of every layer, shown or not."""
        rows, dumps = self._rows(), self.tracker.dumps
        columns = {
            "layer": np.repeat([row.name for row in rows], dumps.count),
            "iteration": np.tile(dumps.iteration, len(rows)),
        }
        names = statistics.BOX if rows and rows[0].five else (self.kind,)
        for i, name in enumerate(names):
            columns[name] = np.concatenate([row.values()[i] for row in rows] or [np.empty(0)])
        return Table(columns, dict.fromkeys(columns, ("value",)), {})

    def _rows(self) -> list[Row]:
        return self.source.rows(self.tracker.dumps, self.kind) if self.kind else []

    def _caption(self, rows, page) -> str:
        if not page:
            return self.source.nothing
        words = [self.source.words]
        if self.kind in self.source.logarithmic:
            words.append("Logarithmic." + (" Dashed: 0.001." if self.kind == "update_ratio" else ""))
        if len(rows) > len(page):
            first = self.shown.first
            words.append(f"Layers {first + 1} to {first + len(page)} of {len(rows)}.")
        return " ".join(words)

    def _turner(self, label, by):
        button = Button(label=label, name=f"{self.name}_{'before' if by < 0 else 'after'}")
        button.update(css_classes=["gd-quiet"], stylesheets=[self.context.sheet])
        button.update(html_attributes={"title": "Other layers"})
        button.on_click(lambda: self.shown.turn(by, len(self._rows())))
        return button


class Distributions:
    """Weights, gradients and activations of every layer: median, quartiles, extremes."""

    words = "Median, quartiles, minimum to maximum."
    nothing = "No distribution was recorded."
    own = True
    logarithmic: tuple = ()

    @staticmethod
    def kinds(dumps) -> dict[str, str]:
        """Those that were recorded."""
        there = statistics.distributions(dumps.run, "layer") if dumps.nodes else {}
        return there | (
            {"activation": "activations"} if statistics.distributions(dumps.run, "activation") else {}
        )

    @staticmethod
    def rows(dumps, kind: str) -> list[Row]:
        """One per layer of the network, or per activation."""
        if kind == "activation":
            found = [dumps.activation(what) for what in statistics.BOX]
            nodes = {node.name: i for i, node in enumerate(dumps.nodes)}
            return [Row(n, {}, tuple(part[n] for part in found), nodes.get(n)) for n in found[0]]
        found = [dumps.layer(f"{kind}_{what}") for what in statistics.BOX]
        return [Row(dumps.nodes[i].name, {}, tuple(p[:, i] for p in found), i) for i in dumps.layers()]


class Numbers:
    """The update ratio of every layer, and the share of zeros of its activations."""

    words = "One line per layer."
    nothing = "Neither updates nor activations were recorded."
    own = False
    logarithmic = ("update_ratio", "cosine_distance")

    @staticmethod
    def kinds(dumps) -> dict[str, str]:
        """Those that were recorded."""
        there = statistics.available(dumps.run, "layer") if dumps.nodes else {}
        out = {name: there[name] for name in ("update_ratio", "cosine_distance") if name in there}
        place = "behind" if dumps.behind else "before"
        words = f"zeros of activations, {place} the nonlinearity"
        return out | ({"zeros": words} if dumps.activation("zeros") else {})

    @staticmethod
    def rows(dumps, kind: str) -> list[Row]:
        """One per layer of the network, or per activation."""
        nodes = {node.name: i for i, node in enumerate(dumps.nodes)}
        if kind == "zeros":
            return [Row(n, {n: values}, (), nodes.get(n)) for n, values in dumps.activation("zeros").items()]
        values = dumps.layer(kind)
        return [Row(dumps.nodes[i].name, {kind: values[:, i]}, (), i) for i in dumps.layers()]
