"""Figures that look alike: chrome, axes whose scale can change, steps of zoom, one crosshair for many.

The colours of the chrome come from the document's theme. A frame has a fixed left border, so that
figures under one another align.
"""

from contextlib import contextmanager
from math import ceil, floor, log10

from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    BoxZoomTool,
    CrosshairTool,
    CustomJSTicker,
    CustomJSTickFormatter,
    DatetimeTicker,
    DatetimeTickFormatter,
    FixedTicker,
    LinearScale,
    LogScale,
    PanTool,
    Range1d,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure as bokeh_figure

from gdlab.analysis import steps

LEFT, RIGHT = 58, 14  # px, borders shared by the figures of a column
TICKS = 6  # about so many on an axis that chooses its own

# 0.001 and 12,000 as they are, 1e-7 as a power: short labels on an axis of any size.
PLAIN = """
if (tick === 0) return "0"
const size = Math.abs(tick)
if (size >= 1e-3 && size < 1e5) return String(Number(tick.toPrecision(6)))
return tick.toExponential(Math.abs(tick / 10 ** Math.floor(Math.log10(size)) % 1) < 1e-6 ? 0 : 1)
"""
# Decades, or multiples of them where they are few; even steps where the axis is all but linear. Bokeh's own
# ticker turns to even steps below two decades, which crowd at the upper end.
LOG_TICKS = """
const {start: low, end: high} = cb_data
if (!(0 < low && low < high)) return []
const decades = Math.log10(high / low)
if (decades < 0.35) {
  const least = (high - low) / (most - 1) * 0.999
  const size = 10 ** Math.floor(Math.log10(least))
  const step = size * [1, 2, 5, 10].find((factor) => factor * size >= least)
  const first = Math.ceil(low / step)
  return Array.from({length: Math.floor(high / step) - first + 1}, (_, i) => (first + i) * step)
}
const few = most < 6
const digits = decades < (few ? 0.5 : 0.7) ? [1, 2, 3, 5, 7] : decades < (few ? 1.2 : 2.5) ? [1, 2, 5] : [1]
const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))]
const stride = Math.max(1, Math.floor((last - first) / most))
const powers = Array.from({length: Math.floor((last - first) / stride) + 1}, (_, i) => first + i * stride)
return powers.flatMap((power) => digits.map((digit) => digit * 10 ** power))
  .filter((tick) => low <= tick && tick <= high)
"""
COUNT = "if (Number.isInteger(tick)) return tick.toLocaleString('en')" + PLAIN
# Whole numbers, as Bokeh's own ticker chooses its steps; between two of them, where none lies, fractions.
COUNT_TICKS = """
const {start: low, end: high} = cb_data
if (!(low < high)) return []
const size = 10 ** Math.floor(Math.log10((high - low) / most))
const away = (step) => Math.abs(most - (high - low) / step)
const step = [0.5, 1, 2, 5, 10].map((factor) => factor * size).reduce((a, b) => (away(b) < away(a) ? b : a))
const even = (step) => {
  const first = Math.ceil(low / step)
  return Array.from({length: Math.floor(high / step) - first + 1}, (_, i) => (first + i) * step)
}
const whole = even(Math.max(1, Math.round(step)))
return whole.length > 0 ? whole : even(step)
"""


def figure(
    name: str,
    *,
    height: int,
    x_range: Range1d,
    y_range: Range1d,
    x_label: str = "",
    y_label: str = "",
    zoom: str = "width",
    toolbar: bool = False,
    **properties,
):
    """An empty figure as wide as its card that can be dragged and zoomed with the wheel.

    zoom: "width", "height" or "both", what pan and wheel change; toolbar: above the frame, where it
    covers no dot, hidden until hovered, with the box zoom. x_range, y_range: may be shared.
    """
    wheel = WheelZoomTool(dimensions=zoom, maintain_focus=False)
    drag, box = PanTool(dimensions=zoom), BoxZoomTool(dimensions="auto" if zoom == "both" else zoom)
    plot = bokeh_figure(
        name=name,
        height=height,
        x_range=x_range,
        y_range=y_range,
        sizing_mode="stretch_width",
        tools=[drag, box, wheel],
        active_drag=drag,
        active_scroll=wheel,
        toolbar_location="above" if toolbar else None,
        min_border_left=LEFT,
        min_border_right=RIGHT,
        min_border_top=8,
        min_border_bottom=34 if x_label else 22,
        **properties,
    )
    plot.xaxis.axis_label, plot.yaxis.axis_label = x_label or None, y_label or None
    plot.xgrid.grid_line_color = None
    return plot


def draw(plot, source, glyph, **properties):
    """Adds a glyph that looks the same whether selected or not: a third of the models of `plot.line` and its
    like, which add one glyph for each of these states. Returns the renderer."""
    states = dict.fromkeys(("selection_glyph", "nonselection_glyph", "muted_glyph"), glyph)
    return plot.add_glyph(source, glyph, **states, **properties)


