"""How far a surface can be trusted: against the losses that are known for certain, and in numbers.

The straight line between start and end, where direct interpolation gives the true loss (Kuchta 2023,
section 6.4), and points of the path, whose parameters are known.
"""

import math

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Legend, LegendItem, Line, Range1d, Scatter

from gdlab.records import Table
from server.ui import card, figures, shades
from server.ui.shades import label

TRUE = "true loss"
ROWS = {  # of `attrs["fidelity"]`
    "line_error": "mean error on the straight line",
    "known_error": "mean error at points of the path",
    "roughness": "roughness",
}
PLACES = ("a", "b")


class Check:
    """A card with the true loss and the loss on one or two surfaces along a line.

    x, truth, value: columns of the surface's Table. Sources: NAME_a, and NAME_b once there is a second one.
    """

    def __init__(self, context, name: str, title: str, caption: str, columns, x_label: str, span: int = 12):
        self.context, self.name, self.columns = context, name, columns
        self.figure = figures.figure(
            name + "_figure", height=170, x_range=Range1d(0, 1), y_range=Range1d(0, 1, name=f"{name}_y"),
            x_label=x_label, y_label="loss",
        )  # fmt: skip
        self.sources, self.drawn = {}, {}
        legend = Legend(items=[], location="top_left", orientation="horizontal", padding=2, spacing=12)
        legend.label_text_font_size = "11px"
        context.paint(legend, background_fill_color=lambda p: p.card)
        self._draw("a")
        self.legend = legend
        self.figure.add_layout(legend, "above")
        self.root = card.card(
            context,
            title,
            caption,
            self.figure,
            read="surface_checks",
            name=name,
            figures=[self.figure],
            csv=self.table,
            span=span,
        )

    def show(self, tables: dict[str, Table], names: dict[str, str], log: bool) -> None:
        """Draws the surfaces {"a", "b": Table}, called by their names in the legend."""
        items = []
        if "b" in tables and "b" not in self.sources:
            self._draw("b")
        for place in self.sources:
            columns = tables[place].columns if place in tables else None
            x, true, value = self._values(columns) if columns is not None else ([], [], [])
            self.sources[place].data = {"x": x, "true": true, "value": value}
            if np.isfinite(value).any():
                items.append((names[place], self.drawn[place]["value"]))
        one, *others = (source.data["true"] for source in self.sources.values())
        same = len(tables) < 2 or np.array_equal(one, others[0], equal_nan=True)
        if others:
            self.drawn["b"]["true"].visible = not same
        if np.isfinite(np.asarray(one, float)).sum() > 1:
            items.append((TRUE, self.drawn["a"]["true"]))
        if not same:
            items.append((f"{TRUE}, {names['b']}", self.drawn["b"]["true"]))
        self.legend.items = [LegendItem(label={"value": words}, renderers=[r]) for words, r in items]
        self._fit(log)

    def table(self) -> Table:
        """What is drawn, for CSV."""
        columns = {}
        for place, source in self.sources.items():
            if len(source.data["x"]):
                columns |= {f"{key}_{place}": np.asarray(array) for key, array in source.data.items()}
        return Table(columns, dict.fromkeys(columns, ("point",)), {})

    def _draw(self, place: str) -> None:
        source = ColumnDataSource({"x": [], "true": [], "value": []}, name=f"{self.name}_{place}")
        plot, number = self.figure, PLACES.index(place)
        glyphs = (
            Line(x="x", y="true", line_width=1.75, line_dash="solid"),
            Line(x="x", y="value", line_width=1.75),
            Scatter(x="x", y="value", size=4, line_color=None),
        )
        true, value, dots = (figures.draw(plot, source, glyph) for glyph in glyphs)
        self.context.paint(true.glyph, line_color="segment")
        for glyph, role in ((value.glyph, "line_color"), (dots.glyph, "fill_color")):
            self.context.paint(glyph, **{role: lambda p, number=number: p.categories[number]})
        if place == "b":
            true.glyph.line_dash = [2, 3]
        tips = [(self.figure.xaxis.axis_label, "@x"), ("surface", "@value{%.6g}"), (TRUE, "@true{%.6g}")]
        printf = {"@value": "printf", "@true": "printf"}
        plot.add_tools(HoverTool(renderers=[dots], tooltips=tips, formatters=printf, visible=False))
        self.sources[place], self.drawn[place] = source, {"true": true, "value": value}

    def _values(self, columns) -> tuple:
        x, true, value = (columns[name] for name in self.columns)
        return (known_iterations(columns) if self.columns[0] == "known" else x), true, value

    def _fit(self, log: bool) -> None:
        data = [source.data for source in self.sources.values()]
        x = np.concatenate([np.asarray(part["x"], float) for part in data])
        values = np.concatenate(
            [np.asarray(part[name], float) for part in data for name in ("true", "value")]
        )
        values = values[np.isfinite(values)]
        if not values.size:
            return
        self.figure.x_range.update(start=float(x.min()), end=float(max(x.max(), x.min() + 1e-9)))
        low, high = float(values.min()), float(values.max())
        if log and 0 < low < high:
            self._axis("log", low * (low / high) ** 0.06, high * (high / low) ** 0.06)
            levels = shades.choose([values], wanted="log").levels
            ticker = FixedTicker(ticks=levels[:: max(1, -(-len(levels) // 5))].tolist(), minor_ticks=[])
            self.figure.yaxis[0].ticker = self.figure.ygrid[0].ticker = ticker
        else:
            margin = 0.06 * (high - low) or abs(high) or 1.0
            self._axis("linear", low - margin, high + margin)

    def _axis(self, scale: str, low: float, high: float) -> None:
        self.figure.yaxis[0].tags = []  # its ticks may be others than its scale has
        if scale == "log":  # positive before the axis is logarithmic
            self.figure.y_range.update(start=low, end=high)
        figures.set_scale(self.figure, "y", scale)
        self.figure.y_range.update(start=low, end=high)


class Numbers:
    """A card that lists what is known about one or two surfaces; texts NAME_what, NAME_a, NAME_b."""

    def __init__(self, context, name: str, span: int = 4):
        self.rows: dict[str, list[str]] = {"what": [], "a": [], "b": []}
        self.texts = {part: card.text("", "gd-message", name=f"{name}_{part}") for part in self.rows}
        for part, words in self.texts.items():
            words.styles = {"white-space": "pre", "font-variant-numeric": "tabular-nums"}
            if part != "what":
                words.styles |= {"text-align": "right", "--gd-muted": "var(--gd-ink)"}
        body = card.row(
            context, *self.texts.values(), classes=["gd-bar", "gd-scroll"], sizing_mode="stretch_width"
        )
        body.styles = {"align-items": "flex-start", "gap": "24px"}
        caption = "Errors are mean distances from the true loss on the same examples."
        self.root = card.card(
            context, "In numbers", caption, body, read="surface_checks", name=name, csv=self.table, span=span
        )

    def show(self, tables: dict[str, Table], names: dict[str, str], similarity: float | None) -> None:
        """Fills the list; similarity: structural, of the two, None where there are not two of one grid."""
        found = {place: numbers(table) for place, table in tables.items()}
        what = list(next(iter(found.values()), {}))
        self.rows = {"what": what, **{p: [found[p][w] for w in what] for p in PLACES if p in found}}
        if similarity is not None:
            extra = {"what": "structural similarity", "a": "", "b": label(similarity)}
            self.rows = {part: [*texts, extra[part]] for part, texts in self.rows.items()}
        for part, words in self.texts.items():
            words.text = "\n".join([names.get(part, ""), *self.rows.get(part, ())])
            words.visible = part in self.rows

    def table(self) -> Table:
        """The rows, for CSV."""
        columns = {name: np.asarray(values) for name, values in self.rows.items()}
        return Table(columns, dict.fromkeys(columns, ("row",)), {})


def numbers(table: Table) -> dict[str, str]:
    """{what: text} about a surface; a dash where it is not known yet."""
    facts, attrs = table.attrs["fidelity"], table.attrs
    rows = {words: _text(facts[name]) for name, words in ROWS.items()}
    rows["local minima, maxima"] = f"{facts['minima']:,}, {facts['maxima']:,}"
    rows["cells without a finite loss"] = f"{attrs['holes']:,}"
    explained = attrs["explained"]
    rows["variance explained"] = "–" if not np.isfinite(explained).all() else f"{100 * sum(explained):.1f} %"
    rows["points of the path"] = f"{len(table.columns['path']):,}"
    rows["initial loss"] = _text(attrs["initial_loss"])
    return rows


def known_iterations(columns) -> np.ndarray:
    """Iterations of the points of the path whose loss is known for certain."""
    from gdlab.analysis.surface import known_positions

    return columns["iteration"][known_positions(len(columns["iteration"]))]


def _text(value: float) -> str:
    return label(value) if math.isfinite(value) else "–"
