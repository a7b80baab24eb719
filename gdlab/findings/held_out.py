"""What was measured on examples that a run is not trained on: the best value, and whether it was given up."""

import numpy as np

from gdlab.analysis import validation
from gdlab.findings import Finding
from gdlab.messages import percent

PAGES = ("descent", "optimizers", "tracker")
LOST = 0.1  # share of the best error by which the last one is worse


def find(run) -> list[Finding]:
    """One sentence where the best value was not the last one by far."""
    if not validation.validated(run):
        return []
    found = validation.rows(run).columns
    classifies = bool(np.isfinite(found["accuracy"]).any())
    value = 1 - found["accuracy"] if classifies else np.asarray(found["loss"], float)
    known = np.flatnonzero(np.isfinite(value))
    if len(known) < 2:
        return []
    value, iteration = value[known], found["iteration"][known]
    best = int(np.argmin(value))
    low, last, at = float(value[best]), float(value[-1]), int(iteration[best])
    if low <= 0 or (last - low) / low <= LOST:
        return []
    share = (last - low) / low
    if classifies:
        text = (
            f"On examples that it has not seen, {run.name} was best at iteration {at:,} with "
            f"{percent(low, 2)} wrong; at its end {percent(last, 2)} are."
        )
    else:
        text = (
            f"On examples that it has not seen, {run.name} had its lowest error at iteration {at:,}, "
            f"{low:.3g}; at its end it is {last:.3g}."
        )
    return [Finding(text, share, {"page": "descent", "run": run.name, "k": at}, min(0.95, 0.5 + share))]
