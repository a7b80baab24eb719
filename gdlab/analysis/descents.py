"""Mini-batch analysis: what a line search does, counted per descent and over runs.

A descent is a stretch of iterations on one batch. Per descent: loose ends, evaluations, steepness and
curvature of phi_k at 0, the jump of the error where the batch changed, the drop within. Over runs the
same numbers stand against B, K and K / batch size. Becker 2019, section 3.2 (its outlook).
"""

import numpy as np

from gdlab.analysis.segments import flags
from gdlab.records import IDLE, Table

# A visited step width tells the curvature once the slope has changed by this share of phi'(0):
# below it the difference is rounding.
SLOPE_CHANGE = 1e-3
# Where the error changes by less than this share of itself, its difference is rounding too, and the
# curvature is taken from the slopes alone.
CANCELLATION = 1e-6


def per_iteration(steps: Table, evaluations: Table) -> Table:
    """Steepness |phi'_k(0)| and curvature phi''_k(0) per iteration [n], beside the filter flags.

    The curvature is that of the cubic Hermite polynomial through 0 and the smallest visited step width
    whose slope differs from phi'(0) by SLOPE_CHANGE (else the largest one): its error is of second
    order in that width; near the end of a descent the slopes' difference is taken. NaN where no finite
    step width was visited. `jump` is J on the new batch minus J on the old at the same parameters, NaN
    away from a change; `drop` is J(theta_k) - J(theta_{k+1}) on the same batch.
    """
    columns = steps.columns
    marks = flags(steps, evaluations)
    arrived = np.concatenate([[np.nan], columns["loss_end"][:-1]])
    jump = np.where(marks.columns["new_descent"], columns["loss"] - arrived, np.nan)
    out = dict(marks.columns) | {
        "steepness": np.abs(columns["slope"]),
        "curvature": _curvature(columns, evaluations.columns),
        "jump": jump,
        "drop": columns["loss"] - columns["loss_end"],
        "descent": columns["descent"],
        "idle": columns["status"] == IDLE,
    }
    return Table(out, dict.fromkeys(out, ("iteration",)), {})


def per_descent(iterations: Table) -> Table:
    """One row per descent from the table of `per_iteration`; rows without a step (idle, last) do not count.

    Returns descent, start, iterations, loose_ends, phase_two, restarts, failed (counts), evaluations
    (mean per iteration), steepness, curvature (medians), jump (at its start) and drop (median).
    """
    columns = iterations.columns
    counted = np.isfinite(columns["descent"]) & ~columns["idle"]
    numbers = np.unique(columns["descent"][counted])
    rows = [np.flatnonzero(counted & (columns["descent"] == number)) for number in numbers]
    count = {"loose_ends": "loose_end", "phase_two": "phase_two", "restarts": "restarted", "failed": "failed"}
    out = {
        "descent": numbers.astype(int),
        "start": np.array([columns["iteration"][r[0]] for r in rows], int),
        "iterations": np.array([len(r) for r in rows], int),
        "evaluations": np.array([columns["evaluations"][r].mean() for r in rows], float),
        "jump": np.array([columns["jump"][r[0]] for r in rows], float),
    }
    out |= {new: np.array([columns[old][r].sum() for r in rows], int) for new, old in count.items()}
    out |= {
        name: np.array([_median(columns[name][r]) for r in rows], float)
        for name in ("steepness", "curvature", "drop")
    }
    return Table(out, dict.fromkeys(out, ("descent",)), {})


def evaluation_histogram(iterations: Table) -> Table:
    """How many iterations needed 1, 2, ... evaluations: (evaluations, iterations) [largest count]."""
    columns = iterations.columns
    counts = np.bincount(columns["evaluations"][~columns["idle"]])[1:]
    out = {"evaluations": np.arange(1, len(counts) + 1), "iterations": counts}
    return Table(out, dict.fromkeys(out, ("evaluations",)), {})


