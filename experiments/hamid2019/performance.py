"""Claims 28 to 32, 36 and 37: what the hyper-parameters do to the performance of runs."""

import itertools

import numpy as np

from experiments.hamid2019.evidence import Finding, claim, rank_correlation
from experiments.tables import number
from gdlab.analysis.importance import importance
from gdlab.analysis.performance import advice, cells, held

INTERACTION = 0.1  # share of the variance that the pair explains beyond both
STRONG = 0.5  # a rank correlation from which on two quantities are said to agree
MONOTONE = 0.95  # a rank correlation from which on a line of the heat map is monotone
SELECTED = 0.1  # share of the runs that is brushed at either end
SPREAD = (0.015, 0.03)  # reported standard deviations of the accuracy


def stripe(evidence):
    """Claim 28."""
    return claim(
        28, "Learning rate and momentum are not independent", "the best runs form a diagonal stripe",
        diagonal, f"mean of P1 and P2; interaction over {INTERACTION:.0%} of the variance; the best learning "
        f"rate falls with the momentum (rank correlation below {-STRONG})", evidence.mnist,
    )  # fmt: skip


def trends(evidence):
    """Claim 29."""
    return claim(
        29, "Trend along rows and columns of the heat map", "no row or column is monotone",
        lines, f"monotone: rank correlation with the hyper-parameter of {MONOTONE} or more, either way",
        evidence.mnist,
    )  # fmt: skip


def agreement(evidence):
    """Claim 30."""
    return claim(
        30, "P1, P2 and P3 agree", "high correlation between them", agree,
        f"rank correlations over the runs of {STRONG} or more", evidence.mnist,
    )  # fmt: skip


def spread(evidence):
    """Claim 31."""
    return claim(
        31, "Standard deviations of the accuracy", "between 1.5 and 3 %", deviations,
        "population standard deviation within the time of P2 and P3", evidence.mnist,
    )  # fmt: skip


def early(evidence):
    """Claim 32."""
    return claim(
        32, "Good runs are better throughout", "visible at step 100", throughout,
        f"best and worst {SELECTED:.0%} by P1: means of accuracy and loss at all later times; rank "
        f"correlation of P1 with the last accuracy of {STRONG} or more", evidence.mnist,
    )  # fmt: skip


def resemblance(evidence):
    """Claim 36."""
    return claim(
        36, "CIFAR-10's heat map resembles MNIST's", "strikingly similar", alike,
        f"rank correlation over the cells of {STRONG} or more", evidence.mnist, evidence.cifar10,
    )  # fmt: skip


def unstable(evidence):
    """Claim 37."""
    return claim(
        37, "CIFAR-10: accuracy and stability", "anti-correlated", opposed,
        f"rank correlations of P1 and of P2 with P3 of {-STRONG} or less", evidence.cifar10,
    )  # fmt: skip


def diagonal(seen):
    """Whether the pair interacts, and the best learning rate is the lower the higher the momentum."""
    parameters = {"learning_rate": seen.rate, "momentum": seen.momentum}
    table = importance(parameters, seen.good)
    shares = {
        f"{a} x {b}" if b else a: float(share)
        for a, b, share in zip(*(table.columns[n] for n in ("parameter", "other", "share")), strict=True)
    }
    grid = cells(seen.rate, seen.momentum, seen.good)
    filled = np.isfinite(grid.mean).all(axis=0)
    best = grid.rows[np.argmax(grid.mean[:, filled], axis=0)] if filled.any() else np.empty(0)
    falls = rank_correlation(grid.columns[filled], best)
    pair = shares["learning_rate x momentum"]
    hits = [bool(pair > INTERACTION), bool(falls <= -STRONG)]
    words = f"interaction {number(pair, '.0%')} (learning rate {number(shares['learning_rate'], '.0%')}, "
    words += f"momentum {number(shares['momentum'], '.0%')}); best learning rate against momentum "
    words += number(falls, ".2f")
    left = table.attrs["left_out"]
    return Finding(
        words + _left(left), hits, {"shares": shares, "best": best, "falls": falls, "left_out": left}
    )


def lines(seen):
    """Whether no row, and no column, is monotone."""
    grid = cells(seen.rate, seen.momentum, seen.good)
    counts = []
    for values, along in ((grid.mean, grid.columns), (grid.mean.T, grid.rows)):
        found = [abs(rank_correlation(line, along)) for line in values]
        counts.append((int(sum(r >= MONOTONE for r in found)), len(found)))
    words = f"monotone: {counts[0][0]} of {counts[0][1]} rows (one learning rate), "
    words += f"{counts[1][0]} of {counts[1][1]} columns (one momentum)"
    return Finding(words, [count == 0 for count, _ in counts], {"rows": counts[0], "columns": counts[1]})


