"""Claims 33 to 35, 38 and 39: what the hyper-parameters do to the correlations of the filters."""

import numpy as np

from experiments.hamid2019.evidence import Finding, claim, rank_correlation
from experiments.tables import number
from gdlab.analysis.correlated import THRESHOLD, filters_above
from gdlab.analysis.embedding import embed
from gdlab.analysis.ensemble import correlations
from gdlab.analysis.filter_order import ordered
from gdlab.analysis.run_similarity import distance, similarity

CORNER = 1 / 3  # of the grid's side, from which on values are low or high
NEIGHBOURS = 4
SHUFFLES = 999
CHANCE = 0.05


def corners(evidence):
    """Claim 33."""
    return claim(
        33, "Correlated filters of Conv2 after an initial phase",
        "most with low values of both, fewest with high",
        cornered, f"filters with |r| > {THRESHOLD}, mean over the corners of the grid and all times behind a "
        "fifth of the training; most, and fewest, of the four corners", evidence.mnist,
    )  # fmt: skip


def pair(evidence):
    """Claim 34."""
    return claim(
        34, "High values of both against low ones, Conv2, step 500",
        "caption: less correlated; text: more", two,
        "mean |r| of all pairs, pairs above the threshold; verdict on the caption", evidence.mnist,
    )  # fmt: skip


def mixing(evidence):
    """Claim 35."""
    return claim(
        35, "Run colours in the graph of correlations", "mix less with time", sorting,
        "share of the variance of the number of correlated filters that both hyper-parameters explain, "
        "linearly: its rank correlation with time, and its last value against its first", evidence.mnist,
    )  # fmt: skip


def lower(evidence):
    """Claim 38."""
    return claim(
        38, "CIFAR-10: filter correlations", "lower than MNIST's", compared,
        "medians over the runs at the end: mean |r|, share of filters above the threshold; all layers",
        evidence.mnist, evidence.cifar10,
    )  # fmt: skip


def smoothness(evidence):
    """Claim 39."""
    return claim(
        39, "Colours in the similarity plot, MDS of Conv2", "smooth for CIFAR-10, mixed for MNIST", smooth,
        f"distance on the grid of {NEIGHBOURS} neighbours in the plot over that of any two runs, {SHUFFLES} "
        f"shuffles: smooth for CIFAR-10 (p < {CHANCE}), less so for MNIST", evidence.mnist, evidence.cifar10,
    )  # fmt: skip


def counts(seen):
    """(step [n], number of correlated filters [M, n] of the layer shown, NaN where unknown)."""
    found = {}
    for member in np.flatnonzero(seen.ensemble.comparable):
        step, r = correlations(seen.ensemble, member, seen.shown)
        found[member] = dict(zip(step.tolist(), filters_above(r), strict=True))
    step = np.array(sorted(set().union(*found.values())), int)
    rows = [[found.get(m, {}).get(k, np.nan) for k in step.tolist()] for m in range(len(seen.rate))]
    return step, np.array(rows, float).reshape(len(seen.rate), len(step))


def cornered(seen):
    """Whether the low corner has most correlated filters of the four, and the high corner fewest."""
    step, count = counts(seen)
    late = count[:, step > seen.initial]
    mean = np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.nan for row in late])
    found = {}
    for name, low_rate, low_momentum in (
        ("both low", True, True), ("low rate", True, False), ("low momentum", False, True),
        ("both high", False, False),
    ):  # fmt: skip
        inside = _end(seen.rate, low_rate) & _end(seen.momentum, low_momentum) & np.isfinite(mean)
        found[name] = float(mean[inside].mean()) if inside.any() else np.nan
    words = ", ".join(f"{name} {number(value, '.1f')}" for name, value in found.items())
    others = [found["low rate"], found["low momentum"]]
    if not np.isfinite(list(found.values())).all():
        return Finding(words, [], found)
    hits = [found["both low"] > max(*others, found["both high"])]
    hits.append(found["both high"] < min(*others, found["both low"]))
    return Finding(words, [bool(hit) for hit in hits], found)


