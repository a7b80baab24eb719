"""Easy classes less often, which the source's experts wished for: against plain training, as many iterations.

A class is shown as often as it was wrong in the plain training, relative to the hardest class (see
`gdlab.analysis.class_shares`). Which classes are hard and which easy is read off training images, what became
of them off all test images: on the same images the hardest would improve by chance alone.
"""

import numpy as np

from experiments.recorded import run_probe

SAMPLES = 10_000  # training images
PART = 0.3  # share of the classes that counts as hard, and as easy
HEADER = ("setting", "seed", "test images of", "error, plain", "error, easy classes less often", "points")


def compared(plain, weighted) -> dict[str, tuple[float, float]]:
    """{classes: (error plain, error weighted)} of two Runs of the same data, after their last iteration.

    classes: "all classes", "hard classes" and "easy classes", as the plain run has them; the mean of their
    errors on the test set.
    """
    order = np.argsort(-_errors(plain, on="train", samples=SAMPLES), kind="stable")
    count = max(1, round(PART * len(order)))
    which = {"all classes": order, "hard classes": order[:count], "easy classes": order[-count:]}
    before, after = (_errors(run, on="test", samples=None) for run in (plain, weighted))
    return {
        name: (float(before[chosen].mean()), float(after[chosen].mean())) for name, chosen in which.items()
    }


def rows(found):
    """Rows of a table with HEADER, of {setting: what `compared` gives}."""
    return [
        (setting.label, setting.seed, name, f"{before:.2%}", f"{after:.2%}", f"{100 * (after - before):+.2f}")
        for setting, measured in found.items()
        for name, (before, after) in measured.items()
    ]


def _errors(run, **options):
    """Share of each class's images that are given another label, [C]."""
    return 1 - run_probe(run.path, "confusion", options).columns["recall"]
