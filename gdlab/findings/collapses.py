"""A class that was lost or found at once, and the filter that changed most then."""

import numpy as np

from gdlab.analysis import anomalies, class_curves, dumps, filters
from gdlab.findings import Finding
from gdlab.messages import percent

PAGES = ("descent", "tracker")


def find(run) -> list[Finding]:
    """The anomaly of the highest score for the size of its class; with its filter where any were dumped."""
    if not dumps.has_dumps(run):
        return []
    recorded = dumps.open_dumps(run)
    if not len(recorded.labels):
        return []
    right, starts = recorded.right(), recorded.starts
    flips = anomalies.flips(right)
    proposed = anomalies.propose(flips, starts)
    if not proposed.found:
        return []
    found = anomalies.detect(flips, starts, proposed.window, proposed.threshold).columns
    sizes = np.maximum(np.diff(starts), 1)
    top = int(np.argmax(found["score"] / sizes[found["class"].astype(int)]))
    which, dump = int(found["class"][top]), int(found["dump"][top])
    rates = class_curves.error_rates(right, starts)[which]
    before, after, at = float(rates[dump - 1]), float(rates[dump]), int(recorded.iteration[dump])
    if after == before:  # as many of its images were lost as were found
        return []
    verb = "was lost" if after > before else "was found"
    text = (
        f"Class {recorded.classes[which]} of {run.name} {verb} at iteration {at:,}: of its images "
        f"{percent(before)} were wrong before, {percent(after)} after{_filter(recorded, dump)}."
    )
    link = {"page": "tracker", "run": run.name, "mode": "classes", "sel_classes": which, "sel_dumps": dump}
    return [Finding(text, after - before, link, min(1.0, 0.5 + abs(after - before)))]


def _filter(recorded, dump: int) -> str:
    if "cosine_distance" not in recorded.stats():
        return ""
    most = filters.anomaly_filters(recorded.filter("cosine_distance"), 1, [dump]).columns["filter"]
    if not len(most):
        return ""
    layers, first = filters.layer_starts(recorded.nodes)
    layer = int(np.searchsorted(first, most[0], side="right")) - 1
    name = recorded.nodes[layers[layer]].name
    return f"; filter {int(most[0] - first[layer])} of {name} turned most"