def agree(seen):
    """Whether each two of P1, P2, P3 rise together."""
    return _related(seen, itertools.combinations((1, 2, 3), 2), lambda r: r >= STRONG)


def opposed(seen):
    """Whether P3 falls as P1 and P2 rise."""
    return _related(seen, ((1, 3), (2, 3)), lambda r: r <= -STRONG)


def _related(seen, pairs, holds):
    measures = {1: seen.p1, 2: seen.p2, 3: seen.p3}
    found = {f"P{a} and P{b}": rank_correlation(measures[a], measures[b]) for a, b in pairs}
    words = ", ".join(f"{name} {number(r, '.2f')}" for name, r in found.items())
    left = int((~np.isfinite(sum(measures.values()))).sum())
    return Finding(words + _left(left), [bool(holds(r)) for r in found.values()], found | {"left_out": left})


def deviations(seen):
    """Whether all standard deviations lie within the reported range: its lower end, its upper end."""
    found = seen.deviation[np.isfinite(seen.deviation)]
    if not len(found):
        return Finding("none recorded", [], {})
    low, high, middle = found.min(), found.max(), np.median(found)
    words = f"{100 * low:.2f} to {100 * high:.2f} %, median {100 * middle:.2f} %"
    words += _left(len(seen.deviation) - len(found))
    hits = [bool(low >= SPREAD[0]), bool(high <= SPREAD[1])]
    return Finding(words, hits, {"low": low, "high": high, "median": middle})


def throughout(seen):
    """Whether the runs that are best early stay better in accuracy and in loss, and end better."""
    accuracy = held(seen.ensemble)
    late = seen.ensemble.step >= seen.at
    known = np.flatnonzero(np.isfinite(seen.p1) & np.isfinite(accuracy[:, -1]))
    count = max(1, round(SELECTED * len(known)))
    order = known[np.argsort(seen.p1[known], kind="stable")]
    worst, best = order[:count], order[-count:]
    gap = accuracy[best][:, late].mean(axis=0) - accuracy[worst][:, late].mean(axis=0)
    loss = seen.ensemble.loss
    lower = loss[worst][:, late].mean(axis=0) - loss[best][:, late].mean(axis=0)
    # Where a run has diverged its loss is not finite, which is no lower than anything.
    better = [float((part[~np.isnan(part)] > 0).mean()) if len(part) else np.nan for part in (gap, lower)]
    rank = rank_correlation(seen.p1, accuracy[:, -1])
    table = advice(accuracy[known], seen.ensemble.step, best=SELECTED)
    stops = dict(zip(table.columns["kept"].tolist(), table.columns["iteration"].tolist(), strict=True))
    words = (
        f"accuracy higher at {better[0]:.0%}, loss lower at {better[1]:.0%} of the times; rank correlation "
    )
    words += (
        f"with the end {number(rank, '.2f')}; the best {SELECTED:.0%} are in the first half from iteration "
    )
    words += number(stops.get(0.5, np.nan), ".0f") + _left(len(seen.p1) - len(known))
    hits = [better[0] == 1, better[1] == 1, bool(rank >= STRONG)]
    return Finding(words, hits, {"better": better, "rank": rank, "stops": stops})


def alike(mnist, cifar10):
    """Whether the same cells, of the same values, are good in both; one grid may be a part of the other."""
    two = [_by_values(seen) for seen in (mnist, cifar10)]
    shared = sorted(set(two[0]) & set(two[1]))
    r = rank_correlation(*(np.array([values[cell] for cell in shared]) for values in two))
    return Finding(f"{number(r, '.2f')} over {len(shared)} cells", [bool(r >= STRONG)], {"r": r})


def _by_values(seen):
    """{(learning rate, momentum): how good the run is}."""
    alike = np.zeros(len(seen.good))  # a hyper-parameter that does not vary
    rates, momenta = (seen.ensemble.parameters.get(name, alike) for name in ("learning_rate", "momentum"))
    return {(float(a), float(b)): v for a, b, v in zip(rates, momenta, seen.good, strict=True)}


def _left(count):
    return f" ({count} run{'s' if count > 1 else ''} without)" if count else ""
