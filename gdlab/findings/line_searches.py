"""Line searches that found no step, and what a search costs."""

import numpy as np

from gdlab.findings import Finding
from gdlab.messages import counted
from gdlab.records import LINE_SEARCH_FAILED

PAGES = ("descent", "compare")
COSTLY = 6.0  # evaluations per search


def find(run) -> list[Finding]:
    """Failed searches with the first of them; many evaluations with the most expensive search."""
    if "ls_eval" not in run.arrays or not run.rows("ls_eval"):
        return []
    steps = run.table("steps", columns=["status", "evaluations"])
    status, evaluations = steps.columns["status"], np.nan_to_num(steps.columns["evaluations"])
    numbers, searched = np.asarray(steps.columns["iteration"], int), evaluations > 0
    link = {"page": "descent", "run": run.name}
    found = []
    failed = np.flatnonzero(status == LINE_SEARCH_FAILED)
    if len(failed):
        text = (
            f"{counted(len(failed), 'line search', 'line searches')} of {run.name} found no step, the first "
            f"at iteration {numbers[failed[0]]:,}."
        )
        found.append(Finding(text, float(len(failed)), link | {"k": int(numbers[failed[0]])}, 0.8))
    mean = float(evaluations[searched].mean()) if searched.any() else 0.0
    if mean > COSTLY:
        most = int(np.argmax(evaluations))
        text = (
            f"A line search of {run.name} takes {mean:.1f} evaluations on average, the longest "
            f"{evaluations[most]:.0f} at iteration {numbers[most]:,}."
        )
        found.append(Finding(text, mean, link | {"k": int(numbers[most])}, 0.4))
    return found
