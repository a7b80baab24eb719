"""How strongly the units of each layer respond: histograms over many examples, and units that never do.

Source: Kuchta 2023, chapter 4 (activation histograms).
"""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.monitors.evaluation import BLOCK, at_iteration, sample
from gdlab.monitors.validation import calibration
from gdlab.records import Table

MOST_BINS = 1000


def compute(replay, *, iteration=None, on="test", samples=1000, bins=60, progress):
    """Histograms of each layer's activations, before the activation function, at theta_k.

    Args:
      replay: a gdlab Replay of a run whose problem tells its activations.
      iteration: k, 0 to K; None: the last.
      on: "test" or "train";  samples: how many examples of it, null: all.
      bins: 2 to 1000, evenly over each layer's own range.
      progress: (fraction, text) -> None.

    Returns:
      A Table: layer [L] names, sorted; edges [L, bins + 1]; count [L, bins];
      mean, deviation, positive (share above 0), silent (share of filters or units that are never above 0:
      behind a ReLU they pass nothing on), nonfinite (count) [L]. attrs: iteration, on, examples.

    Raises:
      ValueError: the run has no such network, or an option is not allowed.
    """
    problem, dataset = replay.assembly.problem, replay.assembly.dataset
    if problem.activations is None or dataset is None:
        raise ValueError("this run has no network that tells its activations")
    if isinstance(bins, bool) or not isinstance(bins, int) or not 2 <= bins <= MOST_BINS:
        raise ValueError(f"bins={bins!r}: allowed: 2 to {MOST_BINS:,}")
    iteration = at_iteration(replay, iteration)
    data = sample(dataset, on, samples)
    params = replay.params(iteration)
    examples = calibration(problem, dataset, replay.version)
    statistics = None if examples is None else problem.statistics(params, jax.tree.map(jnp.asarray, examples))
    respond = jax.jit(
        lambda x: (
            problem.activations(params, x)
            if statistics is None
            else problem.activations(params, x, statistics)
        )
    )
    found = {}
    starts = range(0, len(data["x"]), BLOCK)
    for start in starts:
        progress(start / len(data["x"]), f"activations at iteration {iteration:,}")
        for name, array in respond(jnp.asarray(data["x"][start : start + BLOCK])).items():
            found.setdefault(name, []).append(np.asarray(array))
    rows = [_described(np.concatenate(parts), bins) for parts in found.values()]
    columns = {"layer": np.array(list(found))}
    columns |= {name: np.array([row[name] for row in rows]) for name in rows[0]}
    dims = {name: ("layer", name)[: array.ndim] for name, array in columns.items()}
    return Table(columns, dims, {"iteration": iteration, "on": on, "examples": len(data["x"])})


def _described(values, bins):
    """One row of the table from a layer's activations [n, ..., units]."""
    finite = np.isfinite(values)
    known = values[finite].astype(np.float64)
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    if not low < high:
        low, high = low - 0.5, high + 0.5
    count, edges = np.histogram(known, bins=bins, range=(low, high))
    silent = ~(values > 0).reshape(-1, values.shape[-1]).any(axis=0)
    return {
        "edges": edges,
        "count": count,
        "mean": known.mean() if known.size else np.nan,
        "deviation": known.std() if known.size else np.nan,
        "positive": (known > 0).mean() if known.size else np.nan,
        "silent": silent.mean(),
        "nonfinite": int((~finite).sum()),
    }
