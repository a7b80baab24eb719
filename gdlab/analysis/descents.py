"""Mini-batch analysis: what a line search does, counted per descent and over runs.

A descent is a stretch of iterations on one batch. Per descent: loose ends, evaluations, steepness and
curvature of phi_k at 0, the jump of the error where the batch changed, the drop within. Over runs the
same numbers stand against B, K and K / batch size. Becker 2019, section 3.2 (its outlook).
"""

import numpy as np

from gdlab.analysis.segments import flags
from gdlab.records import IDLE, Table


def per_iteration(steps: Table, evaluations: Table, curvature=None) -> Table:
    """Steepness |phi'_k(0)| and curvature phi''_k(0) per iteration [n], beside the filter flags.

    curvature: float [n] as `gdlab.analysis.shape.known` gives it, NaN where it is not known; None: nowhere.
    One fewer where the last row is the end of the run, from which no iteration goes on. The record alone does
    not tell it: what the visited step widths suggest may even have the wrong sign.
    `jump` is J on the new batch minus J on the old at the same parameters, NaN away from a change; `drop` is
    J(theta_k) - J(theta_{k+1}) on the same batch. Raises ValueError where curvature has another length.
    """
    columns = steps.columns
    marks = flags(steps, evaluations)
    bend = np.full(len(columns["loss"]), np.nan) if curvature is None else np.asarray(curvature, float)
    if bend.shape == (len(columns["loss"]) - 1,):
        bend = np.append(bend, np.nan)
    if bend.shape != columns["loss"].shape:
        raise ValueError(
            f"curvature {bend.shape}: allowed: one value for each of {columns['loss'].shape} rows"
        )
    arrived = np.concatenate([[np.nan], columns["loss_end"][:-1]])
    jump = np.where(marks.columns["new_descent"], columns["loss"] - arrived, np.nan)
    out = dict(marks.columns) | {
        "steepness": np.abs(columns["slope"]),
        "curvature": bend,
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
    examples, size = (_number(identity.get(name)) for name in ("examples", "batch_size"))
    batches = _number(train.get("batches") or 1)
    if train.get("batch_size"):
        batches = examples // size if size > 0 else float("nan")
    length = _number(train.get("descent_length"))
    if train.get("descent_length") is None:
        length = _number(train.get("steps")) if batches == 1 else 1.0
    return {
        "batches": batches,
        "descent_length": length,
        "ratio": length / size if size > 0 else float("nan"),
    }


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


def _number(value) -> float:
    """What stands where a number should: NaN where it is none, or too long for one."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known and abs(value) < 1e300 else float("nan")


def _median(values) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")
