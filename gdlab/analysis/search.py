"""Details on demand: one line search, plot by plot.

A search that visits eta^0, ..., eta^{n-1} is told in n - 1 plots: plot j shows the current step width
eta^{j-1}, the polynomial fitted there, the interval its minimiser is limited to, and the next step
width eta^j. A start that is accepted at once is one plot without a polynomial. A method without a line
search is one plot: the segment, the step taken and the lowest point along the ray.
Becker 2019, Figures 3 and 4 and Table 2.
"""

import numpy as np

from gdlab.records import KINDS, NO_FIT, PHASES, Table

SHOWN = (
    "search", "phase", "kind", "anchor_a", "anchor_b", "c0", "c1", "c2", "c3", "minimiser", "lower", "upper",
)  # fmt: skip
ROUND_OFF = 16  # units in the last place
STALE = 100  # times what the slope promises
AT_BOUND = 1e-6  # relative distance below which a step width is at a bound of its interval


def plots(evaluations: Table) -> Table:
    """The plots of one iteration from its n trace rows (all of the same iteration, in order).

    Returns, per plot [n - 1 for each search, or 1]: j (from 1), current, phi, dphi (at the current
    step width), next (NaN where there is none), phi_next, dphi_next, accepted (the next one was
    accepted), and the columns named in SHOWN; a bound from which `next` differs by rounding alone is
    `next`. A search that was repeated along -g gives the plots of
    both, `search` 0 and 1. No rows give no plots.
    """
    trace = evaluations.columns
    pieces = [_search(trace, np.flatnonzero(trace["search"] == s)) for s in np.unique(trace["search"])]
    names = (*_OWN, *SHOWN)
    columns = {name: np.concatenate([piece[name] for piece in pieces] or [np.empty(0)]) for name in names}
    return Table(columns, dict.fromkeys(names, ("plot",)), {"plots": len(columns["j"])})


def has_polynomial(table: Table, row: int) -> bool:
    """Whether plot `row` shows an interpolating polynomial: a cubic or quadratic with finite terms."""
    if KINDS[int(table.columns["kind"][row])] not in ("cubic", "quadratic"):
        return False
    return all(
        np.isfinite(table.columns[name][row]) for name in ("anchor_a", "anchor_b", "c0", "c1", "c2", "c3")
    )


def polynomial(table: Table, row: int, eta) -> np.ndarray:
    """The interpolating polynomial of plot `row` at the step widths `eta` [m].

    Its coefficients are those of powers of u = (eta - a) / (b - a), a and b the anchors.
    """
    a, b, *c = (table.columns[name][row] for name in _POLYNOMIAL)
    u = (np.asarray(eta, float) - a) / (b - a)
    return c[0] + u * (c[1] + u * (c[2] + u * c[3]))


def why_failed(evaluations: Table, loss: float, slope: float) -> str:
    """Why a search found nothing lower, in words, from its trace rows; loss, slope: at step width 0.

    Told apart by what the last search's values do as the step shrinks to 0: they may be not finite; differ
    from the error at 0 by less than round-off; tend to another value, so that the error at 0 is of other
    data; rise in proportion to the step, which no smooth function does whose slope falls; or none of these,
    where the bound of evaluations was in the way.
    """
    trace = evaluations.columns
    if not len(trace["eta"]) or not slope < 0:
        return "the direction does not lead downhill"
    last = trace["search"] == trace["search"].max()
    eta, phi = trace["eta"][last], trace["phi"][last]
    finite = np.isfinite(phi)
    if not finite.any():
        return "the error is finite nowhere along the direction"
    single = np.all(phi[finite] == phi[finite].astype(np.float32))
    digits = ROUND_OFF * abs(loss) * (np.finfo(np.float32).eps if single else np.finfo(np.float64).eps)
    order = np.argsort(eta[finite])
    eta, rise = eta[finite][order], phi[finite][order] - loss
    stays = len(eta) > 1 and abs(rise[0] - rise[1]) <= abs(rise[0]) / 10
    if stays and abs(rise[0]) > STALE * (eta[0] * abs(slope) + digits):
        return "the error at 0 is not that of the function searched; with new data it must be computed anew"
    seen = rise > digits
    if seen.sum() > 2 and np.ptp(np.log(rise[seen] / eta[seen])) < np.ptp(np.log(eta[seen])) / 2:
        return "the gradient is not the slope of the error: close by it rises where it should fall"
    if abs(rise[0]) <= digits:
        return "round-off: along the direction the error differs in its last digits alone"
    return "the evaluations are spent"


def interval(table: Table, row: int) -> tuple[float, float] | None:
    """The allowed interval of plot `row`, or None where nothing was proposed."""
    low, high = float(table.columns["lower"][row]), float(table.columns["upper"][row])
    return (low, high) if np.isfinite(low) and np.isfinite(high) and high > low else None


