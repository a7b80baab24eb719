"""Claims 13, 14 and 16 to 20: pictures of the loss around a path, and how far they can be trusted."""

import numpy as np

from experiments.recorded import run_probe
from experiments.tables import Claim, listed, verdict_of
from gdlab.analysis.surfaces.fidelity import resampled, structural_similarity

ALIKE = 0.95  # structural similarity of pictures that are "nearly identical"
METHODS = ("pca", "sampled", "sampled_pca", "averaged")


def thinned(evidence):
    """Claim 13: the picture from a hundredth of the path against that from all of it."""
    alike = []
    for run in evidence.of("mnist", "sgd").values():
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
    for run in list(evidence.of("mnist", "sgd").values())[:1]:  # the finer surfaces take minutes
        usual = evidence.surface(run)
        if not evidence.short:
            alike["37 x 37"].append(_similar(usual, evidence.surface(run, resolution=35)))
            alike["60,000 samples"].append(_similar(usual, evidence.surface(run, samples=60_000)))
    hits = [value >= ALIKE for values in alike.values() for value in values]
    words = "; ".join(f"against {name} {listed(values)}" for name, values in alike.items())
    setting = f"MNIST, SGD, averaged, first seed; similarity at least {ALIKE}"
    return Claim(14, "19 x 19 and 10,000 samples suffice", "yes", words, verdict_of(hits), setting, alike)


def methods(evidence):
    """Claims 16 to 18: what the four methods show of the same path."""
    runs = evidence.of("mnist", "sgd").values()
    tables = {name: [evidence.surface(run, method=name) for run in runs] for name in METHODS}
    numbers = {name: [table.attrs["fidelity"] for table in found] for name, found in tables.items()}
    return [_jagged(numbers), _middle(tables), _fits(numbers)]


def decreasing(evidence):
    """Claim 19: the loss on the straight line from start to end strictly decreases."""
    rises: dict[str, list[int]] = {}
    for setting, run in evidence.runs.items():
        if setting.network == "modified_lenet":
            options = {"layers": "whole", "points": 41, "samples": 200 if evidence.short else 10_000}
            loss = run_probe(run.path, "interpolation", options).columns["loss"][0]
            rises.setdefault(setting.label, []).append(int((np.diff(loss) >= 0).sum()))
    words = "; ".join(f"{name}: {listed(counts, 'd')} of 40 steps rise" for name, counts in rises.items())
    hits = [count == 0 for counts in rises.values() for count in counts]
    setting = "Modified-LeNet, per seed, 41 points"
    return Claim(19, "Interpolated loss", "strictly decreases", words, verdict_of(hits), setting, rises)


def planar(evidence):
    """Claim 20: planar against multi-dimensional distances, SGD and Adam on CIFAR-10."""
    gaps: dict[str, list[float]] = {"sgd": [], "adam": []}
    for optimizer, found in gaps.items():
        for run in evidence.of("cifar10", optimizer).values():
            one, two = (evidence.surface(run, method=name) for name in ("averaged", "averaged_nd"))
            gap = np.abs(one.columns["value"] - two.columns["value"])
            found.append(float(np.nanmean(gap) / np.nanmean(np.abs(one.columns["value"]))))
    hits = [adam > sgd for adam, sgd in zip(gaps["adam"], gaps["sgd"], strict=False)]
    words = "; ".join(f"{name} {listed(found, '.2%')} of the mean loss" for name, found in gaps.items())
    claim = "Planar and multi-dimensional average differ"
    return Claim(20, claim, "more for Adam", words, verdict_of(hits), "CIFAR-10, per seed", gaps)


def _jagged(numbers):
    """Claim 16, from {method: [fidelity per seed]}."""
    rough = {name: [n["roughness"] for n in found] for name, found in numbers.items()}
    extremes = {name: [n["minima"] + n["maxima"] for n in found] for name, found in numbers.items()}
    hits = [
        mine > max(others)
        for part in (rough, extremes)
        for mine, *others in zip(part["sampled"], part["pca"], part["averaged"], strict=True)
    ]
    words = "; ".join(
        f"{name} {listed(rough[name], '.3g')}, {listed(extremes[name], 'd')} extremes" for name in numbers
    )
    details = {"roughness": rough, "extremes": extremes}
    setting = "MNIST, SGD, per seed: roughness and local extremes"
    return Claim(16, "`sampled` is jagged", "jagged", words, verdict_of(hits), setting, details)


def _middle(tables):
    """Claim 17, from {method: [Table per seed]}: `sampled_pca` along the straight line and in the middle."""
    lines = [table.columns["line_value"] for table in tables["sampled_pca"]]
    rises = [int((np.diff(line) > 0).sum()) for line in lines]
    middle, plane = ([_middle_third(table) for table in tables[name]] for name in ("sampled_pca", "pca"))
    hits = [count > 0 for count in rises]
    hits += [bool(line.max() > line[0] or one > line[-1]) for line, one in zip(lines, middle, strict=True)]
    words = (
        f"{listed(rises, 'd')} of {len(lines[0]) - 1} steps rise along the line; middle "
        f"{listed(middle, '.3g')}, on the plane {listed(plane, '.3g')}"
        if lines
        else ""
    )
    details = {"line": lines, "middle": middle, "middle_pca": plane}
    claim, reported = "`sampled_pca` rises in the middle", "and is not monotone from start to end"
    return Claim(17, claim, reported, words, verdict_of(hits), "MNIST, SGD, per seed", details)


def _middle_third(table):
    """Mean of the cells in the middle third of both axes."""
    value = table.columns["value"]
    low, high = ([part * n // 3 for n in value.shape] for part in (1, 2))
    return float(np.nanmean(value[low[0] : high[0] + 1, low[1] : high[1] + 1]))


def _fits(numbers):
    """Claim 18, from {method: [fidelity per seed]}: errors on the path and on the straight line."""
    known = {name: [n["known_error"] for n in found] for name, found in numbers.items()}
    line = {name: [n["line_error"] for n in found] for name, found in numbers.items()}
    hits = [
        mine <= min(others)
        for errors in (known, line)
        for mine, *others in zip(errors["averaged"], *errors.values(), strict=True)
    ]
    words = "; ".join(
        f"{name} {listed(known[name], '.3g')} and {listed(line[name], '.3g')}" for name in numbers
    )
    setting = "MNIST, SGD, per seed: mean error at path points and along the line"
    claim = "`averaged` fits the path and the interpolation"
    details = {"known": known, "line": line}
    return Claim(18, claim, "best of the methods", words, verdict_of(hits), setting, details)


def _similar(one, other):
    """Structural similarity of two surfaces on the coarser one's lines, both clipped as they are drawn."""
    coarser, finer = sorted((one, other), key=lambda table: table.columns["value"].size)
    lines = [coarser.columns[axis] for axis in "xy"]
    moved = resampled(*(finer.columns[axis] for axis in "xy"), finer.columns["value"], *lines)
    clip = coarser.attrs["clip"]
    return structural_similarity(np.minimum(coarser.columns["value"], clip), np.minimum(moved, clip))
