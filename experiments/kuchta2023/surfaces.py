"""Claims 13, 14 and 16 to 20: pictures of the loss around a path, and how far they can be trusted."""

import numpy as np

from experiments.tables import Claim, listed, verdict_of
from gdlab.probing import run_probe
from gdlab.surface.fidelity import resampled, structural_similarity

ALIKE = 0.95  # structural similarity of pictures that are "nearly identical"
THIN = 99  # every 99th of 12,182 points: 124 remain
METHODS = ("pca", "sampled", "sampled_pca", "averaged")


def thinned(evidence):
    """Claim 13: the picture from a hundredth of the path against that from all of it."""
    alike = []
    for run in _first(evidence, "mnist", "sgd"):
        thin = max(1, run.rows("scalars") // 123)
        whole, part = evidence.surface(run), evidence.surface(run, thin=thin)
        alike.append(_similar(part, whole))
    setting = f"MNIST, SGD, averaged; similarity at least {ALIKE}"
    words = f"structural similarity {listed(alike)}"
    return Claim(
        13, "123 path points instead of 12,195", "nearly identical picture", words,
        verdict_of(value >= ALIKE for value in alike), setting, {"similarity": alike},
    )  # fmt: skip


def coarse(evidence):
    """Claim 14: 19 x 19 points and 10,000 samples against finer grids and the whole training set."""
    alike = {"37 x 37": [], "60,000 samples": []}
    for run in _first(evidence, "mnist", "sgd"):
        usual = evidence.surface(run)
        if not evidence.short:
            alike["37 x 37"].append(_similar(usual, evidence.surface(run, resolution=35)))
            alike["60,000 samples"].append(_similar(usual, evidence.surface(run, samples=60_000)))
    hits = [value >= ALIKE for values in alike.values() for value in values]
    words = "; ".join(f"against {name} {listed(values)}" for name, values in alike.items())
    setting = f"MNIST, SGD, averaged; similarity at least {ALIKE}"
    return Claim(14, "19 x 19 and 10,000 samples suffice", "yes", words, verdict_of(hits), setting, alike)


def methods(evidence):
    """Claims 16 to 18: what the four methods show of the same path."""
    tables = {}
    for run in _first(evidence, "mnist", "sgd"):
        tables = {name: evidence.surface(run, method=name) for name in METHODS}
    numbers = {name: table.attrs["fidelity"] for name, table in tables.items()}
    return [_jagged(numbers), _middle(tables), _fits(numbers)]


def decreasing(evidence):
    """Claim 19: the loss on the straight line from start to end strictly decreases."""
    rises = {}
    for setting, run in evidence.runs.items():
        if setting.network == "modified_lenet" and setting.seed == 0:
            options = {"layers": "whole", "points": 41, "samples": 200 if evidence.short else 10_000}
            loss = run_probe(run.path, "interpolation", options).columns["loss"][0]
            rises[setting.label] = int((np.diff(loss) >= 0).sum())
    words = "; ".join(f"{name}: {count} of 40 steps rise" for name, count in rises.items())
    hits = [count == 0 for count in rises.values()]
    setting = "Modified-LeNet, seed 0, 41 points"
    return Claim(19, "Interpolated loss", "strictly decreases", words, verdict_of(hits), setting, rises)


def planar(evidence):
    """Claim 20: planar against multi-dimensional distances, SGD and Adam on CIFAR-10."""
    gaps = {}
    for optimizer in ("sgd", "adam"):
        for run in _first(evidence, "cifar10", optimizer):
            one, two = (evidence.surface(run, method=name) for name in ("averaged", "averaged_nd"))
            gap = np.abs(one.columns["value"] - two.columns["value"])
            gaps[optimizer] = float(np.nanmean(gap) / np.nanmean(np.abs(one.columns["value"])))
    hits = [gaps["adam"] > gaps["sgd"]] if len(gaps) == 2 else []
    words = "; ".join(f"{name} {gap:.2%} of the mean loss" for name, gap in gaps.items())
    claim = "Planar and multi-dimensional average differ"
    return Claim(20, claim, "more for Adam", words, verdict_of(hits), "CIFAR-10, seed 0", gaps)


def _jagged(numbers):
    """Claim 16, from {method: fidelity}."""
    rough = {name: (n["roughness"], n["minima"] + n["maxima"]) for name, n in numbers.items()}
    others = [rough[name] for name in ("pca", "averaged") if name in rough]
    hits = [all(rough["sampled"][i] > other[i] for other in others) for i in (0, 1)] if others else []
    words = "; ".join(f"{name} {r:.3g}, {e} extremes" for name, (r, e) in rough.items())
    setting = "MNIST, SGD, seed 0: roughness and local extremes"
    return Claim(16, "`sampled` is jagged", "jagged", words, verdict_of(hits), setting, rough)


def _middle(tables):
    """Claim 17, from {method: Table}: `sampled_pca` along the straight line and in the middle."""
    if not tables:
        return Claim(17, "`sampled_pca`", "rises in the middle", "", verdict_of([]), "", {})
    line = tables["sampled_pca"].columns["line_value"]
    rises = int((np.diff(line) > 0).sum())
    middle, plane = (_middle_third(tables[name]) for name in ("sampled_pca", "pca"))
    details = {"line": line, "middle": middle, "middle_pca": plane}
    words = (
        f"{rises} of {len(line) - 1} steps rise along the line; middle {middle:.3g}, on the plane {plane:.3g}"
    )
    claim, reported = "`sampled_pca` rises in the middle", "and is not monotone from start to end"
    hits = [rises > 0, bool(line.max() > line[0] or middle > line[-1])]
    return Claim(17, claim, reported, words, verdict_of(hits), "MNIST, SGD, seed 0", details)


def _middle_third(table):
    """Mean of the cells in the middle third of both axes."""
    value = table.columns["value"]
    low, high = ([part * n // 3 for n in value.shape] for part in (1, 2))
    return float(np.nanmean(value[low[0] : high[0] + 1, low[1] : high[1] + 1]))


def _fits(numbers):
    """Claim 18, from {method: fidelity}: errors on the path and on the straight line."""
    errors = {name: (n["known_error"], n["line_error"]) for name, n in numbers.items()}
    hits = [errors["averaged"][i] <= min(e[i] for e in errors.values()) for i in (0, 1)] if errors else []
    words = "; ".join(f"{name} {k:.3g} and {line:.3g}" for name, (k, line) in errors.items())
    setting = "MNIST, SGD, seed 0: mean error at path points and along the line"
    claim = "`averaged` fits the path and the interpolation"
    return Claim(18, claim, "best of the methods", words, verdict_of(hits), setting, errors)


def _first(evidence, data, optimizer):
    """[Run] of the first seed, none where nothing was trained."""
    return list(evidence.of(data, optimizer).values())[:1]


def _similar(one, other):
    """Structural similarity of two surfaces on the coarser one's lines, both clipped as they are drawn."""
    coarser, finer = sorted((one, other), key=lambda table: table.columns["value"].size)
    lines = [coarser.columns[axis] for axis in "xy"]
    moved = resampled(*(finer.columns[axis] for axis in "xy"), finer.columns["value"], *lines)
    clip = coarser.attrs["clip"]
    return structural_similarity(np.minimum(coarser.columns["value"], clip), np.minimum(moved, clip))
