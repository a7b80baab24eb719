"""Which hyper-parameter matters most among many runs."""

import numpy as np

from gdlab.analysis.ensemble import open_ensemble
from gdlab.analysis.importance import importance
from gdlab.findings import Finding
from gdlab.messages import counted, percent

PAGES = ("ensemble", "runs")
FEWEST = 8  # runs
LEAST = 0.1  # share of the variance


def find_among(runs) -> list[Finding]:
    """One sentence: the largest share, and of what."""
    if len(runs) < FEWEST:
        return []
    ensemble = open_ensemble(runs)
    if not len(ensemble.step) or not ensemble.parameters:
        return []
    with np.errstate(all="ignore"):
        best = np.array([np.nanmax(row) if np.isfinite(row).any() else np.nan for row in ensemble.score])
    table = importance(ensemble.parameters, best)
    shares = np.asarray(table.columns["share"], float)
    if not len(shares) or not np.isfinite(shares[0]) or shares[0] < LEAST:
        return []
    name, other = str(table.columns["parameter"][0]), str(table.columns["other"][0])
    what = "the best accuracy" if ensemble.classifies else "the lowest error (its logarithm)"
    who = f"{name} and {other} together explain" if other else f"{name} explains"
    count = counted(int(table.attrs["runs"]), "run")
    text = f"Among {count}, {who} {percent(shares[0])} of the variance of {what}."
    link = {"page": "ensemble", "run": [run.name for run in runs]}
    return [Finding(text, float(shares[0]), link, 0.9)]
