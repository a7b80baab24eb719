"""Claims 7 to 10: what batch and mini-batch training of the galaxy network do.

The verdicts' rules were fixed before measuring: what is claimed must hold for every seed to be
"reproduced"; for some it is "partly".
"""

import numpy as np

from experiments.becker2019.evidence import BATCH, MINIBATCH, losses, setting
from experiments.tables import PARTLY, REFUTED, REPRODUCED, Claim
from gdlab.analysis import descents
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay

PLATEAU_DROP, PLATEAU_LENGTH = 0.01, 5  # claim 9
SEPARATED = 0.97  # claim 10
JUMP_RATIO = 5  # claim 7: the largest jump over the median drop within a descent


def training_error(run):
    """J on the whole training set at the run's last parameters."""
    replay = Replay(run.path)
    with replay.in_precision():
        params = replay.params(run.rows("scalars"))
        return float(replay.assembly.problem.loss(params, replay.assembly.data, key=None))


def training_set_size(run):
    """How many examples the run's training set has."""
    return len(Replay(run.path).assembly.data["y"])


def jumps(evidence):
    """Claim 7: jumps of the error where the mini-batch changes."""
    rows, all_there = {}, []
    for seed, run in evidence.minibatch.items():
        steps = run.table("steps")
        table = descents.per_iteration(steps, run.table("evaluations"))
        at = np.flatnonzero(np.isfinite(table.columns["jump"]))
        drop = descents.totals(table)["drop"]
        sizes = table.columns["jump"][at]
        rows[seed] = {
            "jumps": dict(zip(at.tolist(), sizes.tolist(), strict=True)),
            "median_drop": drop,
            "ratio": descents.totals(table)["jump_ratio"],
        }
        all_there.append(bool((np.abs(sizes) > drop).all()))
    batch = max(float(np.abs(np.diff(_both(run))).max()) for run in evidence.batch.values())
    where = sorted({k for row in rows.values() for k in row["jumps"]})
    ratios = [row["ratio"] for row in rows.values()]
    good = all(all_there) and min(ratios) >= JUMP_RATIO and batch == 0
    sizes = [(size, row["median_drop"]) for row in rows.values() for size in row["jumps"].values()]
    upward, count = sum(size > 0 for size, _ in sizes), len(sizes)
    larger = sum(abs(size) > drop for size, drop in sizes)
    return Claim(
        7,
        "Mini-batch: jumps at 20, 40, ..., 100; batch: none",
        "distinct discontinuities",
        f"at {', '.join(map(str, where))}: {larger} of {count} are larger than the median drop within a "
        f"descent, {upward} upward, the largest of each seed {min(ratios):.0f} to {max(ratios):.0f} times as "
        f"large; batch: largest gap between the end of a segment and the start of the next {batch:g}",
        REPRODUCED if good else PARTLY if any(all_there) else REFUTED,
        setting(evidence, BATCH, MINIBATCH),
        {"seeds": rows, "batch_gap": batch},
    )


def final_errors(evidence):
    """Claim 8: error after the last iteration and how often the curves rise."""
    rows = {}
    for seed, run in evidence.minibatch.items():
        batch = evidence.batch[seed]
        rows[seed] = {
            "minibatch_own": losses(run)[-1],
            "minibatch_train": training_error(run),
            "batch": losses(batch)[-1],
            "rises_minibatch": int((np.diff(losses(run)) > 0).sum()),
            "rises_batch": int((np.diff(losses(batch)) >= 0).sum()),
        }
    own, train = (
        sum(r[f"minibatch_{name}"] < r["batch"] for r in rows.values()) for name in ("own", "train")
    )
    more = all(r["rises_minibatch"] > r["rises_batch"] for r in rows.values())
    monotone = all(r["rises_batch"] == 0 for r in rows.values())
    n = len(rows)
    text = "; ".join(
        f"seed {seed}: {r['minibatch_own']:.4f} ({r['minibatch_train']:.4f} on the training set) against "
        f"{r['batch']:.4f}, rises {r['rises_minibatch']} against {r['rises_batch']}"
        for seed, r in rows.items()
    )
    return Claim(
        8,
        "Mini-batch: lower error after 120 iterations and more increases; batch: monotone",
        "lower final error, irregular; batch appears monotone",
        f"lower on its own mini-batch in {own} of {n} seeds, on the training set in {train} of {n}; batch "
        f"strictly monotone in {'all' if monotone else 'not all'}. {text}",
        REPRODUCED if more and monotone and own == n else PARTLY if monotone or own else REFUTED,
        setting(evidence, BATCH, MINIBATCH),
        rows,
    )


def plateaus(evidence):
    """Claim 9: long runs of iterations without notable decrease in batch training."""
    rows = {}
    for seed, run in evidence.batch.items():
        found = stretches(losses(run))
        rows[seed] = [{"start": a, "length": b - a, "error": losses(run)[a]} for a, b in found]
    with_some = sum(bool(row) for row in rows.values())
    text = "; ".join(
        f"seed {seed}: " + (", ".join(f"{r['start']}-{r['start'] + r['length']}" for r in row) or "none")
        for seed, row in rows.items()
    )
    return Claim(
        9,
        "Batch: long runs without notable decrease (under 1 % over 5 or more iterations)",
        "several long runs",
        f"in {with_some} of {len(rows)} seeds. Iterations: {text}",
        REPRODUCED if with_some == len(rows) else PARTLY if with_some else REFUTED,
        setting(evidence, BATCH),
        rows,
    )


def stretches(loss):
    """[(first, last)] of the maximal, non-overlapping stretches of dots of at least PLATEAU_LENGTH
    iterations over which the error falls by less than PLATEAU_DROP of itself."""
    found, first = [], 0
    while first < len(loss) - PLATEAU_LENGTH:
        last = first
        while last + 1 < len(loss) and loss[first] - loss[last + 1] < PLATEAU_DROP * loss[first]:
            last += 1
        if last - first >= PLATEAU_LENGTH:
            found.append((first, last))
            first = last
        else:
            first += 1
    return found


def separation(evidence):
    """Claim 10: how well two thresholds on the 1-D codes recover the three classes."""
    rows = {
        name: {seed: float(run_probe(run.path, "codes", {}).attrs["accuracy"]) for seed, run in runs.items()}
        for name, runs in ((BATCH, evidence.batch), (MINIBATCH, evidence.minibatch))
    }
    values = [value for row in rows.values() for value in row.values()]
    text = "; ".join(
        f"{name}: {', '.join(f'{value:.3f}' for value in row.values())}" for name, row in rows.items()
    )
    good = sum(value >= SEPARATED for value in values)
    return Claim(
        10,
        "The 1-D codes separate the three classes",
        "visually separable (histogram)",
        f"share of the 1,440 points that the best two thresholds tell apart: {text}",
        REPRODUCED if good == len(values) else PARTLY if good else REFUTED,
        setting(evidence, BATCH, MINIBATCH),
        rows,
    )


def _both(run):
    """[2 x changes] flattened pairs (end of a segment, start of the next); their differences are gaps."""
    columns = run.table("steps").columns
    return np.stack([columns["loss_end"][:-2], columns["loss"][1:-1]], axis=1)