def totals(iterations: Table) -> dict[str, float]:
    """One run in numbers: the means, medians and counts that `per_descent` has, over all its iterations.

    `jump` is the largest jump upward between descents; `jump_ratio` that over the median positive drop
    within descents. Both NaN where the batch never changes.
    """
    columns = iterations.columns
    stepped = ~columns["idle"] & np.isfinite(columns["drop"])
    jumps = columns["jump"][np.isfinite(columns["jump"])]
    drops = columns["drop"][stepped]
    drop = _median(drops[drops > 0])
    largest = float(jumps.max()) if jumps.size else np.nan
    return {
        "iterations": int(stepped.sum()),
        "loose_ends": int(columns["loose_end"][stepped].sum()),
        "phase_two": int(columns["phase_two"][stepped].sum()),
        "restarts": int(columns["restarted"][stepped].sum()),
        "failed": int(columns["failed"].sum()),
        "evaluations": float(columns["evaluations"][stepped].mean()) if stepped.any() else np.nan,
        "steepness": _median(columns["steepness"][stepped]),
        "curvature": _median(columns["curvature"][stepped]),
        "drop": drop,
        "jump": largest,
        "jump_ratio": largest / drop if drop > 0 else np.nan,
    }


def setting(config: dict, identity: dict) -> dict[str, float]:
    """B, K and K / batch size of a run from its configuration and its identity; NaN where they do not say.

    `batches` B per epoch, `descent_length` K iterations per mini-batch (all of them where the batch never
    changes), `ratio` K over the number of examples in a mini-batch, which only runs on data have.
    """
    train = config.get("train") or {}
    examples, size = identity.get("examples"), identity.get("batch_size")
    batches = float(train.get("batches") or 1)
    if train.get("batch_size"):
        batches = float(examples // size) if examples and size else float("nan")
    length = train.get("descent_length")
    if length is None:
        length = train.get("steps", float("nan")) if batches == 1 else 1
    ratio = float(length) / size if size else float("nan")
    return {"batches": batches, "descent_length": float(length), "ratio": ratio}


def over_runs(runs: list[tuple[str, dict, dict]]) -> Table:
    """One row per run from (name, setting, totals): what A5 compares against B, K and K / batch size."""
    names = np.array([name for name, _, _ in runs], object)
    keys = [key for _, options, numbers in runs[:1] for key in (*options, *numbers)]
    out = {
        key: np.array([({**options, **numbers})[key] for _, options, numbers in runs], float) for key in keys
    }
    if runs:
        out["loose_share"] = out["loose_ends"] / np.maximum(out["iterations"], 1)
        out["phase_two_share"] = out["phase_two"] / np.maximum(out["iterations"], 1)
    out = {"run": names} | out
    return Table(out, dict.fromkeys(out, ("run",)), {})


def _median(values) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")


def _curvature(steps, trace) -> np.ndarray:
    """phi''_k(0) per iteration, from trace rows that belong to the direction that was taken."""
    iteration = steps["iteration"]
    row = np.searchsorted(iteration, trace["iteration"]).clip(0, max(len(iteration) - 1, 0))
    value, slope = steps["loss"][row], steps["slope"][row]
    eta = trace["eta"]
    last = np.zeros(len(iteration))
    np.maximum.at(last, row, trace["search"])
    usable = np.isfinite(trace["phi"]) & np.isfinite(trace["dphi"])
    usable &= (eta > 0) & (trace["search"] == last[row])
    changed = np.abs(trace["dphi"] - slope) >= SLOPE_CHANGE * np.abs(slope)
    # Rank: the smallest width that tells something, else the largest width of all.
    order = np.lexsort((np.where(changed, eta, -eta), ~changed, ~usable, row))
    first = order[np.unique(row[order], return_index=True)[1]] if len(order) else order
    first = first[usable[first]]
    rise = trace["phi"] - value
    bend = 6 * rise / eta**2 - (4 * slope + 2 * trace["dphi"]) / eta
    cancelled = np.abs(rise) < CANCELLATION * np.abs(value)
    bend = np.where(cancelled, (trace["dphi"] - slope) / eta, bend)
    out = np.full(len(iteration), np.nan)
    out[row[first]] = bend[first]
    return out
