"""Claims 1 to 10 of the paper, in order."""

from experiments.becker2019 import curves, searches

MEASURES = (
    searches.error_at_22,
    searches.noise,
    searches.phase_one_only,
    searches.both_phases,
    searches.loose_ends,
    searches.minima,
    curves.jumps,
    curves.final_errors,
    curves.plateaus,
    curves.separation,
)


def measure(evidence):
    """[Claim], one per number."""
    return [claim(evidence) for claim in MEASURES]
