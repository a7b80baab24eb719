"""What became of the error: not finite, standing still, or higher at the end than before."""

import numpy as np

from gdlab.analysis.step_sizes import moving_average
from gdlab.findings import Finding
from gdlab.messages import percent
from gdlab.records import DIVERGED

PAGES = ("descent", "compare", "optimizers")
FEWEST = 20  # iterations
RISE = 0.1  # of the smoothed error over its lowest value
STILL = 0.02  # of the whole fall, in the second half


def find(run) -> list[Finding]:
    """One sentence at most."""
    if not run.rows("scalars"):
        return []
    steps = run.table("steps", columns=["loss", "status"])
    loss, numbers = np.asarray(steps.columns["loss"], float), np.asarray(steps.columns["iteration"], int)
    link = {"page": "descent", "run": run.name}
    wrong = np.flatnonzero((steps.columns["status"] == DIVERGED) | ~np.isfinite(loss))
    if len(wrong):
        at = int(numbers[wrong[0]])
        text = f"The error of {run.name} is not finite from iteration {at:,} on."
        return [Finding(text, float(at), link | {"k": at}, 1.0)]
    if len(loss) < FEWEST:
        return []
    smooth = moving_average(loss, max(1, len(loss) // 20))
    return _rising(run, smooth, numbers, link) or _still(run, smooth, numbers, link)


def _rising(run, smooth, numbers, link) -> list[Finding]:
    lowest = int(np.nanargmin(smooth))
    low, first, last = float(smooth[lowest]), float(smooth[np.isfinite(smooth)][0]), float(smooth[-1])
    if not (last - low > RISE * abs(low) and last - low > 0.01 * (first - low) > 0):
        return []
    at = int(numbers[lowest])
    share = (last - low) / abs(low)
    text = (
        f"The smoothed error of {run.name} was lowest at iteration {at:,} and has risen by {percent(share)} "
        f"since."
    )
    return [Finding(text, share, link | {"k": at}, min(1.0, 0.6 + 0.2 * share))]


def _still(run, smooth, numbers, link) -> list[Finding]:
    known = smooth[np.isfinite(smooth)]
    whole, second = known[0] - known[-1], known[len(known) // 2] - known[-1]
    if not (whole > 0 and second < STILL * whole):
        return []
    share, at = float(second / whole), int(numbers[len(numbers) // 2])
    text = (
        f"The second half of {run.name}, from iteration {at:,}, brought {percent(share, 1)} of the fall of "
        f"the error."
    )
    return [Finding(text, share, link | {"k": at}, 0.35)]