def texts(table: Table, row: int, digits: int = 6) -> list[tuple[str, str]]:
    """The values of plot `row` as (name, text), in reading order; what does not exist is left out.

    eta, phi and phi' read "current → next"; numbers have `digits` significant digits.
    """
    columns = table.columns

    def pair(now: str, then: str) -> str:
        both = number(columns[now][row], digits)
        return f"{both} → {number(columns[then][row], digits)}" if moves else both

    kind, phase = KINDS[int(columns["kind"][row])], PHASES[int(columns["phase"][row])]
    moves = bool(np.isfinite(columns["next"][row]))
    words = {"extrapolate": "phase one, extrapolate", "shrink": "phase two, shrink"}
    pairs = [("phase", words[phase] if moves else "accepted at once")]
    pairs.append(("η", pair("current", "next") + _where(table, row)))
    if kind != KINDS[NO_FIT]:
        anchors = (number(columns[name][row], digits) for name in ("anchor_a", "anchor_b"))
        pairs.append((kind, "through " + ", ".join(anchors)))
    if moves:
        lowest = columns["minimiser"][row]
        pairs.append(("η*", number(lowest, digits) if np.isfinite(lowest) else "no minimum"))
        limits = interval(table, row)
        if limits:
            pairs.append(("allowed", "[" + ", ".join(number(limit, digits) for limit in limits) + "]"))
    return [*pairs, ("φ", pair("phi", "phi_next")), ("φ′", pair("dphi", "dphi_next"))]


def number(value: float, digits: int = 6) -> str:
    """A value with so many significant digits, short: 0.25, 1.5e-07; "not finite" for NaN and infinity."""
    return f"{value:.{digits}g}".replace("-", "−") if np.isfinite(value) else "not finite"


def ray_minimum(xi, value) -> tuple[float, float] | None:
    """The lowest point of one sampled segment (xi, value) [m], refined by a parabola where it is inside.

    For methods without a line search: an abscissa below k + 1 says that the step was too long, one
    above that it was too short. None where nothing is finite.
    """
    xi, value = np.asarray(xi, float), np.asarray(value, float)
    there = np.isfinite(xi) & np.isfinite(value)
    xi, value = xi[there], value[there]
    if not xi.size:
        return None
    at = int(np.argmin(value))
    if at in (0, len(xi) - 1):
        return float(xi[at]), float(value[at])
    left, right = xi[at - 1] - xi[at], xi[at + 1] - xi[at]
    up_left, up_right = value[at - 1] - value[at], value[at + 1] - value[at]
    bend = (up_right / right - up_left / left) / (right - left)
    slope = up_right / right - bend * right
    if not bend > 0:
        return float(xi[at]), float(value[at])
    shift = float(np.clip(-slope / (2 * bend), left, right))
    return float(xi[at]) + shift, float(value[at] + shift * (slope + bend * shift))


_POLYNOMIAL = ("anchor_a", "anchor_b", "c0", "c1", "c2", "c3")
_OWN = ("j", "current", "phi", "dphi", "next", "phi_next", "dphi_next", "accepted")


def _search(trace, rows) -> dict[str, np.ndarray]:
    """Plots of one search from its n rows: row j - 1 is the current step width, row j the next."""
    if len(rows) == 1:
        now, then = rows, None
    else:
        now, then = rows[:-1], rows[1:]
    blank = np.full(len(now), np.nan)
    following = {name: blank if then is None else trace[name][then] for name in ("eta", "phi", "dphi")}
    columns = {
        "j": np.arange(1, len(now) + 1),
        "current": trace["eta"][now],
        "phi": trace["phi"][now],
        "dphi": trace["dphi"][now],
        "next": following["eta"],
        "phi_next": following["phi"],
        "dphi_next": following["dphi"],
        "accepted": trace["accepted"][now if then is None else then].astype(bool),
    }
    shown = {name: trace[name][now] for name in SHOWN}
    # A compiled program works a bound out once for the step and once for the record, which may differ in
    # the last bit: a step that was limited lies at its bound.
    for bound in ("lower", "upper"):
        at = np.isclose(columns["next"], shown[bound], rtol=AT_BOUND, atol=0)
        shown[bound] = np.where(at, columns["next"], shown[bound])
    return columns | shown


def _where(table: Table, row: int) -> str:
    """Says whether the next step width is a bound of the interval, since the minimiser lay outside it."""
    limits = interval(table, row)
    following = table.columns["next"][row]
    if limits is None:
        return ""
    for bound, name in zip(limits, ("lower bound", "upper bound"), strict=True):
        if following == bound:
            return f" ({name})"
    return ""