def two(seen):
    """Whether the run with the highest values of both is less correlated than that with the lowest."""
    runs, matrices = seen.matrices(seen.shown, seen.middle)
    found = {}
    for name, end in (("high", 1.0), ("low", 0.0)):
        at = np.flatnonzero((seen.rate[runs] == end) & (seen.momentum[runs] == end))
        if not len(at):
            return Finding(f"the run with both {name} has no correlations there", [], {})
        r = matrices[at[0]]
        above = np.abs(r[np.triu_indices(len(r), 1)])
        found[name] = (float(above.mean()), int((above > THRESHOLD).sum()))
    words = "; ".join(f"{name}: mean |r| {m:.3f}, {n} pairs" for name, (m, n) in found.items())
    hits = [found["high"][0] < found["low"][0]]
    if found["high"][1] != found["low"][1]:
        hits.append(found["high"][1] < found["low"][1])
    return Finding(words, hits, found)


def sorting(seen):
    """Whether the hyper-parameters tell more and more of the numbers of correlated filters."""
    step, count = counts(seen)
    explained = np.array([_explained(column, seen.rate, seen.momentum) for column in count.T])
    known = np.isfinite(explained)
    if known.sum() < 3:
        return Finding("too few times with differing numbers", [], {"explained": explained})
    trend = rank_correlation(step, explained)
    first, last = explained[known][[0, -1]]
    words = (
        f"explained {first:.2f} at {step[known][0]}, {last:.2f} at {step[known][-1]}; rank correlation with "
    )
    words += f"time {number(trend, '.2f')}"
    return Finding(words, [bool(trend > 0), bool(last > first)], {"explained": explained, "trend": trend})


def compared(mnist, cifar10):
    """Whether CIFAR-10's filters are less correlated at the end."""
    found = {}
    for name, seen in (("MNIST", mnist), ("CIFAR-10", cifar10)):
        means, shares = [], []
        for layer in seen.ensemble.layers:
            _, matrices = seen.matrices(layer, np.inf)
            for r in matrices:
                means.append(float(np.abs(r[np.triu_indices(len(r), 1)]).mean()))
                shares.append(float(filters_above(r[None])[0] / len(r)))
        if not means:
            return Finding(f"{name} has no run with correlations", [], {})
        found[name] = (float(np.median(means)), float(np.median(shares)))
    words = "; ".join(f"{name}: mean |r| {m:.3f}, {s:.0%} of filters" for name, (m, s) in found.items())
    hits = [found["CIFAR-10"][i] < found["MNIST"][i] for i in (0, 1)]
    return Finding(words, hits, found)


def smooth(mnist, cifar10):
    """Whether neighbours in CIFAR-10's plot are neighbours on the grid, and more so than in MNIST's."""
    found = {}
    for name, seen in (("MNIST", mnist), ("CIFAR-10", cifar10)):
        runs, matrices = seen.matrices(seen.shown, seen.middle)
        if len(runs) <= NEIGHBOURS + 1:
            return Finding(f"{name} has {len(runs)} runs with correlations", [], {})
        points = embed(distance(similarity([ordered(r) for r in matrices])))
        found[name] = neighbourhood(points, np.stack([seen.rate, seen.momentum], axis=1)[runs])
    words = "; ".join(f"{name}: {ratio:.2f} (p = {p:.2g})" for name, (ratio, p) in found.items())
    hits = [found["CIFAR-10"][1] < CHANCE, found["CIFAR-10"][0] < found["MNIST"][0]]
    return Finding(words, [bool(hit) for hit in hits], found)


def neighbourhood(points, places, seed=0):
    """(ratio, p): how far neighbours among the points [M, 2] lie apart on the grid [M, 2], over any two runs.

    p: the share of shuffled grids in which they are as near or nearer.
    """
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBOURS]
    grid = np.linalg.norm(places[:, None] - places[None], axis=2)
    usual = grid.sum() / (len(grid) * (len(grid) - 1))

    def ratio(order):
        return float(np.mean(grid[order[:, None], order[near]]) / usual)

    random, own = np.random.default_rng(seed), ratio(np.arange(len(points)))
    shuffled = [ratio(random.permutation(len(points))) for _ in range(SHUFFLES)]
    return own, (1 + sum(value <= own for value in shuffled)) / (1 + SHUFFLES)


def _end(place, low):
    return place <= CORNER if low else place >= 1 - CORNER


def _explained(values, rate, momentum):
    """R^2 of a plane over both hyper-parameters; NaN where the values do not differ, or there are too few."""
    known = np.isfinite(values)
    values = values[known]
    if len(values) < 4 or np.ptp(values) == 0:
        return np.nan
    plane = np.stack([np.ones(len(values)), rate[known], momentum[known]], axis=1)
    rest = values - plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
    return float(1 - rest @ rest / ((values - values.mean()) ** 2).sum())
