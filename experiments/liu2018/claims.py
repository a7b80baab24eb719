"""Claims 40 to 52 of the paper, in order."""

from experiments.liu2018 import classes, filters, layers, relations

MEASURES = (
    classes.curves,
    classes.unrest,
    classes.drops,
    classes.stubborn,
    layers.spread,
    layers.means,
    filters.unchanging,
    filters.warmed,
    filters.restless,
    relations.active,
    relations.modules,
    relations.spans,
    relations.zeroed,
)


def measure(evidence):
    """Yields every Claim; one that cannot be measured raises."""
    for one in MEASURES:
        yield one(evidence)
