"""One enhanced error curve: overview from the record, segments from the worker, the chosen iteration.

The three stages are one plot that deepens: far away a curve of dots or buckets; where few enough
iterations are in view, the error along each direction; the iteration that is tapped is handed on.
Becker 2019, Figures 1, 2 and 6.
"""

import numpy as np
from bokeh.events import Tap

from gdlab.analysis import descents, segments, shape, steps
from gdlab.records import Table
from server.ui import card, figures, recorded
from server.views.curve import data, metrics
from server.views.curve.feed import Feed
from server.views.curve.plot import CurvePlot

MAX_SEGMENTS = 300  # iterations in view up to which segments are drawn
MAX_DESCENTS = 150  # descents in view up to which their beginnings are marked


class Curve:
    """A member of a page's viewport: draws one run. root: its card; name: prefix of its models."""

    def __init__(self, context, run_name: str, page, *, name: str, title: str, span: int):
        self.context, self.run_name = context, run_name
        self.viewport, self.options = page.viewport, page.options
        self.name = name
        self.plot = CurvePlot(context, name, self.viewport)
        self.clock = self.viewport.clock(self.run)
        self.feed = Feed(context, run_name, self._segments_came, name=name)
        self._sent: data.Sent | None = None
        tools, panels = page.take_options()
        body = card.box(
            context, *panels, self.plot.main, self.plot.strip, self.feed.progress.root, classes=["gd-body"]
        )
        page.style(body)
        self.root = card.card(
            context,
            title,
            "",
            body,
            read="descent",
            name=name,
            figures=[self.plot.main],
            csv=self.table,
            controls=tools,
            span=span,
        )
        self.plot.main.on_event(Tap, self._tapped)
        self.viewport.join(self, self.plot.main)
        context.on("iteration", lambda k: self._choose())
        context.on("focus", lambda run: self._choose())

    @property
    def run(self):
        """The run as it is recorded now."""
        return self.context.run(self.run_name)

    # -- what the viewport asks of a member -------------------------------------------------------

    def extent(self) -> tuple[float, float]:
        """First and last x of what is drawn."""
        return metrics.extent(self.run, self.clock, self.options.what)

    def limits(self) -> np.ndarray:
        """Values that the error axis must show."""
        return metrics.limits(self.run, self.options.what)

    def rescale(self) -> None:
        """Other scales: the clock and the strip are made anew."""
        self.clock = self.viewport.clock(self.run)
        what = self.options.what
        words = " (symlog)" if self.viewport.scale == "symlog" else ""
        self.plot.label(self.clock.label, what + words, metrics.tips(self.run, what))
        self._draw_strip()

    def draw(self, low: float, high: float) -> np.ndarray:
        """Draws the dots in the window and asks for its segments; returns the errors that are shown."""
        self.plot.main.visible = self.plot.strip.visible = there = data.dot_count(self.run) > 0
        if not there:
            card.retitle(self.root, caption="No iteration has been recorded yet.")
            return np.empty(0)
        what, smoothing = self.options.what, self.options.smoothing
        sent = self._sent = metrics.load(self.run, self.clock, low, high, smoothing, what)
        lines = self.options.connect or len(sent.dots["x"]) == 0
        sources, place = self.plot.sources, self._place
        sources["dots"].data = place(sent.dots)
        sources["before"].data = place(sent.before)
        sources["line"].data = place(sent.line) if lines else {"x": [], "y": []}
        sources["smooth"].data = place(sent.smooth)
        self.plot.dot_size(len(sent.dots["x"]))
        self.plot.fade(self.options.smoothing > 0)
        self._draw_segments(ask=True)
        self._choose()
        return sent.values

    # -- segments ---------------------------------------------------------------------------------

    def _draw_segments(self, *, ask: bool) -> None:
        start, stop = self._steps_in_view()
        near = 0 < stop - start <= MAX_SEGMENTS
        if not near or self.options.what != metrics.ERROR:
            self.feed.leave()
            self._clear()
            self._say(start, stop, None, near)
            return
        if ask:
            self.feed.want(start, stop, self.options.on)
        record = self.run.table("steps", start, stop), self.run.table("evaluations", start, stop)
        known = self.feed.segments(start, stop, self.options.on)
        marks = segments.flags(*record)
        keep = segments.keep(marks, **self.options.filters)
        chosen = keep[np.searchsorted(marks.columns["iteration"], known.columns["iteration"])]
        chosen &= ~np.asarray(known.columns["off"], bool)
        noisy = np.asarray(known.columns["noisy"], bool)
        for key, mask in (("segments", chosen & ~noisy), ("noisy", chosen & noisy)):
            self.plot.sources[key].data = self._lines(known, mask)
        numbers = known.columns["iteration"][noisy]
        self.plot.sources["noise"].data = {"x0": self.clock.x(numbers), "x1": self.clock.x(numbers + 1)}
        self._say(start, stop, known, near)

    def _lines(self, known: Table, mask) -> dict:
        """Columns of a multi_line: segments under the mask, cut at the borders of the window."""
        low, high = self.viewport.x_range.start, self.viewport.x_range.end
        found = {"xs": [], "ys": [], "iteration": []}
        for row in np.flatnonzero(mask):
            k, xi, value = (known.columns[name][row] for name in ("iteration", "xi", "value"))
            if not self.options.loose_ends:
                xi, value = segments.without_loose_end(xi, value, k)
            xi, value = segments.clip(xi, value, *self._reach(k, low, high))
            if xi.size:
                found["xs"].append(self._along(k, xi))
                found["ys"].append(self.viewport.apply(value))
                found["iteration"].append(int(k))
        return found

    def _reach(self, k: int, low: float, high: float) -> tuple[float, float]:
        """The window's borders in xi, for the segment of iteration k."""
        first, second = self.clock.x([k, k + 1])
        if self.clock.axis == "iteration":
            shift = 1 if self.clock.log else 0
            return low - shift, high - shift
        width = max(second - first, 1e-12)
        return k + (low - first) / width, k + (high - first) / width

    def _along(self, k: int, xi) -> np.ndarray:
        """Positions of xi along the segment of iteration k: at a time axis its pace is that of the step."""
        if self.clock.axis == "iteration":
            return self.clock.x(xi)
        first, second = self.clock.x([k, k + 1])
        return first + (xi - k) * (second - first)

    def _segments_came(self) -> None:
        if self._sent is not None:
            self._draw_segments(ask=False)
            self._choose()

    def _steps_in_view(self) -> tuple[int, int]:
        sent = self._sent
        assert sent is not None  # segments are asked for what has been drawn
        return sent.start, max(sent.start, min(sent.stop, self.run.rows("scalars")))

    def _clear(self) -> None:
        for key in ("segments", "noisy", "noise", "chosen_segment"):
            source = self.plot.sources[key]
            if len(next(iter(source.data.values()))):
                source.data = {column: [] for column in source.data}

    # -- marks, words -----------------------------------------------------------------------------

    def _place(self, columns: dict) -> dict:
        return {**columns, "y": self.viewport.apply(columns["y"])} if len(columns["y"]) else columns

    def _draw_strip(self) -> None:
        if not data.dot_count(self.run):
            return
        whole = metrics.overview(self.run, self.clock, self.options.what)
        kind = "log" if self.viewport.scale == "log" else "linear"
        x0, x1 = self.viewport.extent()
        low, high = steps.view_range(self.viewport.apply(whole["y"]), kind)
        self.plot.strip_x.update(start=x0, end=x1)
        self.plot.strip_y.update(start=low, end=high)
        figures.set_scale(self.plot.strip, "y", kind)
        figures.set_scale(self.plot.strip, "x", "log" if self.viewport.log_x else "linear")
        self.plot.strip_source.data = self._place(whole)

    def _draw_descents(self, start: int, stop: int) -> None:
        fresh = self.run.table("steps", start, stop, columns=["new_descent"]).columns
        at = fresh["iteration"][np.nan_to_num(fresh["new_descent"]).astype(bool)]
        at = at[at > 0]
        self.plot.sources["descents"].data = {"x": self.clock.x(at) if len(at) <= MAX_DESCENTS else []}

    def _say(self, start: int, stop: int, known: Table | None, near: bool) -> None:
        """The caption: what is shown, what is left out, what was noticed."""
        if stop - start <= data.DOTS:
            self._draw_descents(start, stop)
        elif len(self.plot.sources["descents"].data["x"]):
            self.plot.sources["descents"].data = {"x": []}
        first, last = self.clock.number(np.array([start, max(stop - 1, start)])).astype(int)
        words = [f"Iterations {first:,} to {last:,}."]
        what = self.options.what
        if what != metrics.ERROR:
            words += metrics.words(self.run, self.clock, what)
        if self._sent is not None and self._sent.nonfinite:
            words.append(f"{self._sent.nonfinite:,} not finite.")
        if what == metrics.ERROR and not near and not self.feed.silent:
            words.append(f"Zoom in to {MAX_SEGMENTS} iterations to see the error along each direction.")
        elif what == metrics.ERROR and known is not None:
            words += self._segment_words(start, stop, known)
        card.retitle(self.root, caption=" ".join(words))

    def _segment_words(self, start: int, stop: int, known: Table) -> list[str]:
        words = [", ".join(self.options.filtering).capitalize() + "."] if self.options.filtering else []
        if self.options.on == "train":
            words.append("Segments show the error on the training set, dots that on the mini-batch.")
        noisy = known.columns["iteration"][np.asarray(known.columns["noisy"], bool)]
        if len(noisy):
            words.append(f"Segments {steps.ranges(noisy)} are numerical noise.")
        off = known.columns["iteration"][np.asarray(known.columns["off"], bool)]
        if len(off):
            words.append(f"Segments {steps.ranges(off)} do not pass through what was recorded: not drawn.")
        if self.feed.silent:
            whence = "Imported" if recorded.is_imported(self.run) else "Recorded from a loop of its own"
            words.append(f"{whence}: without its error function there are no segments.")
            return words
        if self.feed.moments is not None:
            words.append("Segments are those of the moments that the loop has handed over.")
        if self.feed.error:
            words.append("There are no segments.")
        elif self.feed.cancelled:
            words.append("Segments were cancelled; move the view to ask again.")
        elif self.feed.waiting and len(known.columns["iteration"]) < stop - start:
            words.append("Segments are being computed.")
        else:
            words.append("Tap a dot for its details.")
        worst = np.asarray(known.columns["difference"], float)
        worst = worst[np.isfinite(worst)]
        if len(worst) and worst.max() > 0:
            words.append(f"Recomputed and recorded errors differ by at most {worst.max():.2g}.")
        return words

    # -- the chosen iteration ---------------------------------------------------------------------

    def _tapped(self, event) -> None:
        if event.x is None or self._sent is None:
            return
        numbers = np.arange(self._sent.start, self._sent.stop)
        if len(numbers):
            nearest = numbers[int(np.argmin(np.abs(self.clock.x(numbers) - event.x)))]
            last = self.run.rows("scalars") - 1
            self.context.state.set("focus", self.run_name if len(self.context.selected) > 1 else None)
            self.context.emit("focus", self.run_name)
            self.context.iteration = int(min(nearest, last))

    def _choose(self) -> None:
        """Marks the chosen iteration: its dot and its segment."""
        k = self.context.iteration
        sources = self.plot.sources
        if k is None or self._sent is None or k >= data.dot_count(self.run) or not self.focused:
            sources["chosen"].data = {"x": [], "y": []}
            sources["chosen_segment"].data = {"xs": [], "ys": []}
            return
        x, y = metrics.at(self.run, self.clock, k, self.options.what)
        sources["chosen"].data = {"x": x, "y": self.viewport.apply(y)}
        for key in ("segments", "noisy"):
            drawn = sources[key].data
            if k in list(drawn["iteration"]):
                at = list(drawn["iteration"]).index(k)
                sources["chosen_segment"].data = {"xs": [drawn["xs"][at]], "ys": [drawn["ys"][at]]}
                return
        sources["chosen_segment"].data = {"xs": [], "ys": []}

    @property
    def focused(self) -> bool:
        """Whether the chosen iteration is one of this curve's run."""
        chosen = self.context.state.get("focus", self.context.selected[0])
        return chosen == self.run_name or chosen not in self.context.selected

    # -- live, export -----------------------------------------------------------------------------

    def grown(self) -> None:
        """The record has grown: the strip shows it, the window is redrawn by the viewport."""
        self._draw_strip()

    def table(self) -> Table:
        """What is in view, for CSV: the steps, with the steepness and curvature of their directions."""
        start, stop = (self._sent.start, self._sent.stop) if self._sent else (0, 0)
        shown = self.run.table("steps", start, stop)
        if stop - start > data.DOTS or "ls_eval" not in self.run.arrays:
            return shown
        bend = shape.known(self.run, start, stop)
        more = descents.per_iteration(shown, self.run.table("evaluations", start, stop), bend).columns
        extra = {name: more[name] for name in ("phase_two", "loose_end", "steepness", "curvature")}
        return Table({**shown.columns, **extra}, shown.dims, shown.attrs)
