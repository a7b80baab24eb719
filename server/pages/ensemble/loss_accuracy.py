"""The loss-accuracy graph: accuracy solid, loss stippled, of the selected runs in the selections' colours.

Without a selection all runs are drawn in grey. Hamid 2019, Figure 1 (c).
"""

import numpy as np
from bokeh.events import Tap
from bokeh.models import (
    HoverTool,
    LinearAxis,
    LinearScale,
    LogScale,
    Range1d,
    Span,
)
from bokeh.models.glyphs import MultiLine

from gdlab.messages import counted
from gdlab.records import Table
from server.pages.ensemble.panel import Panel, view_of
from server.ui import card, figures

HEIGHT, MOST_LINES = 360, 300
COLUMNS = ("xs", "ys", "colour", "alpha", "width", "name")


class LossAccuracy(Panel):
    """root: the card."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_curves")
        self.values = self.source("values", "accuracy", "loss")
        self.steps = self.source("steps", "step")
        self.outs = {name: self.source(name, *COLUMNS) for name in ("accuracy", "loss")}
        self.figure = self._figure()
        self._draw()
        self.words = card.text("", "gd-caption", name="ensemble_curves_words")
        body = card.box(self.context, self.figure, self.words, classes=["gd-body"])
        self.root = card.card(
            self.context,
            "Loss and accuracy",
            "",
            body,
            read="curves",
            name=self.name,
            figures=[self.figure],
            csv=self._table,
        )
        outs = self.outs
        self.draws(
            "my.curves(kit, {values, steps, outs: {accuracy, loss}, colours: null, "
            f"most: {MOST_LINES}, words}})",
            values=self.values, steps=self.steps, words=self.words, **outs,
        )  # fmt: skip
        tap = self.listen("my.tap_curve(kit, event, [accuracy, loss], ['default', 'loss'])", **outs)
        self.figure.js_on_event(Tap, tap)
        self.context.on("measures", self._mark)
        self.context.on("selection", self._say)

    def update(self) -> None:
        """All curves, as the browser draws them from; the limits of the axes."""
        ensemble = self.shared.ensemble
        self.values.data = {"accuracy": ensemble.accuracy.ravel(), "loss": ensemble.loss.ravel()}
        self.steps.data = {"step": ensemble.step}
        end = float(ensemble.step[-1]) if len(ensemble.step) else 1.0
        self.figure.x_range.update(start=-0.01 * max(end, 1), end=1.01 * max(end, 1))
        known = ensemble.accuracy[np.isfinite(ensemble.accuracy)]
        high = float(known.max()) if len(known) else 1.0
        low = float(known.min()) if len(known) else 0.0
        margin = 0.04 * max(high - low, 0.01)
        self.figure.y_range.update(start=max(0.0, low - margin), end=min(1.0, high + margin) + 0.01 * margin)
        self.figure.visible = self._there
        self.figure.left[0].visible = ensemble.classifies
        self._fit_loss(ensemble.loss)
        self._mark()
        self._say()
        self.redraw()

    def _fit_loss(self, loss) -> None:
        """Without the hundredth that is largest: one run that grows beyond all bounds flattens no other."""
        known = loss[np.isfinite(loss) & (loss > 0)]
        low, high = np.percentile(known, [0, 99]) if len(known) else (0.1, 1.0)
        log = high > 20 * low
        wanted = LogScale if log else LinearScale
        if type(self.figure.extra_y_scales["loss"]) is not wanted:
            self.figure.extra_y_scales = {"loss": wanted()}
        figures.set_ticks(self.loss_axis, "log" if log else "linear")
        margin = 0.04 * max(high - low, 1e-6)
        limits = (low / 1.1, high * 1.1) if log else (low - margin, high + margin)
        self.figure.extra_y_ranges["loss"].update(start=float(limits[0]), end=float(limits[1]))

    def _mark(self) -> None:
        for line, iteration in zip(self.marks, self.shared.times, strict=True):
            line.location = iteration

    @property
    def _there(self) -> bool:
        ensemble = self.shared.ensemble
        return bool(np.isfinite(ensemble.accuracy).any() or np.isfinite(ensemble.loss).any())

    def _say(self) -> None:
        shared = self.shared
        if not self._there:
            whose = (
                "This run has" if shared.count == 1 else f"None of these {counted(shared.count, 'run')} has"
            )
            words = f"{whose} recorded accuracy and loss on examples that it is not trained on."
            card.retitle(self.root, caption=words)
            return
        some, ensemble = bool(shared.chosen.any()), shared.ensemble
        words = "Accuracy solid (left), loss stippled (right)"
        if not ensemble.classifies:
            words = "Loss stippled (right)"
        words += " of the selected runs. " if some else " of all runs; those that are selected have colours. "
        words += "Vertical lines: t (solid), t0 and t1. Click a line to select its run."
        inside = shared.chosen.any(axis=0) if some else np.ones(shared.count, bool)
        without = int((inside & ~np.isfinite(ensemble.accuracy).any(axis=1)).sum())
        if without and ensemble.classifies:
            words += f" {without:,} of them recorded no accuracy."
        card.retitle(self.root, caption=words)

    # -- models -----------------------------------------------------------------------------------

    def _figure(self):
        plot = figures.figure(
            f"{self.name}_figure", height=HEIGHT, x_range=Range1d(0, 1), y_range=Range1d(0, 1),
            x_label="iteration", y_label="accuracy", toolbar=True,
        )  # fmt: skip
        figures.set_scale(plot, "x", "count")
        plot.extra_y_ranges = {"loss": Range1d(0.1, 1)}
        plot.extra_y_scales = {"loss": LinearScale()}
        self.loss_axis = LinearAxis(y_range_name="loss", axis_label="loss")
        plot.add_layout(self.loss_axis, "right")
        plot.min_border_right = 62
        self.marks = [
            Span(dimension="height", line_width=1, line_dash=dash) for dash in ("solid", "dotted", "dotted")
        ]
        for line in self.marks:
            plot.add_layout(self.context.paint(line, line_color="axis"))
        return plot

    def _draw(self) -> None:
        drawn = []
        for name, dash in (("accuracy", "solid"), ("loss", "dotted")):
            glyph = MultiLine(
                xs="xs", ys="ys", line_color="colour", line_alpha="alpha", line_width="width", line_dash=dash
            )
            place = {"y_range_name": "loss"} if name == "loss" else {}
            one = figures.draw(self.figure, self.outs[name], glyph, **place)
            one.hover_glyph = MultiLine(xs="xs", ys="ys", line_color="colour", line_width=3, line_dash=dash)
            drawn.append(one)
        hover = HoverTool(renderers=drawn, tooltips=[("run", "@name")], line_policy="nearest", visible=False)
        self.figure.add_tools(hover)

    def _table(self) -> Table:
        """For CSV: the selected runs' rows, of all runs where none is selected."""
        ensemble, chosen = self.shared.ensemble, self.shared.chosen
        runs = np.flatnonzero(chosen.any(axis=0)) if chosen.any() else np.arange(self.shared.count)
        times = len(ensemble.step)
        columns = {
            "run": np.repeat([ensemble.names[i] for i in runs], times),
            "iteration": np.tile(ensemble.step, len(runs)),
        }
        for name in ("accuracy", "loss", "train_accuracy", "train_loss"):
            columns[name] = getattr(ensemble, name)[runs].ravel()
        return Table(columns, dict.fromkeys(columns, ("row",)), {})


build = view_of(LossAccuracy)
