"""One quantity of the steps of all runs, averaged over windows: a card that the page's window moves."""

from collections.abc import Sequence

import numpy as np
from bokeh.events import DoubleTap
from bokeh.models import Span

from gdlab.messages import counted
from server.pages.steps import data
from server.pages.steps.page import StepPage
from server.ui import card
from server.ui.run_lines import RunLines

LINE = 1e-3  # update ratio that networks are often said to learn well with


class Panel:
    """A member of the page's viewport. quantity: one of `data.QUANTITIES` that is one number per iteration;
    runs: those that have it, at least one. root: the card."""

    def __init__(
        self, context, page: StepPage, quantity: str, *, name: str, title: str, label: str, words: str,
        runs: Sequence[str], height: int = 260, span: int = 6, loss: bool = False, controls=(),
    ):  # fmt: skip
        self.context, self.page, self.quantity, self.runs = context, page, quantity, tuple(runs)
        self.label, self.words, self.loss = label, words, loss
        self.lines = RunLines(context, page.viewport, name, label=label, height=height, runs=runs)
        if loss:
            self.lines.second_axis("loss")
            self.lines.add("loss", "loss", dash="dashed", second=True)
        self.lines.add(quantity, label)
        self.lines.legend()
        self.extra = (LINE,) if quantity == "ratio" else ()
        for value in self.extra:
            self._mark(value)
        self.lines.figure.on_event(DoubleTap, lambda event: page.viewport.reset())
        page.viewport.members.append(self)
        body = card.box(context, self.lines.figure, classes=["gd-body"])
        self.root = card.card(
            context,
            title,
            "",
            body,
            read="step_sizes",
            name=name,
            figures=[self.lines.figure],
            csv=self.table,
            controls=controls,
            span=span,
        )

    # -- what the viewport asks of a member -------------------------------------------------------

    def extent(self) -> tuple[float, float]:
        """First and last x over the runs."""
        parts = []
        for name in self.runs:
            run = self.context.run(name)
            clock = self.page.clock(run)
            first = 1 if clock.log and clock.axis != "iteration" else 0
            parts.append((float(clock.x(first)), float(clock.x(max(run.rows("scalars") - 1, 1)))))
        return min(low for low, _ in parts), max(high for _, high in parts)

    def limits(self) -> np.ndarray:
        """Averages that say whether the axis can be logarithmic: a step of size 0 does not count."""
        parts = [self.page.whole(self.context.run(name), self.quantity).columns["mean"] for name in self.runs]
        values = np.concatenate(parts)
        return values[values > 0]

    def rescale(self) -> None:
        """Follows a change of the axes."""
        clock = self.page.clock(self.context.run(self.runs[0]))
        self.lines.rescale(clock.label, self.label)

    def draw(self, low: float, high: float) -> np.ndarray:
        """Draws what lies in [low, high] of x; the height is this card's own."""
        shown = self.loss and self.page.with_loss
        if self.loss:
            self.lines.show_second(shown)
        for name in self.runs:
            run = self.context.run(name)
            self.lines.show(self.quantity, name, *self.page.means(run, self.quantity, low, high))
            if self.loss:
                self.lines.show(
                    "loss", name, *(self.page.means(run, "loss", low, high) if shown else ((), ()))
                )
        self.lines.fit(*self.extra)
        card.retitle(self.root, caption=self._caption(shown))
        return np.empty(0)

    # -- private ----------------------------------------------------------------------------------

    def _caption(self, loss: bool) -> str:
        width = self.page.width(self.runs)
        words = [
            self.words,
            "Each point is one iteration." if width == 1 else f"Means over {counted(width, 'iteration')}.",
        ]
        words += ["Dashed: the loss, on the right."] if loss else []
        missing = len(self.context.selected) - len(self.runs)
        words += (
            [f"{missing} of the runs {'has' if missing == 1 else 'have'} not recorded it."] if missing else []
        )
        return " ".join(words)

    def _mark(self, value: float) -> None:
        line = Span(location=value, dimension="width", line_dash="dashed", line_width=1, level="underlay")
        self.context.paint(line, line_color="muted")
        self.lines.figure.add_layout(line)
        self.marks = {value: line}

    def table(self):
        """What is drawn, for CSV."""
        return self.lines.table(
            (self.quantity, "loss") if self.loss and self.page.with_loss else (self.quantity,)
        )


def having(context, quantity: str) -> list[str]:
    """The page's runs that have recorded a quantity."""
    return [name for name in context.selected if data.available(context.run(name), quantity)]
