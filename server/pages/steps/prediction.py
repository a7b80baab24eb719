"""Do early step sizes foretell how low a run gets? One point per run, and a rank correlation.

Kuchta 2023, chapter 5: whether the size of early steps, and whether they fall or climb, says something
about the minimum loss.
"""

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d

from gdlab.analysis import step_sizes, steps
from gdlab.messages import counted
from gdlab.records import Table
from server.core.context import Context, View
from server.pages.steps.data import reader
from server.pages.steps.page import page
from server.pages.steps.panel import having
from server.pages.steps.summary import PREDICTION_RUNS, lowest
from server.ui import card, figures
from server.ui.choices import Choice

SHARE = 0.1
MEASURES = {"step size": "early step size", "trend": "early trend"}
LABELS = {"step size": "mean early |Δθ|", "trend": "rank correlation of early |Δθ| with k"}
EMPTY = ("run", "x", "y", "colour")


def build(context: Context) -> View:
    """The card, from four runs on; nothing with fewer."""
    names = having(context, "update_norm")
    if len(names) < PREDICTION_RUNS:
        hidden = card.box(context, classes=["gd-none"], visible=False, name="step_prediction")
        return View(hidden, lambda: None)
    return _Prediction(context, names).view


class _Prediction:
    def __init__(self, context: Context, names: list[str]):
        self.context, self.names, self.shared = context, names, page(context)
        self._share = Choice(
            context, "share", SHARE, (0.01, 1.0), title="Early share", help="Of all iterations of a run"
        )
        self._measure = Choice(
            context, "foretell", "step size", MEASURES, help="What is to foretell the loss"
        )
        self._known: dict[tuple, tuple[float, float]] = {}
        self.runs = Table({}, {}, {})
        self.result = Table({}, {}, {})
        self.source = ColumnDataSource({name: [] for name in EMPTY}, name="step_prediction_points")
        self.figure = self._figure()
        tools = [
            self._share.slider("share_slider", step=0.01, format="0 %", width=110),
            self._measure.select("foretell_select", width=120),
        ]
        body = card.box(context, card.row(context, *tools, classes=["gd-tools"]), self.figure,
                        classes=["gd-body"])  # fmt: skip
        self.root = card.card(
            context,
            "Do early steps foretell the loss?",
            "",
            body,
            name="step_prediction",
            figures=[self.figure],
            csv=lambda: self.runs,
            span=4,
        )
        self._share.on_change(lambda value: self.update())
        self._measure.on_change(lambda value: self._draw())
        context.on("window", self.update)
        context.on("theme", self._draw)
        context.on("colour", lambda run: self._draw())
        self.view = View(self.root, self.update)
        self.update()

    def update(self) -> None:
        """Ranks again; what is known of runs that have not grown is kept."""
        early = [self._early(name) for name in self.names]
        sizes, trends = (np.array(column, float) for column in zip(*early, strict=True))
        low = np.array([lowest(self.shared, self.context.run(name)) for name in self.names])
        columns = {
            "run": np.array(self.names, object),
            "step size": sizes,
            "trend": trends,
            "lowest loss": low,
        }
        self.runs = Table(columns, dict.fromkeys(columns, ("run",)), {"share": self._share.value})
        self.result = step_sizes.prediction(sizes, trends, low)
        self._draw()

    def _early(self, name: str) -> tuple[float, float]:
        run = self.context.run(name)
        key = (name, run.key, run.rows("scalars"), self._share.value)
        if key not in self._known:
            self._known[key] = step_sizes.early(reader(run, "update_norm"), key[2], self._share.value)
        return self._known[key]

    def _draw(self) -> None:
        x, y = self.runs.columns[self._measure.value], self.runs.columns["lowest loss"]
        colours = [self.context.colour(name) for name in self.names]
        labels = [self.context.short_label(name) for name in self.names]
        self.source.data = {"run": labels, "x": x, "y": y, "colour": colours}
        for dimension, values, wanted in (
            ("x", x, "linear" if self._measure.value == "trend" else "auto"),
            ("y", y, "auto"),
        ):
            scale = steps.axis_scale(values, wanted)
            low, high = steps.view_range(values, scale, margin=0.1)
            getattr(self.figure, f"{dimension}_range").update(start=low, end=high)
            figures.set_scale(self.figure, dimension, scale)
            axis, lines = (getattr(self.figure, f"{dimension}{part}") for part in ("axis", "grid"))
            if scale == "log":
                axis.ticker = FixedTicker(ticks=figures.log_ticks(low, high))
                lines.ticker = axis[0].ticker
        self.figure.xaxis.axis_label = LABELS[self._measure.value]
        card.retitle(self.root, caption=self._words())

    def _words(self) -> str:
        columns = self.result.columns
        parts = []
        for row, measure in enumerate(columns["measure"]):
            rho, p, n = (columns[name][row] for name in ("correlation", "p_value", "runs"))
            found = f"ρ = {rho:.2f}, p = {p:.2g}" if np.isfinite(rho) else "no ranks to compare"
            parts.append(f"{measure} {found} ({counted(n, 'run')})")
        share = f"First {100 * self._share.value:.0f} % of each run against its lowest loss"
        return f"{share}: {'; '.join(parts)}.".replace("-", "−")

    # -- parts ------------------------------------------------------------------------------------

    def _figure(self):
        plot = figures.figure(
            "step_prediction_figure",
            height=250,
            x_range=Range1d(0.1, 1),
            y_range=Range1d(0.1, 1),
            x_label=LABELS[self._measure.value],
            y_label="lowest loss",
            zoom="both",
        )
        dots = plot.scatter("x", "y", source=self.source, size=9, fill_color="colour", line_width=1)
        self.context.paint(dots.glyph, line_color="card")
        tips = [("run", "@run"), ("early", "@x{%.4g}"), ("lowest loss", "@y{%.4g}")]
        hover = HoverTool(renderers=[dots], tooltips=tips, formatters={"@x": "printf", "@y": "printf"})
        hover.visible = False
        plot.add_tools(hover)
        return plot
