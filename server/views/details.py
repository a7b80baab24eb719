"""Details on demand: the line search of the chosen iteration, plot by plot, sharing both axes.

Tap a dot of the error curve, use the arrow keys or the buttons. Becker 2019, Figures 3 and 4.
"""

import numpy as np
from bokeh.models import Column, Div, Range1d, Toggle

from gdlab.analysis import search
from gdlab.records import Table
from server.core.context import Context, View
from server.ui import card, figures
from server.ui.choices import button, look
from server.ui.clock import Clock
from server.ui.copying import copier
from server.views.closely import Closely
from server.views.curve.facet import Facet
from server.views.curve.feed import Feed
from server.views.curve.page import page
from server.views.curve.search_plots import SearchPlots, search_plots

TICKS = 3  # on the error axis of a plot so low
MOST = 12  # plots shown at once: figures are dear, so a longer search is told in pages
# What is said of an iteration of a recorded loop, as far as it is known.
SIGNS = {"loss": "J", "grad_norm": "|g|", "update_norm": "|Δθ|", "slope": "g·Δθ"}


def build(context: Context) -> View:
    """The card beside the curve."""
    return _Details(context).view


class _Details:
    def __init__(self, context: Context):
        self.context = context
        self.x_range, self.y_range = Range1d(0, 1, name="details_x"), Range1d(0, 1, name="details_y")
        self.crosshair = figures.crosshair(context, name="details_crosshair")
        self.facets: list[Facet] = []
        self.log: list[bool | None] = [None, None]
        self.first = 0
        self._shown: int | None = None
        self._plots: SearchPlots | None = None
        self.feeds: dict[str, Feed] = {}
        self.stack = card.box(context, classes=["gd-facets"], name="details_stack")
        self.more = button(self.context, "", "details_more", "The next plots of this search", self._turn)
        self.more.visible = False
        self.words = Div(text="", render_as_text=True, visible=False, name="details_values")
        self.waiting = card.box(context, classes=[], name="details_waiting")
        body = card.box(context, self.stack, self.more, self.waiting, self.words, classes=["gd-body"])
        page(context).style(body, self.stack)
        self.root: Column = card.card(
            context,
            "Line search",
            "",
            body,
            name="details",
            figures=[self.stack],
            csv=self._table,
            controls=self._controls(),
            span=4,
        )
        context.on("iteration", lambda k: self.show())
        context.on("focus", lambda run: self.show())
        context.on("step", self.step)
        self.view = View(self.root, self.update)
        self.show()

    # -- what is shown ----------------------------------------------------------------------------

    @property
    def run_name(self) -> str:
        chosen = self.context.state.get("focus", self.context.selected[0])
        return chosen if chosen in self.context.selected else self.context.selected[0]

    @property
    def feed(self) -> Feed:
        name = self.run_name
        if name not in self.feeds:
            feed = Feed(self.context, name, self._draw, name=f"details_{len(self.feeds)}")
            self.feeds[name] = feed
            self.waiting.children = [*self.waiting.children, feed.progress.root]
        return self.feeds[name]

    def show(self) -> None:
        """The chosen iteration's search; the invitation where none is chosen."""
        k, count = self.context.iteration, self.context.run(self.run_name).rows("scalars")
        if k != self._shown:
            self._shown, self.first = k, 0
        for name, feed in self.feeds.items():
            if k is None or name != self.run_name:
                feed.leave()
        if k is None or k >= count:
            self._invite(count)
            return
        self.feed.want(k, k + 1, "batch", at_once=True)
        self._draw()

    def step(self, by: int) -> None:
        """The next or the previous iteration; the first or last where none is chosen."""
        count = self.context.run(self.run_name).rows("scalars")
        if count:
            k = self.context.iteration
            start = (0 if by > 0 else count - 1) if k is None else k + by
            self.context.iteration = min(max(start, 0), count - 1)

    def update(self) -> None:
        self._closely.update()
        k = self.context.iteration
        if k is not None and self._plots is None:
            self.show()

    def _draw(self) -> None:
        k, run = self.context.iteration, self.context.run(self.run_name)
        if k is None or k >= run.rows("scalars"):
            return
        if not self.feed.can(k):
            self._in_words(run, k)
            return
        plots = self._plots = search_plots(run, k, self.feed.segments(k, k + 1, "batch"), *self.log)
        caption = plots.caption
        if self.feed.error:
            caption += " · no segment"
        if len(self.context.selected) > 1:
            caption = f"{self.run_name}: {caption}"
        card.retitle(self.root, title=plots.title, caption=caption)
        with self.context.doc.models.freeze():  # one walk of the document, not one for each new ticker
            self._axes(plots)
        count = len(plots.contents)
        shown = plots.contents[self.first : self.first + MOST]
        self._facets(len(shown))
        for facet, content in zip(self.facets, shown, strict=False):
            facet.show(content)
        self.more.visible = count > MOST
        self.more.label = f"Plots {self.first + 1}–{self.first + len(shown)} of {count}: show the next"
        self.words.text = _as_text(plots)

    def _axes(self, plots: SearchPlots) -> None:
        """A logarithmic axis must never see a range that holds 0: it gets its limits before its scale."""
        for dimension, log, limits, range_ in (
            ("x", plots.log_x, plots.x, self.x_range),
            ("y", plots.log_y, plots.y, self.y_range),
        ):
            if log:
                range_.update(start=limits[0], end=limits[1])
            for facet in self.facets:
                self._scale(facet, dimension, log)
            range_.update(start=limits[0], end=limits[1])
        self._log_x.active, self._log_y.active = plots.log_x, plots.log_y

    def _scale(self, facet: Facet, dimension: str, log: bool) -> None:
        most = figures.TICKS if dimension == "x" else TICKS
        figures.set_scale(facet.figure, dimension, "log" if log else "linear", most=most)

    def _facets(self, count: int) -> None:
        """As many plots as are needed: made once, kept, shown and hidden."""
        new = [self._new_facet(index) for index in range(len(self.facets), count)]
        if new:
            self.facets += new
            self.stack.children = [*self.stack.children, *(facet.root for facet in new)]
        for index, facet in enumerate(self.facets):
            facet.root.visible = index < count
            facet.last(index == count - 1)

    def _new_facet(self, index: int) -> Facet:
        facet = Facet(self.context, f"details_{index}", self.x_range, self.y_range, self.crosshair)
        if self._plots is not None:
            self._scale(facet, "x", self._plots.log_x)
            self._scale(facet, "y", self._plots.log_y)
        page(self.context).style(facet.root)
        return facet

    def _in_words(self, run, k: int) -> None:
        """An iteration of a recorded loop, of which there is nothing to draw."""
        self._plots = None
        number = int(Clock(run).number(np.array([k]))[0])
        step = run.table("steps", k, k + 1).columns
        known = {sign: step[key][0] for key, sign in SIGNS.items() if not np.isnan(step[key][0])}
        words = [f"{sign} {search.number(value)}" for sign, value in known.items()]
        card.retitle(self.root, title=f"Iteration {number:,}", caption=" · ".join(words))
        self._facets(0)
        self.more.visible, self.words.text = False, ""

    def _invite(self, count: int) -> None:
        self._plots = None
        words = "Tap a dot of the error curve, or press → on the keyboard." if count else "No iteration yet."
        card.retitle(self.root, title="Line search", caption=words)
        self._facets(0)
        self.more.visible, self.words.text = False, ""

    # -- controls ---------------------------------------------------------------------------------

    def _controls(self) -> list:
        copy = copier(self.context, "details_copy", "Copy the values as text", self.words)
        self._log_x = self._toggle("Log η", "details_logx", 0)
        self._log_y = self._toggle("Log J", "details_logy", 1)
        back = button(self.context, "‹", "details_previous", "Previous iteration (←)", lambda: self.step(-1))
        forth = button(self.context, "›", "details_next", "Next iteration (→)", lambda: self.step(1))
        self._closely = Closely(self.context, "details_closely", lambda: self.run_name)
        return [back, forth, self._log_x, self._log_y, copy, self._closely.button]

    def _toggle(self, label: str, name: str, index: int) -> Toggle:
        toggle = Toggle(label=label, **look(self.context, name, "Logarithmic axis", "gd-quiet"))

        def changed(attribute, old, active) -> None:
            if self._plots and active != (self._plots.log_x, self._plots.log_y)[index]:
                self.log[index] = active
                self._draw()

        toggle.on_change("active", changed)
        return toggle

    def _turn(self) -> None:
        """The next page of plots; after the last the first."""
        count = len(self._plots.contents) if self._plots else 0
        self.first = self.first + MOST if self.first + MOST < count else 0
        self._draw()

    def _table(self) -> Table:
        return self._plots.table if self._plots else Table({}, {}, {})


def _as_text(plots: SearchPlots) -> str:
    lines = [plots.title, plots.caption]
    lines += [f"{item.badge} {item.heading}: {item.words}".strip() for item in plots.contents]
    return "\n".join(lines)
