"""Zoom and filter: the curve segments c_k that show how the error varies along each direction.

c_k(xi) = phi_k((xi - k) eta_k) passes through (k, J(theta_k)) and (k + 1, J(theta_{k+1})); beyond
k + 1 lies the loose end, up to the largest step width visited. The samples come from a replay, the
recorded evaluations from the trace; where both exist the record is drawn. Becker 2019, eq. 8.
"""

import numpy as np

from gdlab.records import DIVERGED, LINE_SEARCH_FAILED, SHRINK, Table

# How far a recomputed error may be from a recorded one: a share of what the segment shows, and as much as
# the rounding of the parameters moves it.
SHARE_OFF, NOISE_OFF = 0.01, 4.0
# Two abscissae closer than this (in step widths) are one point: float32 ratios differ in the 7th digit.
SAME_POINT = 1e-6


def assemble(samples: Table, steps: Table, evaluations: Table) -> Table:
    """Segments of t iterations with at most m points each, recorded values in place of recomputed ones.

    `samples` holds iteration (t,), offset (t, m') (xi - k, increasing, NaN-padded) and value (t, m');
    `steps` and `evaluations` hold the same iterations, and more are ignored. Returns iteration (t,),
    xi (t, m), value (t, m), recorded (t, m) and, taken over from the samples where present, noise,
    noisy and difference (t,); NaN-padded, xi increasing within a row. Iterations without a finite,
    positive step width have no segment: their row is empty.

    off (t,): the samples do not pass through the recorded points, so that they belong to another training
    than the recorded one; these are left out (NaN), and only recorded points stay.
    """
    columns = samples.columns
    merged = [
        _merge(columns["offset"][row], columns["value"][row], *known)
        for row, known in enumerate(_recorded(columns["iteration"], steps, evaluations))
    ]
    length = max((len(offset) for offset, _, _ in merged), default=0)
    count = len(merged)
    xi, value = np.full((count, length), np.nan), np.full((count, length), np.nan)
    recorded = np.zeros((count, length), bool)
    for row, (offset, error, mark) in enumerate(merged):
        xi[row, : len(offset)] = columns["iteration"][row] + offset
        value[row, : len(offset)] = error
        recorded[row, : len(offset)] = mark
    out = {"iteration": columns["iteration"], "xi": xi, "value": value, "recorded": recorded}
    out |= {name: columns[name] for name in ("noise", "noisy", "difference") if name in columns}
    out["off"] = _off(out)
    value[out["off"][:, None] & ~recorded] = np.nan
    dims = {name: ("iteration", "point")[: np.ndim(array)] for name, array in out.items()}
    return Table(out, dims, dict(samples.attrs))


def sampled_only(samples: Table) -> Table:
    """Segments as `assemble` gives them, of samples alone: the record holds the mini-batch's error only,
    so the training set's error along a direction has no recorded points."""
    columns = samples.columns
    xi = columns["iteration"][:, None] + columns["offset"]
    kept = {"iteration", "noise", "noisy", "difference"} & columns.keys()
    out = {name: columns[name] for name in columns if name in kept}
    out |= {"xi": xi, "value": columns["value"], "recorded": np.zeros(xi.shape, bool)}
    out["off"] = np.zeros(len(xi), bool)
    dims = {name: ("iteration", "point")[: np.ndim(array)] for name, array in out.items()}
    return Table(out, dims, dict(samples.attrs))


def flags(steps: Table, evaluations: Table) -> Table:
    """What a segment can be filtered by, per iteration of `steps` [n]; the last dot has no segment.

    Returns iteration, evaluations (counts), and booleans: phase_two (the search shrank a bracket),
    loose_end (a step width beyond the accepted one was visited), restarted, failed, new_descent.
    """
    columns = steps.columns
    iteration = columns["iteration"]
    shrunk = np.unique(evaluations.columns["iteration"][evaluations.columns["phase"] == SHRINK])
    out = {
        "iteration": iteration,
        "evaluations": np.nan_to_num(columns["evaluations"]).astype(int),
        "phase_two": np.isin(iteration, shrunk),
        "loose_end": columns["step_size_max"] > columns["step_size"],
        "restarted": np.nan_to_num(columns["restarted"]).astype(bool),
        "failed": columns["status"] == LINE_SEARCH_FAILED,
        "new_descent": np.nan_to_num(columns["new_descent"]).astype(bool),
    }
    return Table(out, dict.fromkeys(out, ("iteration",)), {})


