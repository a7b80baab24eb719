"""The outlook of section 3.2: how B and K shape the line searches of mini-batch training.

Over the runs of galaxy_sweep: loose ends, evaluations, steepness and curvature of phi_k at 0, jumps
where the mini-batch changes, smoothness, against B (mini-batches per epoch), K (iterations per
descent) and K / batch size. Trends are rank correlations (Spearman's rho) over the runs.
"""

from typing import NamedTuple

import numpy as np

from gdlab.analysis import descents
from gdlab.execution.probing import run_probe

FACTORS = {"batches": "B", "descent_length": "K", "ratio": "K / batch size"}
MEASURES = {
    "loose_ends": "loose ends per iteration",
    "evaluations": "evaluations per iteration",
    "steepness": "steepness at 0 (median)",
    "curvature": "curvature at 0 (median)",
    "jump": "jump where the batch changes (median of |jump|)",
    "smoothness": "smoothness (median)",
    "training_error": "error on the training set at the end",
}


class Setting(NamedTuple):
    """One run of the sweep: its factors, its measures (NaN where there are none), the histogram of
    evaluations per iteration (counts of 1, 2, ...)."""

    batches: int
    descent_length: int
    batch_size: int
    ratio: float
    measures: dict[str, float]
    histogram: list[int]


def measured(run, examples, *, every, training_error):
    """The Setting of one run.

    examples: size of the training set; every: smoothness is sampled at every how manyth iteration;
    training_error: Run -> the error on the training set at its end.
    """
    train = run.config["train"]
    size = examples // train["batches"]
    table = descents.per_iteration(run.table("steps"), run.table("evaluations"))
    totals = descents.totals(table)
    jumps = table.columns["jump"]
    smooth = run_probe(run.path, "smoothness", {"start": 0, "stop": run.rows("scalars"), "every": every})
    measures = {
        "loose_ends": totals["loose_ends"] / totals["iterations"],
        "evaluations": totals["evaluations"],
        "steepness": totals["steepness"],
        "curvature": _median(smooth.columns["curvature"]),
        "jump": _median(np.abs(jumps)),
        "smoothness": _median(smooth.columns["smoothness"]),
        "training_error": training_error(run),
    }
    counts = descents.evaluation_histogram(table).columns["iterations"].tolist()
    length = train["descent_length"]
    return Setting(train["batches"], length, size, length / size, measures, counts)


def trends(settings):
    """{measure: {factor: rank correlation}}, NaN where nothing varies; runs without the measure left out."""
    from scipy.stats import rankdata

    found = {}
    for measure in MEASURES:
        values = np.array([setting.measures[measure] for setting in settings])
        known = np.isfinite(values)
        found[measure] = {}
        for factor in FACTORS:
            factors = np.array([getattr(setting, factor) for setting in settings], float)
            a, b = rankdata(values[known]), rankdata(factors[known])
            varied = known.sum() > 2 and np.ptp(a) > 0 and np.ptp(b) > 0
            found[measure][factor] = float(np.corrcoef(a, b)[0, 1]) if varied else float("nan")
    return found


def _median(values):
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")
