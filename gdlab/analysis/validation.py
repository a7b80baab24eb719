"""Validation of runs: the rows of one, the rows of several under one another, and how far runs got.

The best value counts, not only the last: a run that climbs again has been better.
"""

import numpy as np

from gdlab.records import Table
from gdlab.store.tables import iterations

COLUMNS = ("iteration", "loss", "accuracy", "train_loss", "train_accuracy")
REACHED = (
    *("iterations", "evaluations", "seconds", "best_loss", "best_at", "last_loss"),
    *("best_accuracy", "accuracy_at", "last_accuracy", "best_validation_loss", "last_validation_loss"),
)


def validated(run) -> bool:
    """Whether a run has rows of validation."""
    return "validation" in run.arrays and run.rows("validation") > 0


def rows(run) -> Table:
    """(iteration, loss, accuracy, train_loss, train_accuracy, ...) [n] of a run, no rows where it has none.

    loss is the mean error on the examples, of a classifier its cross-entropy in nats; accuracy a share in
    [0, 1], NaN where nothing is right or wrong; then what else the problem is measured by, each NAME with
    train_NAME.
    """
    found = run.array("validation") if validated(run) else np.empty((0, len(COLUMNS)))
    names = run.columns("validation") if validated(run) else COLUMNS
    columns = dict.fromkeys(COLUMNS, np.full(len(found), np.nan))
    columns |= {name: np.asarray(found[:, i], float) for i, name in enumerate(names)}
    return Table(columns, dict.fromkeys(columns, ("validation",)), {})


def kinds(table: Table) -> list[str]:
    """Which measures a Table of `rows` has numbers of: "loss", "accuracy", ..., in their order."""
    measured = [name for name in table.columns if f"train_{name}" in table.columns]
    return [name for name in measured if name == "loss" or np.isfinite(table.columns[name]).any()]


def side_by_side(runs) -> Table:
    """The rows of several (name, run), under one another, with the column `run` in front."""
    parts = [(name, rows(run).columns) for name, run in runs]
    columns = {"run": np.concatenate([np.full(len(part["loss"]), name, object) for name, part in parts])}
    names = dict.fromkeys([*COLUMNS, *(name for _, part in parts for name in part)])
    unknown = [np.full(len(part["loss"]), np.nan) for _, part in parts]
    for name in names:
        values = [part.get(name, nan) for (_, part), nan in zip(parts, unknown, strict=True)]
        columns[name] = np.concatenate(values)
    return Table(columns, dict.fromkeys(columns, ("validation",)), {})


def reached(run) -> dict[str, float]:
    """One run in numbers, by the names in REACHED; NaN for what it has not recorded.

    best_loss is the smallest recorded J(theta_k) and best_at the first k that has it; the best accuracy
    and the best validation loss are each the best of their own column, accuracy_at its iteration.
    """
    out = dict.fromkeys(REACHED, float("nan"))
    count = run.rows("scalars")
    out["iterations"] = float(count)
    if count:
        steps = run.table("steps", columns=["loss", "evaluations", "seconds"]).columns
        if np.isfinite(steps["evaluations"]).any():
            out["evaluations"] = float(np.nansum(steps["evaluations"]))
        out["seconds"] = float(steps["seconds"][count - 1])
        out["last_loss"] = float(steps["loss"][-1])
        finite = np.where(np.isfinite(steps["loss"]), steps["loss"], np.inf)
        if np.isfinite(finite).any():
            at = int(np.argmin(finite))
            out["best_at"] = float(at if at >= count else iterations(run)[at])
            out["best_loss"] = float(finite.min())
    found = rows(run).columns
    if len(found["loss"]) and np.isfinite(found["accuracy"]).any():
        top = int(np.nanargmax(found["accuracy"]))
        out["best_accuracy"], out["accuracy_at"] = (
            float(found["accuracy"][top]),
            float(found["iteration"][top]),
        )
        out["last_accuracy"] = float(found["accuracy"][-1])
    if np.isfinite(found["loss"]).any():
        out["best_validation_loss"] = float(np.nanmin(found["loss"]))
        out["last_validation_loss"] = float(found["loss"][-1])
    return out
