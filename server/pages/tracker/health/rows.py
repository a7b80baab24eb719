"""A card with one band per layer: distributions of weights, gradients, activations, or one number."""

import numpy as np

from gdlab.records import Table
from server.pages.tracker.health.figure import Bands, Row
from server.pages.tracker.layers import statistics
from server.ui import card
from server.ui.choices import Choice
from server.ui.pager import Pager

PAGE = 12  # layers at once
FULL, LEAST, MOST = 420, 30, 90  # px: of all bands, and of one
OWN = {False: "one scale", True: "a scale per layer"}
TIPS = (
    ("maximum", "max"),
    ("upper quartile", "q3"),
    ("median", "median"),
    ("lower quartile", "q1"),
    ("minimum", "min"),
)


class Rows:
    """root: the card. kinds(dumps) gives what can be chosen, {kind: words}; rows(dumps, kind) -> [Row]."""

    def __init__(self, context, tracker, name: str, title: str, source, page: Choice):
        self.context, self.tracker, self.name, self.source = context, tracker, name, source
        self.kinds = source.kinds(tracker.dumps)
        usual = next(iter(self.kinds), "")
        self.choice = Choice(context, f"{name}_kind", usual, self.kinds, help="Of each layer")
        self._own = Choice(context, f"{name}_own", source.own, OWN, help="Of the values of a layer")
        self.pager = Pager(context, page, PAGE, name=name, what="layers")
        self.bands = Bands(context, tracker, name)
        figures = [self.bands.figure]
        self.root = card.card(
            context, title, "", self.bands.figure, read="health", name=name, figures=figures, csv=self.table,
            controls=[
                self.choice.select(f"{name}_kind"), self._own.select(f"{name}_scale"), *self.pager.buttons,
            ],
            span=6,
        )  # fmt: skip
        for choice in (self.choice, self._own, page):
            choice.on_change(lambda value: self.draw())
        self.draw()

    @property
    def kind(self) -> str:
        """What is drawn; "" where nothing was recorded."""
        return self.choice.value

    def draw(self) -> None:
        """The page of rows that is shown."""
        rows = self._rows()
        page = self.pager.part(rows)
        height = float(np.clip(FULL / max(1, len(page)) - 10, LEAST, MOST))
        log = self.kind in self.source.logarithmic
        marks = [statistics.USUAL] if self.kind == "update_ratio" and page else []
        self.bands.draw(page, height, own=self._own.value, log=log, marks=marks)
        self.bands.tell(TIPS if page and page[0].five else [(self.kinds.get(self.kind, ""), "value0")])
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
            first = self.pager.first
            words.append(f"Layers {first + 1} to {first + len(page)} of {len(rows)}.")
        return " ".join(words)


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
