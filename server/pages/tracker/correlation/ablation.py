"""Taking the selected filters out of the network: what every class loses, beside random filters."""

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HBar, Range1d, Scatter, Span

from gdlab.messages import counted
from gdlab.records import Table
from server.ui import card, figures
from server.ui.choices import button
from server.ui.query import CardQuery

MOST_FILTERS, MOST_BARS = 2000, 24
ROW = 16  # px


class Ablation:
    """root: a button and, when it was pressed, the change per class. offer(): says what it would take out."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.query = CardQuery(context, self._show, self._failed, name="ablation")
        self.button = button(
            context, "Inactivate", "ablation_ask", "What the classes lose without them", self._ask
        )
        self.words = card.text("", "gd-caption", name="ablation_words")
        self._about: tuple = ()  # filters that were asked about
        self.bars = ColumnDataSource({"y": [], "change": [], "colour": []}, name="ablation_bars")
        self.controls = ColumnDataSource({"y": [], "change": []}, name="ablation_controls")
        self.figure = self._figure()
        self.query.layouts = [self.figure]
        self.images = button(
            context, "Show the images", "correlation_images", "Those that flipped", self._show_images
        )
        self.insides = button(
            context, "Look inside", "correlation_insides", "The network at this iteration", self._look_inside
        )
        row = card.row(context, self.button, self.images, self.insides, classes=["gd-options-row"])
        # The words have a line of their own: beside the buttons they would run over the next chart.
        parts = (row, self.words, self.query.progress.root, self.figure)
        self.root = card.box(context, *parts, classes=["gd-body"])

    def _figure(self):
        plot = figures.figure(
            "ablation_figure", height=120, x_range=Range1d(-0.1, 1), y_range=Range1d(1, 0),
            x_label="change of the error rate", zoom="width",
        )  # fmt: skip
        plot.min_border_left = 110
        bars = HBar(y="y", right="change", left=0, height=0.7, line_color=None)
        self.context.paint(figures.draw(plot, self.bars, bars).glyph, fill_color="accent")
        dots = Scatter(x="change", y="y", size=5, line_color=None)
        self.context.paint(figures.draw(plot, self.controls, dots).glyph, fill_color="muted")
        zero = Span(location=0, dimension="height", line_width=1)
        plot.add_layout(self.context.paint(zero, line_color="axis"))
        plot.visible = False
        return plot

    def offer(self) -> None:
        """What the button would do."""
        count = len(self.tracker.selection.filters)
        self.button.disabled = not 0 < count <= MOST_FILTERS
        self.images.visible = self.insides.visible = bool(count)
        words = counted(count, "filter")
        self.button.label = f"Inactivate {words}" if count else "Inactivate"
        if self._about != self.tracker.selection.filters:
            self.query.forget()  # what the filters of before are worth is not what these are
            self.figure.visible, self.words.text = False, ""
        if not count:
            self.words.text = "Select filters to see what the classes lose without them."

    def _show_images(self):
        """The images of all selected classes that flip at an iteration, in the view of the classes."""
        chosen, anomalies = self.tracker.selection, self.tracker.anomalies().columns
        if len(chosen.dumps) != 1:
            here = np.isin(anomalies["class"], chosen.classes) if chosen.classes else slice(None)
            found = anomalies["dump"][here][np.argsort(-anomalies["score"][here], kind="stable")[:1]]
            self.tracker.select(dumps=found)
        self.tracker.show("classes")

    def _look_inside(self):
        """Filters, feature maps and activations at the selected iteration."""
        dumps = self.tracker.selection.dumps
        self.context.iteration = int(self.tracker.dumps.iteration[dumps[-1]]) if dumps else None
        self.context.open_runs(self.context.selected, "insides")

    def _ask(self):
        run = self.context.run(self.tracker.name)
        dumps = self.tracker.selection.dumps
        iteration = int(self.tracker.dumps.iteration[dumps[-1]]) if dumps else run.rows("scalars")
        options = {"filters": list(self.tracker.selection.filters), "iteration": iteration, "samples": 2000}
        self._about = self.tracker.selection.filters
        self.words.text = ""
        self.query.probe(run, "ablation", options)

    def _show(self, table: Table) -> None:
        columns, attrs = table.columns, table.attrs
        change = columns["without"] - columns["error"]
        order = np.argsort(-np.abs(np.nan_to_num(change)), kind="stable")[:MOST_BARS]
        place = np.arange(len(order), dtype=float)
        self.bars.data = {"y": place, "change": change[order], "colour": np.sign(change[order])}
        control = columns["control"] - columns["error"]
        self.controls.data = {
            "y": np.tile(place, len(control)), "change": control[:, order].ravel()
        }  # fmt: skip
        axis = self.figure.yaxis[0]
        axis.ticker = FixedTicker(ticks=place.tolist())
        axis.major_label_overrides = {float(i): str(columns["classes"][c]) for i, c in enumerate(order)}
        self.figure.y_range.update(start=len(order) - 0.4, end=-0.6)
        values = np.concatenate([change[order], control[:, order].ravel(), [0.0]])
        low, high = np.nanmin(values), np.nanmax(values)
        margin = 0.08 * max(high - low, 0.01)
        self.figure.x_range.update(start=low - margin, end=high + margin)
        self.figure.height = 60 + ROW * len(order)
        self.figure.visible = True
        others = ", ".join(f"{value:.1%}" for value in attrs["control_accuracy"])
        self.words.text = (
            f"Iteration {attrs['iteration']:,}: accuracy {attrs['accuracy']:.1%}, without these "
            f"{counted(len(attrs['filters']), 'filter')} {attrs['accuracy_without']:.1%}"
            + (f"; without as many random ones (dots) {others}." if others else ".")
        )

    def _failed(self, words: str) -> None:
        self.words.text = words
