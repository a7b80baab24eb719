"""From the record of one iteration to the plots that tell its search, and the axes they share."""

from typing import NamedTuple

import numpy as np

from gdlab.analysis import search, steps
from gdlab.records import LINE_SEARCH_FAILED, STATUS, Table
from server.views.curve.facet import CURVE_POINTS, Content

GUTTER = 0.1  # share of the width left of step width 0: there stands the index j
LOG_STEPS = 60.0  # a search whose step widths differ by more is shown on a logarithmic axis
LOG_ERRORS = 100.0  # and one whose error falls by more, if it stays positive


class SearchPlots(NamedTuple):
    """title, caption, contents (in order); x, y: limits; log_x, log_y: their scales; table: for CSV."""

    title: str
    caption: str
    contents: list[Content]
    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool
    log_y: bool
    table: Table


def search_plots(
    run, k: int, segments: Table, log_x: bool | None = None, log_y: bool | None = None
) -> SearchPlots:
    """The plots of iteration k. segments: of this iteration (empty while it is being computed);
    log_x, log_y: the reader's choice, None: what suits the values."""
    step = {name: values[0] for name, values in run.table("steps", k, k + 1).columns.items()}
    trace = run.table("evaluations", k, k + 1)
    curve = _curve(segments, k, step["step_size"])
    if not len(trace.columns["eta"]):
        return _ray(k, step, curve, segments, bool(log_y))
    plots = search.plots(trace)
    widths = trace.columns["eta"]
    positive = widths[(widths > 0) & np.isfinite(widths)]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
    log_x = high / low > LOG_STEPS if log_x is None else log_x
    errors = np.concatenate([[step["loss"]], curve[1], trace.columns["phi"]])
    log_y = _falls_far(errors, step["loss"]) if log_y is None else log_y and _positive(errors)
    right = _right(plots, widths)
    limits_x = (low * (low / high) ** 0.2, high * (high / low) ** 0.08) if log_x else (-GUTTER * right, right)
    limits_x = steps.limits(limits_x[0], limits_x[1], "log" if log_x else "linear")
    contents = [
        _content(plots, row, trace, step, curve, limits_x, log_x) for row in range(plots.attrs["plots"])
    ]
    title = f"Line search at iteration {k:,}"
    return SearchPlots(
        title, _caption(step, trace), contents, limits_x, _height(errors, step, log_y), log_x, log_y, trace
    )


def _curve(segments: Table, k: int, step_size: float):
    """(step widths, errors) of the sampled segment; empty where it is not there (yet)."""
    if not len(segments.columns["iteration"]):
        return np.empty(0), np.empty(0)
    xi, value = segments.columns["xi"][0], segments.columns["value"][0]
    there = np.isfinite(xi)
    return (xi[there] - k) * step_size, value[there]


def _content(plots: Table, row: int, trace: Table, step, curve, limits, log_x: bool) -> Content:
    columns = plots.columns
    taken = columns["search"][row] == trace.columns["search"].max()
    same = trace.columns["search"] == columns["search"][row]
    recorded = trace.columns["eta"][same], trace.columns["phi"][same]
    polynomial = anchors = None
    if search.has_polynomial(plots, row):
        low, high = limits
        eta = np.geomspace(low, high, CURVE_POINTS) if log_x else np.linspace(0.0, high, CURVE_POINTS)
        polynomial = eta, search.polynomial(plots, row, eta)
        at = np.array([columns["anchor_a"][row], columns["anchor_b"][row]])
        anchors = at, search.polynomial(plots, row, at)
    texts = search.texts(plots, row, digits=5)
    heading = texts[0][1] if taken else f"first search, {texts[0][1]}"
    return Content(
        badge=str(int(columns["j"][row])),
        heading=heading,
        words=" · ".join(f"{name} {value}" for name, value in texts[1:]),
        segment=curve if taken else (np.empty(0), np.empty(0)),
        recorded=recorded,
        polynomial=polynomial,
        anchors=anchors,
        interval=search.interval(plots, row),
        current=float(columns["current"][row]),
        following=float(columns["next"][row]) if np.isfinite(columns["next"][row]) else None,
    )


