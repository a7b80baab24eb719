"""The card of the activations: their distribution in every layer, and units that never respond.

One row per layer over one axis; behind a ReLU only what lies right of 0 passes. Kuchta 2023, chapter 4.
"""

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Legend, LegendItem, Range1d, Span

from gdlab.messages import counted
from gdlab.records import Table
from server.pages.insides.maps import shown_layers
from server.ui import card, figures, sheets
from server.ui.choices import Choice
from server.ui.query import CardQuery

SCALES = {"own": "each layer's largest = 1", "shared": "one scale for all"}
ROW = 62  # px
EXAMPLES = 1000
BARS = ("layer", "left", "right", "bottom", "top", "low", "high", "count")
FACTS = ("x", "y", "text")


class Histograms:
    """ask(run, iteration, part) draws the distributions."""

    def __init__(self, context, sheet):
        self.context = context
        self.query = CardQuery(context, self._show, self._say, name="activations")
        self.bars = {
            sign: ColumnDataSource({name: [] for name in BARS}, name=f"activations_{sign}")
            for sign in ("negative", "positive")
        }
        self.facts = ColumnDataSource({name: [] for name in FACTS}, name="activations_facts")
        self.kind = Choice(
            context,
            "activations",
            "own",
            SCALES,
            help="The axis of the activations",
            changed=lambda value: self._again(),
        )
        self.figure = self._figure()
        self.query.layouts = [self.figure]
        body = card.box(context, self.figure, self.query.progress.root, classes=["gd-body"])
        sheets.wear(sheet, body)
        self.root = card.card(
            context, "Activations", "", body, name="activations", figures=[self.figure],
            csv=self._rows, controls=[self.kind.select("activations_scale", width=180)],
        )  # fmt: skip

    def ask(self, run, iteration: int, part: str) -> None:
        """Draws the distributions of this iteration on this part of the data."""
        self.query.probe(run, "activations", {"iteration": iteration, "on": part, "samples": EXAMPLES})

    def _again(self) -> None:
        if self.query.answer is not None:
            self._show(self.query.answer)

    def _show(self, table: Table) -> None:
        columns = table.columns
        layers = [str(layer) for layer in columns["layer"]]
        rows = _shown_rows(layers)
        own = self.kind.value == "own"
        bars: dict[str, dict[str, list]] = {sign: {name: [] for name in BARS} for sign in self.bars}
        limits, names, words = [], {}, []
        for at, row in enumerate(rows):
            edges = np.asarray(columns["edges"][row], float)
            unit = (np.abs(edges[[0, -1]]).max() or 1.0) if own else 1.0
            limits += [edges[0] / unit, edges[-1] / unit]
            _add_bars(bars, layers[row], edges, columns["count"][row], -float(at), unit)
            names[-float(at)] = layers[row]
            words.append((-float(at) + 0.62, _facts(columns, row)))
        for sign, source in self.bars.items():
            source.data = bars[sign]
        self._axes(limits, names, own)
        x_range = self.figure.x_range
        right = x_range.end - 0.005 * (x_range.end - x_range.start)
        self.facts.data = {
            "x": [right] * len(words),
            "y": [y for y, _ in words],
            "text": [t for _, t in words],
        }
        attrs = table.attrs
        self._say(
            f"Before the activation function, {counted(attrs['examples'], 'example')}. "
            "Behind a ReLU only what lies right of 0 passes; a silent unit never does."
        )

    def _axes(self, limits: list[float], names: dict[float, str], own: bool) -> None:
        low, high = min(limits, default=-1.0), max(limits, default=1.0)
        margin = 0.02 * (high - low)
        # Right of the bars stands what was counted.
        self.figure.x_range.update(start=low - margin, end=high + 0.32 * (high - low))
        self.figure.y_range.update(start=-len(names) + 0.9, end=1.0)
        self.figure.height = 60 + ROW * max(len(names), 1)
        axis = self.figure.yaxis[0]
        middles = {base + 0.4: name for base, name in names.items()}
        axis.ticker = FixedTicker(ticks=list(middles), minor_ticks=[])
        axis.major_label_overrides = middles
        self.figure.ygrid[0].ticker = FixedTicker(ticks=list(names), minor_ticks=[])
        self.figure.xaxis[0].bounds = (low - margin, high + margin)
        self.figure.xaxis.axis_label = "activation / the layer's largest magnitude" if own else "activation"

    def _figure(self):
        plot = figures.figure(
            "activations_figure", height=240, x_range=Range1d(-1, 1), y_range=Range1d(-1, 1),
            x_label="activation",
        )  # fmt: skip
        plot.toolbar.active_scroll = plot.toolbar.active_drag = None
        plot.min_border_left = 96
        plot.yaxis.axis_line_color = plot.yaxis.major_tick_line_color = None
        zero = Span(location=0, dimension="height", line_width=1, line_dash="dashed", level="underlay")
        self.context.paint(zero, line_color="descent")
        plot.add_layout(zero)
        tips = [
            ("layer", "@layer"), ("from", "@low{%.4g}"), ("to", "@high{%.4g}"), ("values", "@count{0,0}"),
        ]  # fmt: skip
        items = []
        for sign, role in (("negative", "context"), ("positive", "accent")):
            drawn = plot.quad(
                left="left",
                right="right",
                bottom="bottom",
                top="top",
                source=self.bars[sign],
                line_color=None,
            )
            self.context.paint(drawn.glyph, fill_color=role)
            hover = HoverTool(renderers=[drawn], tooltips=tips, visible=False)
            hover.formatters = {"@low": "printf", "@high": "printf"}
            plot.add_tools(hover)
            label = "below 0" if sign == "negative" else "above 0"
            items.append(LegendItem(label={"value": label}, renderers=[drawn]))
        legend = Legend(items=items, orientation="horizontal", location="left", padding=2, spacing=14)
        self.context.paint(legend, background_fill_color="card")
        plot.add_layout(legend, "above")
        facts = plot.text(
            "x", "y", "text", source=self.facts, text_align="right", text_baseline="middle",
            text_font={"value": "Inter"}, text_font_size="11px",
        )  # fmt: skip
        self.context.paint(facts.glyph, text_color="muted")
        return plot

    def _say(self, words: str) -> None:
        card.retitle(self.root, caption=words)

    def _rows(self) -> Table:
        """For CSV: one row per layer, its edges and counts in columns."""
        table = self.query.rows()
        rows = _shown_rows(table.columns.get("layer", ()))
        return Table({name: array[rows] for name, array in table.columns.items()}, table.dims, table.attrs)


def _shown_rows(layers) -> list[int]:
    names = [str(layer) for layer in layers]
    return [names.index(layer) for layer in shown_layers(names)]


def _add_bars(bars: dict, layer: str, edges, counts, base: float, unit: float) -> None:
    """The bars of one layer, 0.85 high where they are highest; the bin around 0 is cut in two."""
    highest = max(int(np.max(counts)), 1)
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        for sign, left, right in (("negative", low, min(high, 0.0)), ("positive", max(low, 0.0), high)):
            if left < right and count:
                row = (
                    layer,
                    left / unit,
                    right / unit,
                    base,
                    base + 0.85 * count / highest,
                    low,
                    high,
                    int(count),
                )
                for name, value in zip(BARS, row, strict=True):
                    bars[sign][name].append(value)


def _facts(columns, row: int) -> str:
    words = [
        f"above 0: {100 * columns['positive'][row]:.1f} %",
        f"silent units: {100 * columns['silent'][row]:.1f} %",
    ]
    if columns["nonfinite"][row]:
        words.append(f"{columns['nonfinite'][row]:,} not finite")
    return " · ".join(words)
