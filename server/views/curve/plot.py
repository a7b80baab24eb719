"""The figure of one enhanced curve: its glyphs, from the back to the front, and the strip below it.

Orange dots, dark segments (Becker 2019); thick lines where a descent begins, open dots for the value
that was arrived at before the batch changed, a band behind iterations whose segments are noise.
"""

from bokeh.models import ColumnDataSource, HoverTool, Range1d, RangeTool

from server.ui import figures

EMPTY = {
    "dots": ("x", "y", "iteration", "loss", "grad_norm", "step_size", "evaluations", "status"),
    "before": ("x", "y", "iteration"),
    "line": ("x", "y"),
    "smooth": ("x", "y"),
    "segments": ("xs", "ys", "iteration"),
    "noisy": ("xs", "ys", "iteration"),
    "chosen_segment": ("xs", "ys"),
    "chosen": ("x", "y"),
    "descents": ("x",),
    "noise": ("x0", "x1"),
}
LOSS = "@loss{%.6g}"
TOOLTIPS = [
    ("iteration", "@iteration{0,0}"),
    ("error", LOSS),
    ("gradient norm", "@grad_norm{%.4g}"),
    ("step width", "@step_size{%.4g}"),
    ("evaluations", "@evaluations{0}"),
]
STRIP_HEIGHT = 56


class CurvePlot:
    """main and strip (figures), sources {name: ColumnDataSource} with the columns of EMPTY."""

    def __init__(self, context, name: str, viewport, *, height: int = 420):
        self.context, self.name = context, name
        self.sources = {
            key: ColumnDataSource({column: [] for column in columns}, name=f"{name}_{key}")
            for key, columns in EMPTY.items()
        }
        self.main = figures.figure(
            f"{name}_figure",
            height=height,
            x_range=viewport.x_range,
            y_range=viewport.y_range,
            x_label="iteration",
            y_label="error",
            toolbar=True,
        )
        self.main.min_border_bottom = 40
        self._behind()
        self._curve()
        self._marks()
        self._tips = self._hover()
        self.main.add_tools(self._tips)
        self.strip = self._strip(viewport)

    def label(self, x: str, y: str, tips: list[tuple[str, str]]) -> None:
        """Titles both axes; tips: what is said of a dot, of TOOLTIPS."""
        self.main.xaxis.axis_label, self.main.yaxis.axis_label = x, y
        if self._tips.tooltips != tips:
            self._tips.tooltips = tips

    def dot_size(self, count: int) -> None:
        """Smaller dots for more iterations; none are drawn for buckets."""
        size = 7 if count <= 80 else 5 if count <= 400 else 3
        for renderer in (self._dots, self._before):
            renderer.glyph.size = size

    def fade(self, faded: bool) -> None:
        """Raw values step back behind a smoothed curve."""
        self._dots.glyph.fill_alpha = 0.25 if faded else 1.0
        self._dots.glyph.line_alpha = 0.25 if faded else 1.0
        self._line.glyph.line_alpha = 0.3 if faded else 0.9

    # -- glyphs -----------------------------------------------------------------------------------

    def _behind(self) -> None:
        band = self.main.vstrip(
            x0="x0", x1="x1", source=self.sources["noise"], line_color=None, fill_alpha=0.13
        )
        band.level = "underlay"
        starts = self.main.vspan(x="x", source=self.sources["descents"], line_width=2.5, line_alpha=0.55)
        starts.level = "underlay"
        self.context.paint(band.glyph, fill_color="noise")
        self.context.paint(starts.glyph, line_color="descent")

    def _curve(self) -> None:
        self._line = self.main.line("x", "y", source=self.sources["line"], line_width=1.0, line_alpha=0.9)
        self._line.glyph.line_join = "round"
        self.context.paint(self._line.glyph, line_color="dot")
        lines = {"segments": ("segment", 1.25), "noisy": ("noise", 1.25), "chosen_segment": ("accent", 2.5)}
        for key, (role, width) in lines.items():
            drawn = self.main.multi_line("xs", "ys", source=self.sources[key], line_width=width)
            drawn.glyph.line_join = "round"
            self.context.paint(drawn.glyph, line_color=role)
        smooth = self.main.line("x", "y", source=self.sources["smooth"], line_width=1.75)
        self.context.paint(smooth.glyph, line_color="accent")

    def _marks(self) -> None:
        self._before = self.main.scatter(
            "x", "y", source=self.sources["before"], size=6, line_width=1.25, fill_color=None
        )
        self._dots = self.main.scatter("x", "y", source=self.sources["dots"], size=6)
        ring = self.main.scatter(
            "x", "y", source=self.sources["chosen"], size=13, fill_color=None, line_width=2
        )
        self.context.paint(self._before.glyph, line_color="dot")
        self.context.paint(self._dots.glyph, fill_color="dot", line_color="dot")
        self.context.paint(ring.glyph, line_color="accent")
        for renderer in (self._dots, self._before):
            renderer.nonselection_glyph = renderer.muted_glyph = None

    def _hover(self) -> HoverTool:
        return HoverTool(
            renderers=[self._dots],
            mode="vline",
            line_policy="nearest",
            point_policy="follow_mouse",
            tooltips=TOOLTIPS,
            formatters={f"@{name}": "printf" for name in ("loss", "grad_norm", "step_size")},
            attachment="right",
            visible=False,
            name=f"{self.name}_hover",
        )

    def _strip(self, viewport):
        """The whole curve, small; the part in view can be dragged and stretched."""
        self.strip_source = ColumnDataSource({"x": [], "y": []}, name=f"{self.name}_strip")
        self.strip_x, self.strip_y = Range1d(0, 1), Range1d(0, 1)
        strip = figures.figure(
            f"{self.name}_strip_figure",
            height=STRIP_HEIGHT,
            x_range=self.strip_x,
            y_range=self.strip_y,
        )
        strip.min_border_top = strip.min_border_bottom = 2
        strip.xaxis.visible = strip.yaxis.visible = False
        strip.ygrid.grid_line_color = None
        strip.toolbar_location = None
        drawn = strip.line("x", "y", source=self.strip_source, line_width=1.25)
        self.context.paint(drawn.glyph, line_color="context")
        tool = RangeTool(x_range=viewport.x_range, start_gesture="pan")
        tool.overlay.line_alpha, tool.overlay.line_width = 0.5, 1
        tool.overlay.fill_alpha, tool.overlay.hover_fill_alpha = 0.08, 0.16
        self.context.paint(tool.overlay, fill_color="accent", line_color="accent", hover_fill_color="accent")
        strip.tools = [tool]
        strip.toolbar.active_drag, strip.toolbar.active_scroll = "auto", None
        return strip
