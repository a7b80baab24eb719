"""Claims 11, 12 and 15: how well the networks do, how large they are, what two components explain."""

import numpy as np

from experiments.kuchta2023.evidence import accuracy
from experiments.kuchta2023.training import LENET5, MODIFIED
from experiments.tables import Claim, listed, verdict_of

ACCURACY = {MODIFIED: 0.974, LENET5: 0.986}
WITHIN = 0.005  # of the reported accuracy
EXPLAINED = {"sgd": 0.95, "adam": 0.65}
EXPLAINED_WITHIN = 0.1


def accuracies(evidence):
    """Claim 11: test accuracy after 13 epochs of SGD on MNIST."""
    found = {n: evidence.of("mnist", "sgd", network=n) for n in ACCURACY}
    measured = {n: [accuracy(run) for run in runs.values()] for n, runs in found.items()}
    hits = [abs(np.mean(values) - ACCURACY[n]) <= WITHIN for n, values in measured.items() if values]
    words = "; ".join(f"{n} {listed([100 * v for v in vs], '.2f')} %" for n, vs in measured.items() if vs)
    return Claim(
        11,
        "Test accuracy on MNIST with SGD",
        "Modified-LeNet 97.4 %, LeNet-5 98.6 %",
        words,
        verdict_of(hits),
        f"within {100 * WITHIN:g} points on average; seeds {list(found[MODIFIED])}",
        measured,
    )


def sizes(evidence):
    """Claim 12: parameters of LeNet-5 over those of Modified-LeNet."""
    found = {n: next(iter(evidence.of("mnist", "sgd", network=n).values()), None) for n in ACCURACY}
    counts = {n: run.identity["parameters"] for n, run in found.items() if run is not None}
    ratio = counts[LENET5] / counts[MODIFIED] if len(counts) == 2 else np.nan
    return Claim(
        12,
        "Modified-LeNet has fewer parameters",
        "about 30 times",
        f"{ratio:.1f} times ({'; '.join(f'{name} {count:,}' for name, count in counts.items())})",
        verdict_of([25 <= ratio <= 35] if len(counts) == 2 else []),
        "32 x 32 x 1",
        counts,
    )


def explained(evidence):
    """Claim 15: share of the path's variance along two principal directions."""
    shares, hits = {}, []
    for data in ("mnist", "cifar10"):
        for optimizer, wanted in EXPLAINED.items():
            runs = evidence.of(data, optimizer)
            found = [sum(evidence.surface(run, method="pca").attrs["explained"]) for run in runs.values()]
            if found:
                shares[f"{data} {optimizer}"] = found
                hits.append(abs(np.mean(found) - wanted) <= EXPLAINED_WITHIN)
    words = "; ".join(f"{name} {listed([100 * v for v in vs], '.0f')} %" for name, vs in shares.items())
    return Claim(
        15,
        "Two components explain the path",
        "95 % (SGD), 65 % (Adam)",
        words,
        verdict_of(hits),
        f"Modified-LeNet; within {100 * EXPLAINED_WITHIN:g} points on average",
        shares,
    )
