"""The statistics of weights and gradients by name: what a run has of them, and how they are to be drawn."""

from gdlab.analysis.dumps import DERIVED, RATIOS

WORDS = {
    "mean": "mean", "std": "standard deviation", "sum": "sum", "variance": "variance", "norm": "norm",
    "min": "minimum", "q1": "lower quartile", "median": "median", "q3": "upper quartile", "max": "maximum",
}  # fmt: skip
KINDS = {"weight": "weights", "gradient": "gradients"}
CHANGES = {
    "update_ratio": "update ratio", "update_norm": "update (L2)", "cosine_distance": "change (1 − cosine)",
    "change_norm": "change (L2)", "change_ratio": "change (relative L2)",
}  # fmt: skip
NAMES = {f"{kind}_{what}": f"{KINDS[kind]}: {words}" for kind in KINDS for what, words in WORDS.items()}
NAMES |= CHANGES
USUAL = 1e-3  # the update ratio of a training that goes well
BOX = ("min", "q1", "median", "q3", "max")


def available(run, of: str) -> dict[str, str]:
    """{name: words} of the statistics that a run has, of "layer" or "filter"."""

    def known(*names):
        return all(f"dump/{of}/{name}" in run.arrays for name in names)

    def there(name):
        kind, _, what = name.partition("_")
        spread = known(f"{kind}_mean", f"{kind}_std")
        if name in RATIOS:
            return known(RATIOS[name], "weight_mean", "weight_std")
        return spread if kind in KINDS and what in DERIVED else known(name)

    return {name: words for name, words in NAMES.items() if there(name)}


def distributions(run, of: str = "layer") -> dict[str, str]:
    """{kind: words} of what has all five numbers of a box plot."""
    return {
        kind: words
        for kind, words in (KINDS | {"": "activations"}).items()
        if all(f"dump/{of}/{kind}{'_' if kind else ''}{what}" in run.arrays for what in BOX)
    }


def signed(name: str) -> bool:
    """Whether a statistic may be below 0."""
    kind, _, what = name.partition("_")
    return kind in KINDS and what not in ("std", "variance", "norm")
