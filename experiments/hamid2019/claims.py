"""Claims 28 to 39 of the paper, in order."""

from experiments.hamid2019 import filters, performance

MEASURES = (
    performance.stripe,
    performance.trends,
    performance.agreement,
    performance.spread,
    performance.early,
    filters.corners,
    filters.pair,
    filters.mixing,
    performance.resemblance,
    performance.unstable,
    filters.lower,
    filters.smoothness,
)


def measure(evidence):
    """Yields every Claim."""
    for one in MEASURES:
        yield one(evidence)
