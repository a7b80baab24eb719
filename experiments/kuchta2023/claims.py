"""Claims 11 to 27 of the thesis, in order."""

from experiments.kuchta2023 import networks, steps, surfaces

MEASURES = (
    networks.accuracies,
    networks.sizes,
    surfaces.thinned,
    surfaces.coarse,
    networks.explained,
    surfaces.methods,
    surfaces.decreasing,
    surfaces.planar,
    steps.larger,
    steps.adam_trends,
    steps.sgd_trends,
    steps.dropout,
    steps.sizes,
    steps.poor,
    steps.shaped,
)


def measure(evidence):
    """Yields every Claim; one that cannot be measured raises."""
    for one in MEASURES:
        found = one(evidence)
        yield from found if isinstance(found, list) else [found]