def set_scale(
    plot, dimension: str, scale: str, ticks: dict[float, float] | None = None, *, most: int = TICKS
) -> None:
    """Turns an axis into "linear", "log", "count" (whole numbers), "time", or "fixed" at `ticks`.

    dimension: "x" or "y". ticks: {position: value shown}, for axes whose data are transformed. The range
    is left alone: on a log axis it must be positive before this is called. most: about so many ticks
    where the axis chooses them itself, fewer where it is short.
    """
    axis, grid = getattr(plot, f"{dimension}axis")[0], getattr(plot, f"{dimension}grid")[0]
    # Every replaced model makes Bokeh walk the whole document again: nothing is replaced without need.
    state = [scale, *(f"{position!r}: {value!r}" for position, value in sorted((ticks or {}).items()))]
    if axis.tags == state:
        return
    axis.tags = state
    wanted = LogScale if scale == "log" else LinearScale
    if type(getattr(plot, f"{dimension}_scale")) is not wanted:
        setattr(plot, f"{dimension}_scale", wanted())
    if scale == "fixed":
        axis.ticker = FixedTicker(ticks=sorted(ticks or {}), minor_ticks=[])
        axis.major_label_overrides = {position: _short(value) for position, value in (ticks or {}).items()}
        axis.formatter = BasicTickFormatter()
    else:
        set_ticks(axis, scale, most)
    grid.ticker = axis.ticker


@contextmanager
def at_once(*plots):
    """Within it, whatever changes in the figures is drawn together at the end: each change is a message of
    its own, after each of which the browser would draw."""
    for plot in plots:
        plot.hold_render = True
    try:
        yield
    finally:
        for plot in plots:
            plot.hold_render = False


def fit_bar(mapper, bar, low: float, high: float) -> None:
    """Limits of a map of colours. Of a single value the colour is that of the middle, and there is no bar:
    it would tell no colours apart. bar: None where there is none anyway."""
    apart = high > low
    reach = 0.0 if apart else abs(low) or 1.0
    mapper.update(low=low - reach, high=high + reach)
    if bar is not None:
        bar.visible = apart


def shortened(text: str, most: int) -> str:
    """Text of at most so many characters, cut in the middle: names differ at their ends."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def name_ticks(axis, names: dict[float, str]) -> None:
    """Names at places of an axis or of a colour bar, and nothing else on it: {place: name}.

    A colour bar must have been made with a FixedTicker: it keeps the ticker that it was first drawn with.
    """
    if isinstance(axis.ticker, FixedTicker):  # in place, see `set_scale`
        axis.ticker.ticks = sorted(names)
    else:
        axis.ticker = FixedTicker(ticks=sorted(names), minor_ticks=[])
    axis.major_label_overrides = names


def set_ticks(axis, scale: str, most: int = TICKS) -> None:
    """Ticks and labels of an axis for a scale as `set_scale` gives them, "fixed" excepted."""
    axis.major_label_overrides = {}
    axis.ticker = _ticker(scale, most)
    axis.formatter = _formatter(scale)


def _short(value: float) -> str:
    return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-") if value else "0"


def _ticker(scale: str, most: int):
    """Only here is a ticker told how many: that of a logarithmic axis has no such property."""
    if scale == "log":
        return CustomJSTicker(major_code=LOG_TICKS, args={"most": most})
    if scale == "time":
        return DatetimeTicker(num_minor_ticks=0, desired_num_ticks=most)
    if scale == "count":
        return CustomJSTicker(major_code=COUNT_TICKS, args={"most": most})
    return BasicTicker(num_minor_ticks=0, desired_num_ticks=most)


def _formatter(scale: str):
    if scale == "time":
        return DatetimeTickFormatter()
    # On log axes too: Bokeh's own formatter draws the exponent into its base in this font.
    return CustomJSTickFormatter(code=COUNT if scale == "count" else PLAIN)


def log_ticks(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis whose limits are known: decades, or multiples of them where they are few.

    Bokeh's own ticker turns to even steps below two decades, which leaves the lower half without any.
    """
    first, last = floor(log10(low)), min(ceil(log10(high)), 308)
    decades = log10(high) - log10(low)
    digits = range(1, 10) if decades < 0.7 else (1, 2, 5) if decades < 2.5 else (1,)
    stride = max(1, (last - first) // 6)
    ticks = [digit * 10.0**power for power in range(first, last + 1, stride) for digit in digits]
    return [tick for tick in ticks if low <= tick <= high]


def crosshair(context, *plots, name: str) -> Span:
    """One vertical line that follows the pointer through all `plots` at once; returns it."""
    line = Span(dimension="height", line_width=1, line_dash="dotted", name=name, level="annotation")
    context.paint(line, line_color="muted")
    for plot in plots:
        plot.add_tools(CrosshairTool(overlay=line, visible=False))
    return line


def zoomed(low: float, high: float, factor: float, *, log: bool = False) -> tuple[float, float]:
    """Limits around the same middle, `factor` times as wide (of the logarithms, on a log axis)."""
    if log:
        low, high = zoomed(log10(low), log10(high), factor)
        low, high = max(low, steps.DECADES[0]), min(high, steps.DECADES[1])
        return 10.0**low, 10.0**high
    middle, half = (low + high) / 2, (high - low) / 2 * factor
    return middle - half, middle + half
