"""Claims 46 to 48: filters that never change, and filters that never come to rest."""

import numpy as np

from experiments.liu2018.evidence import CONTROLS, HARMLESS, Finding, claim, losses, without
from experiments.tables import Claim, verdict_of
from gdlab.analysis import filters

OUTSTANDING = 3.0  # late change over the median filter's
TOP, HELD = 0.05, 0.5  # among the top TOP of the filters in at least HELD of the late dumps
LATE = 0.25  # share of the dumps


def unchanging(evidence):
    """Claim 46, of every training, those in large batches included."""
    return claim(
        46, "First-layer filters that never change", "a few; harmless to zero, unlike random ones",
        evidence.records, dead,
        "dead (no gradient, direction unchanged) from the first tenth of the dumps on; zeroed: accuracy "
        f"within {100 * HARMLESS:g} points, beyond for {CONTROLS} random sets of the layer on average",
    )  # fmt: skip


def warmed(evidence):
    """Claim 47: dead filters of the whole network, in large batches without and with warm-up."""
    pairs, hits, words = {}, [], []
    for setting, record in evidence.records.items():
        other = evidence.records.get(setting._replace(warmup=True))
        if setting.times > 1 and not setting.warmup and other is not None:
            pair = (number_dead(record), number_dead(other))
            pairs[f"k = {setting.times}, seed {setting.seed}"] = pair
            words.append(f"k = {setting.times}: {pair[0]} to {pair[1]}")
            hits += [pair[1] == 0] if pair[0] else []
    lost = f"; diverged: {len(evidence.diverged)} trainings" if evidence.diverged else ""
    filters_of = "dead filters without and with warm-up, per seed; none left where there were any"
    setting = f"Modified-LeNet, MNIST, batch and learning rate times k: {filters_of}"
    measured = "; ".join(words) + lost
    return Claim(47, "Warm-up and dead filters", "avoids them", measured, verdict_of(hits), setting, pairs)


def restless(evidence):
    """Claim 48, of the residual network."""
    return claim(
        48, "A few filters stay active late", "and zeroing them is harmless",
        evidence.residual(), lasting,
        f"top 1 % of late change, at least {OUTSTANDING:g} times the median, among the top {TOP:.0%} in half "
        f"of the last quarter's dumps; zeroed: accuracy within {100 * HARMLESS:g} points",
    )  # fmt: skip


def dead(record):
    """Whether some, not all, first-layer filters never change, and what the network loses without them.

    Hits: that there are any; and, where so, that zeroing them is harmless and zeroing others is not.
    """
    node = record.dumps.nodes[record.dumps.layers()[0]]
    found = dead_filters(record)
    which = found["filter"][(found["filter"] < node.first + node.filters) & (found["filter"] >= node.first)]
    early = np.intersect1d(which, found["filter"][found["since"] <= record.early])
    words = f"{len(early)} of {node.filters}"
    details = {"never": early, "died": np.setdiff1d(which, early)}
    if not 0 < len(early) < node.filters:
        return Finding(words, [False], details)
    own, others = losses(without(record, early))
    words += f", zeroed: {100 * own:.2f} points lost, random ones {100 * others:.2f}"
    hits = [True, abs(own) <= HARMLESS, others > HARMLESS]
    return Finding(words, hits, details | {"lost": own, "lost_random": others})


def lasting(record):
    """Whether a few convolutions' filters change much more than others up to the end, and are not needed.

    Hits: that there are any, by OUTSTANDING, TOP and HELD; and that zeroing them is harmless.
    """
    which = steady(record)
    ratio = filters.never_settling(_change(record), LATE).columns["ratio"]
    words = f"{len(which)} filters (late change up to {ratio.max(initial=0):.1f} times the median)"
    if not len(which):
        return Finding(words, [False], {"filters": which})
    own, others = losses(without(record, which))
    words += f", zeroed: {100 * own:.2f} points lost, random ones {100 * others:.2f}"
    details = {"filters": which, "lost": own, "lost_random": others}
    return Finding(words, [True, abs(own) <= HARMLESS], details)


def steady(record):
    """The filters of convolutions that stand out late, in every sense of claim 48; positions, ascending."""
    change, of_layer = _change(record), record.dumps.layer_of_filter()
    table = filters.never_settling(change, LATE).columns
    loud = table["filter"][table["ratio"] >= OUTSTANDING]
    count = len(change)
    late = np.arange(count - max(1, round(LATE * count)), count)
    number = max(1, int(np.ceil(TOP * np.isin(of_layer, record.layers).sum())))
    tops = filters.anomaly_filters(change, number, late).columns["filter"]
    share = np.bincount(tops, minlength=change.shape[1]) / len(late)
    return np.sort(loud[share[loud] >= HELD])


def dead_filters(record):
    """filter, since of `filters.dead_filters`."""
    return filters.dead_filters(record.dumps.filter("gradient_norm"), record.change).columns


def number_dead(record):
    """How many filters of the network are dead at the end."""
    return len(dead_filters(record)["filter"])


def _change(record):
    """How far each convolution's filters turned, [D, F]; NaN for those of dense layers."""
    inside = np.isin(record.dumps.layer_of_filter(), record.layers)
    return np.where(inside, record.change, np.nan)
