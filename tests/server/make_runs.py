"""Run folders for the server's tests, written by the store itself: small, quick, without JAX."""

from pathlib import Path

import numpy as np

from gdlab import store
from gdlab.records import STEP_COLUMNS, TRACE_COLUMNS

SCALARS = store.ArraySpec(dtype="f8", row_shape=(len(STEP_COLUMNS),), columns=STEP_COLUMNS)
EVALUATIONS = store.ArraySpec(dtype="f8", row_shape=(len(TRACE_COLUMNS),), columns=TRACE_COLUMNS)
ENDS = store.ArraySpec(dtype="i8", row_shape=())


def config(**changes) -> dict:
    """A nested configuration as Hydra would compose it, but one that the worker refuses to replay."""
    sigma, seed, problem = (
        changes.get("sigma", 0.05),
        changes.get("seed", 0),
        changes.get("problem", "rosenbrock"),
    )
    return {
        "problem": {"_target_": f"gdlab.problems.{problem}", "n": 2},
        "optimizer": {"name": "conjugate_gradient", "linesearch": {"sigma": sigma, "rho": 0.0}},
        "seed": seed,
        "precision": "none: these runs were made up, so nothing can be replayed",
    }


def begin(path: Path, *, searches: bool = True, **changes) -> store.RunWriter:
    """An open writer of a run with nothing in it; searches: it has places for line searches."""
    arrays = {"scalars": SCALARS} | ({"ls_eval": EVALUATIONS, "ls_end": ENDS} if searches else {})
    return store.RunWriter.create(
        path,
        config=config(**changes),
        identity={"versions": {"gdlab": "0.1.0"}},
        arrays=arrays,
    )


def append(
    writer: store.RunWriter,
    start: int,
    count: int,
    seed: int = 0,
    *,
    scale: float = 1.0,
    searches: bool = True,
) -> None:
    """`count` iterations of a made-up descent with two evaluations each, committed; scale: of its losses."""
    k = np.arange(start, start + count)
    random = np.random.default_rng(seed)
    loss = (
        scale
        * 24
        * np.exp(-0.05 * np.arange(start, start + count + 1))
        * (1 + 0.2 * random.random(count + 1))
    )
    scalars = np.zeros((count, len(STEP_COLUMNS)))
    columns = {
        "loss": loss[:-1],
        "loss_end": loss[1:],
        "grad_norm": loss[:-1],
        "step_size": 0.1,
        "slope": -loss[:-1],
    }
    columns |= {"step_size_max": 0.1, "evaluations": 2, "seconds": 0.01 * (k + 1)}
    for name, values in columns.items():
        scalars[:, STEP_COLUMNS.index(name)] = values
    rows = np.full((2 * count, len(TRACE_COLUMNS)), np.nan)
    trace = {
        "search": 0,
        "phase": 1,
        "eta": np.tile([0.05, 0.1], count),
        "phi": np.repeat(loss[1:], 2),
        "kind": 1,
    }
    trace |= {
        "dphi": -0.1,
        "accepted": np.tile([0, 1], count),
        "anchor_a": 0,
        "anchor_b": 0.05,
        "lower": 0.01,
    }
    trace |= {
        "upper": 0.15,
        "next_eta": np.tile([0.1, np.nan], count),
        "minimiser": np.tile([0.1, np.nan], count),
    }
    for name, values in trace.items():
        rows[:, TRACE_COLUMNS.index(name)] = values
    traced = {"ls_eval": rows, "ls_end": 2 * (k + 1)} if searches else {}
    writer.append({"scalars": scalars, **traced})
    writer.commit(seconds=0.01 * (start + count))


def make(
    path: Path,
    *,
    iterations: int = 40,
    state: str = "finished",
    searches: bool = True,
    scale: float = 1.0,
    **changes,
) -> Path:
    """A whole run."""
    with begin(path, searches=searches, **changes) as writer:
        append(writer, 0, iterations, seed=changes.get("seed", 0), scale=scale, searches=searches)
        writer.set_status(state)
    return path


def damage(path: Path) -> Path:
    """A run whose commit record is cut in the middle."""
    make(path)
    record = path / "log.zarr" / "zarr.json"
    record.write_bytes(record.read_bytes()[:200])
    return path