def _ray(k: int, step, curve, segments: Table, log_y: bool) -> SearchPlots:
    """A method without a line search: the segment, the step taken, the lowest point along the ray."""
    size = step["step_size"]
    end = step["loss_end"]
    if np.isnan(end) and len(curve[0]):  # nobody evaluated it, but the segment passes there
        end = curve[1][np.argmin(np.abs(curve[0] - size))]
    recorded = np.array([0.0, size]), np.array([step["loss"], end])
    found = search.ray_minimum(*curve)
    change = f"J {search.number(step['loss'])} → {search.number(end)}"
    words = []
    if found and size > 0:
        share = found[0] / size
        verdict = "too long" if share < 0.95 else "too short" if share > 1.05 else "about right"
        ends = len(curve[0]) and found[0] == curve[0][-1]
        still = "still falling" if ends else "lowest along the ray"
        words.append(f"{still}, J {search.number(found[1])}, at {share:.3g} steps")
        words.append(f"the step was {verdict}")
    errors = np.concatenate([recorded[1], curve[1]])
    log_y = log_y and _positive(errors)
    content = Content(
        badge="",
        heading="the step taken",
        words=" · ".join(words),
        segment=curve,
        recorded=recorded,
        current=None,
        following=float(size),
        lowest=found[0] if found else None,
    )
    right = max(float(curve[0].max()) if len(curve[0]) else 0.0, 1.2 * size if np.isfinite(size) else 0.0)
    right = right or 1.0
    return SearchPlots(
        f"Step at iteration {k:,}",
        " · ".join(filter(None, [change, _status(step)])),
        [content],
        (-GUTTER * right, right),
        _height(errors, step, log_y),
        False,
        log_y,
        segments,
    )


def _caption(step, trace: Table) -> str:
    count = len(trace.columns["eta"])
    words = [f"{count} evaluation{'s' if count != 1 else ''}"]
    words.append("both phases" if np.any(trace.columns["phase"] == 2) else "phase one only")
    words.append(f"η = {search.number(step['step_size'])}")
    words.append(f"J {search.number(step['loss'])} → {search.number(step['loss_end'])}")
    status = _status(step, trace)
    return " · ".join(words + ([status] if status else []))


def _status(step, trace: Table | None = None) -> str:
    words = []
    if step["new_descent"] == 1:
        words.append("a new descent begins")
    if step["restarted"] == 1:
        words.append("restarted along −g")
    code = int(step["status"]) if np.isfinite(step["status"]) else 0
    if code:
        failed = code == LINE_SEARCH_FAILED
        words.append("the search found no lower point" if failed else STATUS[code])
        if failed and trace is not None:
            words[-1] += ": " + search.why_failed(trace, step["loss"], step["slope"])
    return ", ".join(words)


def _right(plots: Table, widths) -> float:
    """The right limit: every visited width, and the allowed intervals as far as that does not dwarf them."""
    upper = plots.columns["upper"]
    upper = upper[np.isfinite(upper)]
    widths = widths[np.isfinite(widths)]
    widest = float(widths.max()) if len(widths) and widths.max() > 0 else 1.0
    return 1.06 * max(widest, min(float(upper.max()) if upper.size else 0.0, 1.5 * widest))


def _height(errors, step, log_y: bool) -> tuple[float, float]:
    """Limits that follow the dots: from the lowest error to a little above J(theta_k), not to the far
    end of a loose end."""
    finite = np.clip(errors[np.isfinite(errors)], -steps.LARGEST, steps.LARGEST)
    if not finite.size:
        return (0.1, 1.0) if log_y else (0.0, 1.0)
    low, start = float(finite.min()), float(step["loss"])
    start = float(np.clip(start, -steps.LARGEST, steps.LARGEST)) if np.isfinite(start) else finite.max()
    if log_y:
        low, start = np.log10(low), np.log10(start)
        reach = start - low if start > low else 1.0
        bottom, top = np.clip([low - 0.12 * reach, start + 0.35 * reach], *steps.DECADES)
        return steps.limits(10.0**bottom, 10.0**top, "log")
    drop = start - low or abs(start) or 1.0
    return steps.limits(low - 0.12 * drop, start + 0.4 * drop)


def _positive(errors) -> bool:
    finite = errors[np.isfinite(errors)]
    return bool(finite.size) and bool(finite.min() > 0)


def _falls_far(errors, start: float) -> bool:
    return _positive(errors) and start / float(errors[np.isfinite(errors)].min()) > LOG_ERRORS
