"""Claims 21 to 27: step sizes of SGD and Adam, their hills and trends, and a learning rate shaped like them.

A curve of step sizes is averaged over hundredths of the run. The hill is the rise within its first fifth;
the trend is the rank correlation with the iteration from the hill's top on. "Falls" and "climbs" mean a
correlation beyond 0.5; "constant" a change of less than a quarter from the first to the last tenth.
"""

import numpy as np

from experiments.kuchta2023 import training
from experiments.kuchta2023.evidence import change, curve, hill, trend_after, validation
from experiments.kuchta2023.training import DATA, DROPOUT, SIZES
from experiments.tables import Claim, listed, verdict_of
from gdlab.analysis.step_sizes import rank_correlation

CLEAR = 0.5  # rank correlation
CONSTANT = 0.25  # relative change
THRESHOLDS = (0.90, 0.95)  # accuracies whose first iteration is compared


def larger(evidence):
    """Claim 21: mean step size of Adam over that of SGD."""
    ratios = {}
    for data in DATA:
        sgd, adam = (evidence.of(data, o) for o in ("sgd", "adam"))
        both = sorted(sgd.keys() & adam.keys())
        ratios[data] = [np.nanmean(curve(adam[s]).value) / np.nanmean(curve(sgd[s]).value) for s in both]
    hits = [ratio > 1 for values in ratios.values() for ratio in values]
    words = "; ".join(f"{data} {listed(values)} times" for data, values in ratios.items() if values)
    claim = "Adam's steps exceed SGD's"
    return Claim(21, claim, "larger", words, verdict_of(hits), "mean over the run, per seed", ratios)


def adam_trends(evidence):
    """Claim 22: whether Adam's steps climb on MNIST and stay constant on CIFAR-10."""
    found = {data: [curve(run) for run in evidence.of(data, "adam").values()] for data in DATA}
    climbs = [one.numbers["correlation"] for one in found["mnist"]]
    changes = [change(one) for one in found["cifar10"]]
    hits = [value > CLEAR for value in climbs] + [abs(value) < CONSTANT for value in changes]
    words = f"MNIST: rank correlation {listed(climbs, '.2f')}; CIFAR-10: change by {listed(changes, '+.0%')}"
    details = {"correlation": climbs, "change": changes}
    reported = "climb on MNIST, constant on CIFAR-10"
    return Claim(22, "Adam's steps over the run", reported, words, verdict_of(hits), "per seed", details)


def sgd_trends(evidence):
    """Claim 23: SGD's hill at the start, then falling on MNIST and climbing on CIFAR-10."""
    hills, trends, hits = {}, {}, []
    for data, sign in zip(DATA, (-1, 1), strict=True):
        found = [curve(run) for run in evidence.of(data, "sgd").values()]
        hills[data], trends[data] = [hill(one) for one in found], [trend_after(one) for one in found]
        hits += [value > 0.1 for value in hills[data]] + [sign * value > CLEAR for value in trends[data]]
    words = "; ".join(
        f"{data}: hill {listed(hills[data], '+.0%')}, then {listed(trends[data], '+.2f')}" for data in DATA
    )
    reported = "hill, then falling on MNIST, climbing on CIFAR-10"
    details = {"hill": hills, "trend": trends}
    return Claim(23, "SGD's steps over the run", reported, words, verdict_of(hits), "per seed", details)


def dropout(evidence):
    """Claim 24: dropout lowers SGD's hill and slows Adam's climb, on MNIST."""
    pairs = {}
    for optimizer, measure in (("sgd", hill), ("adam", change)):
        without = evidence.of("mnist", optimizer)
        with_it = evidence.of("mnist", optimizer, dropout=DROPOUT)
        both = sorted(without.keys() & with_it.keys())
        pairs[optimizer] = [(measure(curve(without[s])), measure(curve(with_it[s]))) for s in both]
    hits = [after < before for values in pairs.values() for before, after in values]
    words = "; ".join(
        f"{name} {', '.join(f'{a:+.0%} to {b:+.0%}' for a, b in values)}" for name, values in pairs.items()
    )
    reported = "a smaller hill (SGD), a slower climb (Adam)"
    setting = "MNIST, dropout 0.5; hill, and change over the run"
    return Claim(24, "Dropout and the step sizes", reported, words, verdict_of(hits), setting, pairs)


def sizes(evidence):
    """Claim 25: the larger the network, the larger SGD's hill."""
    hills = {}
    for data in DATA:
        runs = {n: evidence.of(data, "sgd", network=n) for n in SIZES}
        found = {n: float(np.mean([hill(curve(r)) for r in one.values()])) for n, one in runs.items() if one}
        if len(found) > 1:
            hills[data] = found
    hits = [bool((np.diff(list(found.values())) > 0).all()) for found in hills.values()]
    words = "; ".join(
        f"{data}: " + ", ".join(f"{n} {v:+.0%}" for n, v in found.items()) for data, found in hills.items()
    )
    reported = "TinyNN < TinyCNN < VGG"
    return Claim(25, "Network size and hill", reported, words, verdict_of(hits), "mean over seeds", hills)


def poor(evidence):
    """Claim 26: whether falling step sizes go with poor training, over all runs with SGD."""
    rows = []
    for setting, run in evidence.runs.items():
        if setting.optimizer == "sgd":
            rows.append((trend_after(curve(run)), float(np.max(validation(run)["accuracy"]))))
    trend, best = np.array(rows).T if rows else np.empty((2, 0))
    correlation, p_value = rank_correlation(trend, best)
    hits = [correlation > 0 and p_value < 0.05] if len(rows) > 3 else []
    words = f"rank correlation of trend and best accuracy {correlation:+.2f} (p = {p_value:.2g})"
    reported = "falling steps: low accuracy (against claim 23)"
    details = {"trend": trend, "accuracy": best}
    setting = f"all {len(rows)} runs with SGD"
    return Claim(26, "Falling steps mean poor training", reported, words, verdict_of(hits), setting, details)


def shaped(evidence):
    """Claim 27: a learning rate shaped like the recorded hill against the plain one, on MNIST."""
    first, hits = {}, []
    for seed, run in evidence.of("mnist", "sgd").items():
        setting = training.Setting("mnist", "sgd", seed=seed)
        other = training.shaped(evidence.place, setting, run)
        reached = {level: (_first(run, level), _first(other, level)) for level in THRESHOLDS}
        first[seed] = reached
        hits += [b < a for a, b in reached.values() if np.isfinite(a) or np.isfinite(b)]
    words = "; ".join(
        f"seed {seed}: " + ", ".join(f"{level:.0%} at {a:,.0f} and {b:,.0f}" for level, (a, b) in one.items())
        for seed, one in first.items()
    )
    setting = "Modified-LeNet, MNIST: iteration of first reaching an accuracy, plain and shaped"
    reported = "more efficient training"
    return Claim(27, "A learning rate like the hill", reported, words, verdict_of(hits), setting, first)


def _first(run, level):
    """The first validated iteration with at least this accuracy; infinity where there is none."""
    rows = validation(run)
    there = rows["accuracy"] >= level
    return float(rows["iteration"][there][0]) if there.any() else np.inf
