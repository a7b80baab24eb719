"""Which hyper-parameters matter, and which pairs act together: shares of the variance of a measure."""

import numpy as np
from bokeh.models import FixedTicker, HoverTool, Range1d
from bokeh.models.glyphs import HBar

from gdlab.analysis import importance
from gdlab.messages import counted
from gdlab.records import Table
from server.pages.ensemble.heat import heat
from server.pages.ensemble.panel import Panel, view_of
from server.ui import card, figures
from server.ui.query import CardQuery

MOST, ROW = 12, 22  # bars; px
AXES = 60  # px below the bars


class Importance(Panel):
    """root: the card; hidden where no hyper-parameter differs."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_importance")
        self.heat = heat(shared)
        self.table: Table | None = None
        self.single, self.pairs = (self.source(part, "y", "share", "name") for part in ("single", "pairs"))
        self.figure = self._figure()
        self.query = CardQuery(self.context, self._show, self._caption, name=self.name)
        body = card.box(self.context, self.figure, self.query.progress.root, classes=["gd-body"])
        self.root = card.card(
            self.context, "Importance of hyper-parameters", "", body,
            read="importance", name=self.name, figures=[self.figure],
            csv=lambda: self.table or Table({}, {}, {}),
        )  # fmt: skip
        for event in ("measures", "axes", "pair"):
            self.context.on(event, self.update)

    def update(self) -> None:
        """Asks for the shares: a forest takes a while."""
        parameters = self.shared.ensemble.parameters
        self.root.visible = bool(parameters) and self.shared.count > 1
        if not self.root.visible:
            return
        values = self.heat.values()
        key = (id(self.shared.ensemble), values.tobytes())
        self.query.compute(key, lambda progress: importance.importance(parameters, values))

    def _show(self, table: Table) -> None:
        self.table = table
        columns, attrs = table.columns, table.attrs
        share = np.asarray(columns["share"], float)
        count = min(MOST, int(np.isfinite(share).sum()))
        names = [
            f"{first} × {other}" if other else str(first)
            for first, other in zip(columns["parameter"], columns["other"], strict=True)
        ][:count]
        alone = np.array([not other for other in columns["other"][:count]], bool)
        for source, mine in ((self.single, alone), (self.pairs, ~alone)):
            place = np.flatnonzero(mine)
            source.data = {"y": place, "share": share[place], "name": [names[i] for i in place]}
        axis = self.figure.yaxis[0]
        axis.ticker = FixedTicker(ticks=list(range(count)), minor_ticks=[])
        axis.major_label_overrides = {i: figures.shortened(name, 40) for i, name in enumerate(names)}
        self.figure.y_range.update(start=max(count, 1) - 0.5, end=-0.5)
        self.figure.visible = count > 0
        self.figure.x_range.end = 1.05 * float(share[:count].max(initial=0.01))
        self.figure.height = ROW * max(count, 2) + AXES
        self._say(attrs, count, len(share))

    def _say(self, attrs, count: int, every: int) -> None:
        measures = " and ".join(self.heat.measures)
        if not count:
            words = f"{measures} do not vary: there is nothing to explain."
            if attrs["method"] == "forest":
                words = (
                    f"These {counted(attrs['runs'], 'run')} do not tell what {measures} hang on: "
                    "a random forest foretells runs that it has not seen worse than their mean does "
                    f"(R² {attrs['r2']:.2f})."
                )
            card.retitle(self.root, caption=words)
            return
        if attrs["method"] == "grid":
            how = "exact on a complete grid"
        else:
            how = f"by a random forest (R² {attrs['r2']:.2f} out of the bag), since the grid is not complete"
        words = (
            f"Shares of the variance of {measures} that a hyper-parameter alone (dark) or a pair beyond that "
            f"(light) accounts for, {how}. {100 * attrs['rest']:.1f} % are of three or more together."
        )
        if attrs.get("within"):
            noise = f"{100 * attrs['within']:.1f} %"
            words = f"{words.removesuffix('.')}, or differ between runs of one setting ({noise})."
        if count < every:
            words += f" The {'largest' if count == 1 else f'{count} largest'} of {every:,}."
        if attrs["left_out"]:
            one = attrs["left_out"] == 1
            which = "which lacks" if one else "which lack"
            words += f" {counted(attrs['left_out'], 'run')} left out, {which} the measure."
        card.retitle(self.root, caption=words)

    def _figure(self):
        plot = figures.figure(
            f"{self.name}_figure", height=200, x_range=Range1d(0, 1), y_range=Range1d(1, 0),
            x_label="share of the variance",
        )  # fmt: skip
        plot.tools = []
        plot.min_border_left = 210
        plot.ygrid.visible = False
        drawn = []
        for source, role in ((self.single, "accent"), (self.pairs, "context")):
            bars = HBar(y="y", right="share", left=0, height=0.68, line_color=None)
            drawn.append(figures.draw(plot, source, self.context.paint(bars, fill_color=role)))
        tips = [("", "@name"), ("share", "@share{0.0 %}")]
        plot.add_tools(HoverTool(renderers=drawn, tooltips=tips, visible=False))
        return plot


build = view_of(Importance)
