"""Error and accuracy on the straight line between two points of a training, as a whole and layer by layer.

Any two iterations, on training or test data; several runs on one axis. Goodfellow, Vinyals, Saxe 2015;
Kuchta 2023, section 4.2.
"""

import numpy as np
from bokeh.models import Toggle

from gdlab.analysis import handed
from gdlab.messages import counted
from gdlab.records import Table
from server.core.context import Context, View
from server.pages.line.distances import Distances
from server.pages.line.layers import Layers
from server.pages.line.options import PARTS, LineOptions
from server.pages.line.plot import LinePlot
from server.pages.line.requests import WHOLE, Lines
from server.ui import card, left_out, recorded, sheets
from server.ui.choices import button, look

MOST_RUNS = 6  # each is computed anew, and its layers have a figure each
WHERE = "A cross beside a name above takes a run away and makes room for another."


def build(context: Context) -> View:
    """The cards of the line between two points of the selected runs, at most six."""
    words = "A line is computed from parameters and their error"
    needs = ("loss", "points", "examples")
    return recorded.refusal(context, "No line", words, needs, name="line_none") or _Line(context).view


class _Line:
    def __init__(self, context: Context):
        self.context, self.names = context, context.selected[:MOST_RUNS]
        self.labels = [context.short_label(name) for name in self.names]
        self.log: bool | None = {"log": True, "linear": False}.get(context.state.get("line_error", ""))
        configs = [context.run(name).config for name in self.names]
        there = [handed.of(context.run(name)) for name in self.names]
        data = any(config.get("dataset") for config in configs) or any(one.parts for one in there)
        accuracy = any(config.get("model") for config in configs) or any(
            one.labelled and "predict" in one.functions for one in there
        )
        sheet = sheets.sheet("curve", "network")
        self.options = LineOptions(context, self._chosen, last=self._last(), data=data)
        self.lines = Lines(context, self.names, self.options, self._draw)
        self.plot = LinePlot(context, self.names, self.labels, accuracy=accuracy)
        self.distances = Distances(context, self.labels, accuracy=accuracy, sheet=sheet)
        self.layers = Layers(context, self.plot, self.labels, accuracy=accuracy, sheet=sheet)
        body = card.box(
            context, self.options.panel, *self.plot.figures, self.lines.progress.root, classes=["gd-body"]
        )
        sheets.wear(sheet, body, self.options.panel)
        self.main = card.card(
            context,
            "On the straight line",
            "",
            body,
            name="line",
            figures=self.plot.figures,
            csv=self._csv,
            controls=self._tools(),
            span=7,
        )
        more = left_out.notice(context, MOST_RUNS, WHERE, name="line_more")
        cards = (self.main, self.distances.root, self.layers.root, *more)
        self.view = View(card.box(context, *cards, classes=["gd-grid", "gd-span-12"]), self.update)
        for event in ("colour", "theme"):
            context.on(event, self._colour)
        context.on("log", lambda: self._set_log(not self._toggle.active))
        self.lines.ask()

    def update(self) -> None:
        """Asks again where a line was too short before, or is another's since the run was trained anew;
        a growing run is followed to its new end once it has ended."""
        self.options.grown(self._last())
        if self.lines.waiting:
            return
        for name, line in self.lines.runs.items():
            run = self.context.run(name)
            moved = line.ends != self.lines.ends(run)
            anew = run.key != self.lines.keys[name]
            if anew or (moved and (not line.curves or run.state != "running")):
                self.lines.ask()
                return
        self._say()

    def _last(self) -> int:
        return max(self.context.run(name).rows("scalars") for name in self.names)

    def _chosen(self) -> None:
        self.lines.rest()

    def _colour(self, *_) -> None:
        self.plot.colour()
        self.layers.colour()

    def _draw(self) -> None:
        span = self.options.span
        self.plot.limits(span)
        known = []
        for index, (label, line) in enumerate(zip(self.labels, self.lines.runs.values(), strict=True)):
            curve = line.curves.get(WHOLE)
            self.plot.draw(index, label, line.alpha, curve)
            if curve is not None:
                known.append(curve)
        values = np.concatenate([loss for loss, _, _ in known] or [np.empty(0)])
        log = self._toggle.active = self.plot.scale(values, self.log)
        self.plot.loss.visible = bool(known)
        self.plot.accuracy.visible = any(np.isfinite(accuracy).any() for _, accuracy, _ in known)
        axis = "a   (0: iteration {}, 1: iteration {})".format(*self._ends())
        for figure in self.plot.figures:
            figure.xaxis.axis_label = axis if figure is self._lowest() else None
        self.distances.draw(self.lines.runs)
        self.layers.draw(self.lines.runs, log)
        self._say()

    def _lowest(self):
        return self.plot.accuracy if self.plot.accuracy.visible else self.plot.loss

    # -- words ------------------------------------------------------------------------------------

    def _ends(self) -> tuple[str, str]:
        """Both ends in words: numbers where all runs have the same."""
        ends = [line.ends for line in self.lines.runs.values()]
        start, stop = ({f"{end[at]:,}" for end in ends} for at in (0, 1))
        return (start.pop() if len(start) == 1 else "its first", stop.pop() if len(stop) == 1 else "its last")

    def _say(self) -> None:
        lines = self.lines.runs
        start, stop = self._ends()
        words = [f"θ(a) between iterations {start} and {stop}, {self._data()}."]
        for name, line in lines.items():
            one = f"{name}: " if len(lines) > 1 else ""
            words += [f"{one}{part}" for part in self._facts(name, line)]
        if len(self.context.selected) > MOST_RUNS:
            words.append(f"The first {MOST_RUNS} of {counted(len(self.context.selected), 'run')}.")
        if self.lines.cancelled:
            words.append("Cancelled; change a choice, or press Again, to go on.")
        card.retitle(self.main, caption=" ".join(words))

    def _data(self) -> str:
        samples, part = self.options.choices.samples, self.options.choices.part
        if not any(self.context.run(name).config.get("dataset") for name in self.names):
            return f"{self.options.choices.points} points"
        many = "all" if samples == "all" else f"at most {int(samples):,}"
        return f"{self.options.choices.points} points, {many} examples of the {PARTS[part]}"

    def _facts(self, name: str, line) -> list[str]:
        """What is odd about a run's line, in sentences."""
        words = [f"There is no line: {line.trouble}."] if line.trouble else []
        if WHOLE in line.curves:
            bad = int(np.count_nonzero(~np.isfinite(line.curves[WHOLE][0])))
            words += (
                [f"{bad} of {len(line.alpha)} errors {'is' if bad == 1 else 'are'} not finite."]
                if bad
                else []
            )
        report = line.attrs.get("replay") or {}
        if report.get("different"):
            words.append(
                f"{report['different']:,} of {report['compared']:,} replayed iterations differ from the "
                f"record, by at most {report['largest']:.2g}."
            )
            if report["changed"]:
                words.append(f"Since then: {'; '.join(map(str, report['changed']))}.")
        last = self.context.run(name).rows("scalars")
        if self.options.stop is None and last > line.ends[1]:
            words.append(f"The run has gone on to iteration {last:,}; press Again for its line.")
        return words

    # -- parts ------------------------------------------------------------------------------------

    def _tools(self) -> list:
        context = self.context
        self._toggle = Toggle(label="Log", **look(context, "line_log", "Logarithmic axis (l)", "gd-quiet"))
        self._toggle.on_change("active", lambda attribute, old, new: self._set_log(new))
        whole = lambda: self.plot.limits(self.options.span)  # noqa: E731
        return [
            button(context, "Reset", "line_reset", "The whole line", whole),
            button(context, "Again", "line_again", "Compute what is missing", self.lines.ask),
            self._toggle,
        ]

    def _set_log(self, log: bool) -> None:
        """Another error axis, by button or key; nothing where the axis is as wished already."""
        kind = self.plot.loss.yaxis[0].tags[:1] == ["log"]
        if log == kind:
            return
        self.log = log
        self.context.state.set("line_error", "log" if log else "linear")
        self._draw()

    def _csv(self) -> Table:
        """The whole network: one row per run and position."""
        whole = [
            (label, a, loss, accuracy)
            for label, line in zip(self.labels, self.lines.runs.values(), strict=True)
            if WHOLE in line.curves
            for a, loss, accuracy in zip(line.alpha, *line.curves[WHOLE][:2], strict=True)
        ]
        names = ("run", "a", "loss", "accuracy")
        columns = {name: np.array([row[at] for row in whole]) for at, name in enumerate(names)}
        return Table(columns, dict.fromkeys(columns, ("point",)), {})