def keep(
    marks: Table,
    *,
    phase_two: bool = False,
    more_than: int = 0,
    restarted: bool = False,
    failed: bool = False,
) -> np.ndarray:
    """Mask [n] of the iterations that pass every filter that is on; with none on, all pass.

    `phase_two`, `restarted` and `failed` keep only such iterations; `more_than` keeps searches with
    more than that many evaluations (0: off, since methods without a search evaluate nothing).
    """
    columns = marks.columns
    mask = np.ones(len(columns["iteration"]), bool)
    for wanted, name in ((phase_two, "phase_two"), (restarted, "restarted"), (failed, "failed")):
        if wanted:
            mask &= columns[name]
    if more_than:
        mask &= columns["evaluations"] > more_than
    return mask


def clip(xi, value, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of one segment inside [low, high], cut exactly at the borders; NaN padding dropped.

    xi [m] increasing, value [m]. A border between two points gets their linear interpolation, so a
    loose end a thousand step widths long reaches the edge of the view and not one point more.
    """
    inside = np.isfinite(xi)
    xi, value = xi[inside], value[inside]
    if not xi.size or xi[-1] < low or xi[0] > high:
        return xi[:0], value[:0]
    borders = [border for border in (low, high) if xi[0] < border < xi[-1]]
    cut_xi = np.union1d(xi, borders)
    cut_value = np.interp(cut_xi, xi, value)
    cut_value[np.searchsorted(cut_xi, xi)] = value
    chosen = (cut_xi >= low) & (cut_xi <= high)
    return cut_xi[chosen], cut_value[chosen]


def without_loose_end(xi, value, iteration: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of one segment that joins its two dots, k <= xi <= k + 1. Becker 2019, Figure 2(d)."""
    return clip(xi, value, iteration, iteration + 1)


def _recorded(iterations, steps: Table, evaluations: Table):
    """Per iteration the recorded (offset, value) [r]: both dots and the rows of the search that counted."""
    row_of = {int(k): row for row, k in enumerate(steps.columns["iteration"])}
    trace = evaluations.columns
    starts = np.searchsorted(trace["iteration"], iterations, "left")
    stops = np.searchsorted(trace["iteration"], iterations, "right")
    for k, start, stop in zip(iterations, starts, stops, strict=True):
        row = row_of[int(k)]
        step = steps.columns["step_size"][row]
        if not (np.isfinite(step) and step > 0):
            yield None, None
            continue
        search = trace["search"][start:stop]
        last = search == search.max(initial=0)
        offset = np.concatenate([[0.0, 1.0], trace["eta"][start:stop][last] / step])
        ends = steps.columns["loss"][row], steps.columns["loss_end"][row]
        value = np.concatenate([ends, trace["phi"][start:stop][last]])
        if np.isnan(ends[1]) and steps.columns["status"][row] != DIVERGED:  # nobody evaluated the end
            offset, value = np.delete(offset, 1), np.delete(value, 1)
        yield offset, value


def _off(out):
    """Which segments do not pass through their recorded points, (t,); where no difference is known, none."""
    if "difference" not in out:
        return np.zeros(len(out["iteration"]), bool)
    within = out["xi"] - out["iteration"][:, None] <= 1
    sizes = []
    for mask in (within & out["recorded"], within & ~out["recorded"]):
        values = np.where(mask & np.isfinite(out["value"]), out["value"], np.nan)
        low, high = (
            np.fmin.reduce(values, axis=1, initial=np.nan),
            np.fmax.reduce(values, axis=1, initial=np.nan),
        )
        sizes.append(np.nan_to_num(high - low))
    spread = np.nan_to_num(out["noise"] * sizes[1], posinf=0) if "noise" in out else 0
    return np.asarray(out["difference"]) > SHARE_OFF * sizes[0] + NOISE_OFF * spread


def _merge(offset, value, known_offset, known_value):
    """One row: samples and recorded points in order, the record winning where they coincide."""
    if known_offset is None:
        return np.empty(0), np.empty(0), np.empty(0, bool)
    known_offset, first = np.unique(known_offset, return_index=True)
    known_value = known_value[first]
    there = np.isfinite(offset)
    offset, value = offset[there], value[there]
    right = np.searchsorted(known_offset, offset).clip(0, len(known_offset) - 1)
    left = (right - 1).clip(0)
    gap = np.minimum(np.abs(known_offset[right] - offset), np.abs(known_offset[left] - offset))
    new = gap > SAME_POINT * np.maximum(1.0, np.abs(offset))
    every = np.concatenate([known_offset, offset[new]])
    order = np.argsort(every, kind="stable")
    mark = np.arange(len(every)) < len(known_offset)
    return every[order], np.concatenate([known_value, value[new]])[order], mark[order]
