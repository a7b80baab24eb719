"""How the runs do on examples they are not trained on: loss, accuracy and what else a problem is measured by,
beside those of the training set.

Solid lines are validation, dashed ones as many examples of the training set: the gap between them is
what a network has only learned by heart.
"""

import numpy as np
from bokeh.events import DoubleTap

from gdlab.analysis import steps, validation
from gdlab.records import Table
from server.core.context import Context, View
from server.ui import card, figures
from server.ui.clock import Clock
from server.ui.run_lines import RunLines
from server.views.curve.page import page

LINEAR = ("accuracy", "r2")  # measures that have an upper end
HEIGHT = 240


def build(context: Context) -> View:
    """The card of the page's runs that were validated; nothing where none was."""
    names = [name for name in context.selected if validation.validated(context.run(name))]
    if not names:
        return View(card.box(context, classes=["gd-none"], visible=False, name="validation"), lambda: None)
    return _Validation(context, names).view


class _Validation:
    """A member of the page's viewport: follows its x axis, and has a height of its own."""

    def __init__(self, context: Context, names: list[str]):
        self.context, self.names = context, names
        self.viewport = page(context).viewport
        self.lines = {}
        measured = [validation.kinds(validation.rows(context.run(name))) for name in names]
        for kind in dict.fromkeys(kind for one in measured for kind in one):
            made = RunLines(
                context, self.viewport, f"validation_{kind}", label=_label(kind), height=HEIGHT, runs=names,
                linear=kind in LINEAR,
            )  # fmt: skip
            made.add("train", "training", dash="dashed")
            made.add("validation", "validation")
            made.legend()
            made.figure.on_event(DoubleTap, lambda event: self.viewport.reset())
            self.lines[kind] = made
        plots = [made.figure for made in self.lines.values()]
        pair = card.row(context, *plots, classes=["gd-pair"], sizing_mode="stretch_width")
        body = card.box(context, pair, classes=["gd-body"])
        page(context).style(body, pair)
        missing = len(context.selected) - len(names)
        words = "Solid: examples the run is not trained on. Dashed: as many of the training set."
        words += (
            f" {missing} of the runs {'was' if missing == 1 else 'were'} not validated." if missing else ""
        )
        self.root = card.card(
            context, "Validation", words, body, name="validation", figures=plots, csv=self._csv
        )  # fmt: skip
        figures.crosshair(context, *plots, name="validation_crosshair")
        self.viewport.members.append(self)
        self.view = View(self.root, lambda: None)
        self.rescale()
        self.draw(self.viewport.x_range.start, self.viewport.x_range.end)

    # -- what the viewport asks of a member -------------------------------------------------------

    def extent(self) -> tuple[float, float]:
        """First and last x of the curves that are validated."""
        parts = [
            (clock.x(1 if clock.log else 0), clock.x(count)) for clock, count in map(self._clock, self.names)
        ]
        return min(float(low) for low, _ in parts), max(float(high) for _, high in parts)

    def limits(self) -> np.ndarray:
        """The curves above decide on the scale."""
        return np.empty(0)

    def rescale(self) -> None:
        """Follows a change of the axes."""
        label = self._clock(self.names[0])[0].label
        for kind, made in self.lines.items():
            made.rescale(label, _label(kind))

    def draw(self, low: float, high: float) -> np.ndarray:
        """Draws the validations in [low, high] of x, and one more on each side."""
        for name in self.names:
            found = validation.rows(self.context.run(name)).columns
            clock = self._clock(name)[0]
            x = clock.x(clock.dot(found["iteration"]))
            near = slice(*steps.positions(x, low, high))
            k = found["iteration"][near]
            unknown = np.full(len(x), np.nan)
            for kind, made in self.lines.items():
                made.show("validation", name, x[near], found.get(kind, unknown)[near], k)
                made.show("train", name, x[near], found.get(f"train_{kind}", unknown)[near], k)
        for made in self.lines.values():
            made.fit()
        return np.empty(0)

    # -- private ----------------------------------------------------------------------------------

    def _clock(self, name: str) -> tuple[Clock, int]:
        run = self.context.run(name)
        return self.viewport.clock(run), max(run.rows("scalars"), 1)

    def _csv(self) -> Table:
        return validation.side_by_side((name, self.context.run(name)) for name in self.names)


def _label(kind: str) -> str:
    """What the axis of a measure is called: `r2` is known by its sign."""
    return "validation R²" if kind == "r2" else f"validation {kind.replace('_', ' ')}"
