"""Claims 40 to 43: how classes and images fare over the training."""

import numpy as np

from experiments.liu2018.evidence import Finding, claim
from experiments.tables import listed
from gdlab.analysis import class_curves

KINDS = 4  # clusters, as in the source's Figure 3
HALF = 0.5  # an easy class is below this error, a hard one above
SEVERAL = 2  # images
AROUND = 3  # dumps on either side of a stage's beginning
SUDDEN = 5.0  # prominence of a peak over the usual change from dump to dump
CHANCE = 0.05


def curves(evidence):
    """Claim 40, of every training in stages."""
    return claim(
        40, "Four types of class curves", "from easy to hard; most gain in the middle ones",
        evidence.staged(), types,
        f"k-means, k = {KINDS}: the easiest below {HALF:.0%} after a tenth of the dumps, the hardest never; "
        "largest fall of the error from there on in a middle one",
    )  # fmt: skip


def unrest(evidence):
    """Claim 41, of every training in stages."""
    return claim(
        41, "Anomalies and the first learning rate", "more of them; peaks of the error coincide",
        evidence.staged(), restless,
        "window and threshold as proposed; anomalies per dump, over stages; peaks at an anomaly more often "
        f"than by chance (p < {CHANCE})",
    )  # fmt: skip


def drops(evidence):
    """Claim 42, of every training in stages."""
    return claim(
        42, "Error at the boundaries of stages", "drops", evidence.staged(), dropping,
        f"over {AROUND} dumps on either side, against everywhere in the later half of the stage before",
    )  # fmt: skip


def stubborn(evidence):
    """Claim 43, of every training in stages."""
    return claim(
        43, "Images of easy classes that stay wrong", "several, in the entire training",
        evidence.staged(), staying,
        f"classes of the easiest of {KINDS} clusters, at least {SEVERAL} images of one; in all dumps, and "
        "without the first tenth",
    )  # fmt: skip


def types(record):
    """Whether the easiest classes are learnt early, the hardest never, and the middle ones gain most later.

    Hits: the easiest cluster's error is below HALF after the beginning; the hardest's never is; the
    error falls most in a cluster that is neither, from the beginning's end to the last five dumps' mean.
    """
    found = class_curves.clusters(record.rates, KINDS)
    start, end = found.curves[:, record.early], found.curves[:, -5:].mean(axis=1)
    most = int(np.argmax(start - end))
    hits = [start[0] < HALF, found.curves[-1].min() > HALF, 0 < most < len(start) - 1]
    words = f"{listed(found.sizes, 'd')} classes, error {listed(start, '.0%')} to {listed(end, '.0%')}"
    return Finding(words, [bool(hit) for hit in hits], {"sizes": found.sizes, "start": start, "end": end})


def restless(record):
    """Whether the first stage has more anomalies per dump than any later one, and peaks are among them.

    A dump counts once for each rule that can mark it. Hits: the first; and, where there are peaks, that
    anomalies lie in the dumps of a peak's rise and fall beyond chance. None where nothing is anomalous.
    """
    dump, rule = record.found.columns["dump"], record.found.columns["rule"]
    count, window = record.dumps.count, record.window
    at = np.arange(count)
    marked = {"left": at >= window, "right": (at >= 1) & (at <= count - window)}
    possible = sum(part.astype(int) for part in marked.values())
    made = np.bincount(dump, minlength=count)
    rates = [
        made[a:b].sum() / max(1, possible[a:b].sum())
        for a, b in zip(record.begin[:-1], record.begin[1:], strict=True)
    ]
    peaks, met, p_value = _coincide(record.error, np.unique(dump))
    words = f"{listed(rates, '.2g')} per dump; {met} of {len(peaks)} peaks (p = {p_value:.2g})"
    words += f" with window {window}, threshold {record.threshold}"
    hits = [bool(rates[0] > max(rates[1:], default=0))] if len(dump) else []
    hits += [bool(p_value < CHANCE)] if len(dump) and len(peaks) else []
    lefts = int((rule == "left").sum())
    details = {"rates": rates, "anomalies": len(dump), "left": lefts, "peaks": peaks, "met": met}
    return Finding(words, hits, details | {"p_value": p_value})


def dropping(record):
    """Whether the validation error falls more over each boundary than anywhere shortly before it.

    One hit per boundary: the mean of AROUND dumps before the stage's first dump minus that of those behind
    it exceeds the same difference at every dump of the later half of the stage before. Not judged where a
    stage is too short for that.
    """
    falls = [_fall(record.error, i) for i in range(record.dumps.count)]
    drops, hits = [], []
    for before, at in zip(record.begin[:-2], record.begin[1:-1], strict=True):
        usual = [falls[i] for i in range((before + at + 1) // 2, at - AROUND)]
        usual = [fall for fall in usual if np.isfinite(fall)]
        drops.append((falls[at], max(usual, default=np.nan)))
        if usual and np.isfinite(falls[at]):
            hits.append(bool(falls[at] > max(usual) and falls[at] > 0))
    words = ", ".join(f"by {100 * drop:.1f} points (before up to {100 * usual:.1f})" for drop, usual in drops)
    return Finding(words, hits, {"drops": drops, "learning_rate": _rates(record)})


def staying(record):
    """Whether an easy class has images that are never right: in all dumps, and after the beginning."""
    easy = np.flatnonzero(class_curves.clusters(record.rates, KINDS).cluster == 0)
    counts = []
    for first in (0, record.early):
        wrong = class_curves.images(record.dumps.right()[first:]).columns["always_wrong"]
        counts.append([int(wrong[a:b].sum()) for a, b in zip(*_bounds(record, easy), strict=True)])
    words = " and ".join(f"{sum(numbers)} images of {len(numbers)} classes" for numbers in counts)
    hits = [max(numbers) >= SEVERAL for numbers in counts]
    return Finding(words, hits, {"classes": easy, "always": counts[0], "later": counts[1]})


def peaks_of(error):
    """Dumps at which the error [D] stands out above what is around, by SUDDEN times its usual change."""
    from scipy.signal import find_peaks

    usual = np.median(np.abs(np.diff(error))) if len(error) > 1 else 0.0
    return find_peaks(error, prominence=max(SUDDEN * usual, 1e-9))[0]


def _coincide(error, dumps):
    """(peaks, how many have an anomaly where they rise or fall, the chance of as many)."""
    from scipy.stats import hypergeom

    peaks = peaks_of(error)
    near = np.isin(np.arange(len(error)), [*dumps, *(dumps - 1)])
    met = int(near[peaks].sum())
    return peaks, met, float(hypergeom.sf(met - 1, len(error), int(near.sum()), len(peaks)))


def _fall(error, at):
    """How much lower the mean error behind a dump is than before it; NaN where too few dumps are."""
    if at < AROUND or at + AROUND >= len(error):
        return np.nan
    return float(error[at - AROUND : at].mean() - error[at + 1 : at + 1 + AROUND].mean())


def _rates(record):
    return record.dumps.scalars["learning_rate"][record.begin[:-1]]


def _bounds(record, classes):
    return record.dumps.starts[classes], record.dumps.starts[classes + 1]
