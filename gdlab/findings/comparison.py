"""Which of several runs came furthest, by which measure, and by how much."""

import numpy as np

from gdlab.analysis import validation
from gdlab.findings import Finding
from gdlab.messages import percent

PAGES = ("compare", "optimizers", "runs")
# What runs are compared by, the first that all have: a key of `validation.reached`, its words, whether high
# is good.
MEASURES = (
    ("best_accuracy", "the best accuracy on examples not seen", True),
    ("best_validation_loss", "the lowest error on examples not seen", False),
    ("best_loss", "the lowest error", False),
)


def find_among(runs) -> list[Finding]:
    """One sentence: the best run, its value, that of the next; of runs that minimise the same."""
    if any(_minimised(run) != _minimised(runs[0]) for run in runs[1:]):
        return []
    reached = [validation.reached(run) for run in runs]
    measured = [row for row in MEASURES if all(np.isfinite(numbers[row[0]]) for numbers in reached)]
    if not measured:
        return []
    key, words, high = measured[0]
    values = np.array([numbers[key] for numbers in reached])
    order = np.argsort(-values if high else values, kind="stable")
    first, second = (float(values[i]) for i in order[:2])
    shown = (lambda value: percent(value, 2)) if high else (lambda value: f"{value:.4g}")
    if shown(first) == shown(second):
        return []
    names = [runs[i].name for i in order[:2]]
    text = f"{names[0]} reached {words}, {shown(first)}; next is {names[1]} with {shown(second)}."
    link = {"page": "optimizers", "run": [run.name for run in runs]}
    return [Finding(text, first, link, 0.85)]


def _minimised(run):
    """What must agree: problem and data, of a recorded loop the names of its metrics."""
    sections = [run.config.get(name) for name in ("problem", "dataset")]
    return sections, sorted(name for name in run.arrays if name.startswith("metric/"))
