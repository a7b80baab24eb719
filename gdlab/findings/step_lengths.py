"""Whether most steps were too short or too long."""

import numpy as np

from gdlab.analysis.step_ratio import COLUMNS, LONG, SHORT, step_ratio
from gdlab.findings import Finding
from gdlab.messages import percent

PAGES = ("descent", "steps", "compare", "optimizers")
FEWEST = 8  # steps of which something is known
MOST = 0.5  # share from which it is said


def find(run) -> list[Finding]:
    """One sentence, or none where neither holds for most steps."""
    if not run.rows("scalars") or "loss_end" not in run.columns("scalars"):
        return []
    double = run.config.get("precision") == "float64"
    eps = np.finfo(np.float64 if double else np.float32).eps
    ratio = step_ratio(run.table("steps", columns=[*COLUMNS]), float(eps))
    known = ratio[~np.isnan(ratio)]
    if len(known) < FEWEST:
        return []
    middle = float(np.median(known))
    for words, share in (("too short", (known > SHORT).mean()), ("too long", (known < LONG).mean())):
        if share > MOST:
            return [_said(run, words, float(share), middle)]
    return []


def _said(run, words: str, share: float, middle: float) -> Finding:
    lowest = "the error still falls at their ends"
    if np.isfinite(middle):
        far = f"{middle:.2g}" if middle < 10 else f"{middle:,.0f}"
        lowest = f"by its parabola the error is lowest {far} steps along them"
    text = f"{percent(share)} of the steps of {run.name} were {words}: {lowest}."
    return Finding(text, share, {"page": "descent", "run": run.name}, 0.9 * share)
