"""What became of the error: not finite, standing still, or higher at the end than before."""

import numpy as np

from gdlab.analysis.step_sizes import moving_average
from gdlab.findings import Finding
from gdlab.messages import counted, percent
from gdlab.records import DIVERGED

PAGES = ("descent", "compare", "optimizers")
FEWEST = 20  # iterations
NARROWEST = 5  # iterations that are averaged: the errors of single mini-batches scatter
RISE = 0.1  # of the smoothed error over its lowest value
MANYFOLD = 10.0  # of the lowest value: from there on, and where it is no share, both values are said
STILL = 0.02  # of the whole fall, in the second half


def find(run) -> list[Finding]:
    """One sentence at most."""
    if not run.rows("scalars"):
        return []
    steps = run.table("steps", columns=["loss", "status"])
    loss, numbers = np.asarray(steps.columns["loss"], float), np.asarray(steps.columns["iteration"], int)
    link = {"page": "descent", "run": run.name}
    wrong = (steps.columns["status"] == DIVERGED) | np.isinf(loss)
    if wrong.any():
        return _not_finite(run, loss, wrong, numbers, link)
    known = np.isfinite(loss)  # a loop of one's own need not tell the error of every iteration
    loss, numbers = loss[known], numbers[known]
    if len(loss) < FEWEST:
        return []
    scale = float(np.abs(loss).max()) or 1.0  # sums of errors near the largest number overflow
    loss = loss / scale
    window = max(NARROWEST, len(loss) // 20)
    smooth = moving_average(loss, window)
    # Windows at the ends are half as wide, and of many the lowest one is low by chance as well.
    noise = 6 * float(np.std(loss - smooth)) / np.sqrt(window / 2)
    return _rising(run, smooth, noise, scale, numbers, link) or _still(run, smooth, numbers, link)


def _not_finite(run, loss, wrong, numbers, link) -> list[Finding]:
    """From where on the error is not finite; or how often, where it became finite again."""
    loss, wrong = loss[: run.rows("scalars")], wrong[: run.rows("scalars")]  # without the end of the last
    fine = np.flatnonzero(np.isfinite(loss) & ~wrong)
    later = np.flatnonzero(wrong & (np.arange(len(wrong)) > (fine[-1] if len(fine) else -1)))
    at = int(numbers[later[0] if len(later) else np.argmax(wrong)])
    if not len(later):
        text = (
            f"The error of {run.name} was not finite at {counted(int(wrong.sum()), 'iteration')}, first at "
            f"iteration {at:,}, and became finite again."
        )
    elif np.isfinite(loss[later[0]]):
        text = f"The error of {run.name} is not finite after iteration {at:,}."
    else:
        text = f"The error of {run.name} is not finite from iteration {at:,} on."
    return [Finding(text, float(at), link | {"k": at}, 1.0)]


def _rising(run, smooth, noise, scale, numbers, link) -> list[Finding]:
    lowest = int(np.argmin(smooth))
    low, first, last = float(smooth[lowest]), float(smooth[0]), float(smooth[-1])
    if not (last - low > max(RISE * abs(low), noise) and last - low > 0.01 * (first - low) > 0):
        return []
    at = int(numbers[lowest])
    share = (last - low) / abs(low) if low else np.inf
    by = f"by {percent(share)}"
    if low <= 0 or share > MANYFOLD:
        by = f"from {low * scale:.3g} to {last * scale:.3g}"
    text = f"The smoothed error of {run.name} was lowest at iteration {at:,} and has risen {by} since."
    return [Finding(text, share, link | {"k": at}, min(1.0, 0.6 + 0.2 * share))]


def _still(run, smooth, numbers, link) -> list[Finding]:
    whole, second = smooth[0] - smooth[-1], smooth[len(smooth) // 2] - smooth[-1]
    if not (whole > 0 and second < STILL * whole):
        return []
    share, at = max(0.0, float(second / whole)), int(numbers[len(numbers) // 2])
    text = (
        f"The second half of {run.name}, from iteration {at:,}, brought {percent(share, 1)} of the fall of "
        f"the error."
    )
    return [Finding(text, share, link | {"k": at}, 0.35)]
