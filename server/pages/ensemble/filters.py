"""What the views of the filters' correlations show: time, layer, threshold, projection."""

from typing import NamedTuple

MAX_ITERATION = 10**12
THRESHOLD = 0.7
COUNTS = {"pairs": "filter pairs", "filters": "filters in such a pair"}
METHODS = {"mds": "MDS", "tsne": "t-SNE"}


class Filters(NamedTuple):
    """time: an iteration, None the last; layer: "" the last one; threshold of |r|; counted: a key of COUNTS;
    method: a key of METHODS."""

    time: int | None
    layer: str
    threshold: float
    counted: str
    method: str


def read(state) -> Filters:
    """What the address asks for."""
    time = state.get("ens_time", -1, low=0, high=MAX_ITERATION)
    return Filters(
        None if time < 0 else time,
        state.get("ens_layer", ""),
        state.get("ens_threshold", THRESHOLD, low=0.0, high=1.0),
        state.get("ens_count", "pairs", choices=tuple(COUNTS)),
        state.get("ens_method", "mds", choices=tuple(METHODS)),
    )


def keys(filters: Filters) -> dict[str, object]:
    """The address's keys that say so."""
    return {
        "ens_time": filters.time,
        "ens_layer": filters.layer or None,
        "ens_threshold": None if filters.threshold == THRESHOLD else filters.threshold,
        "ens_count": None if filters.counted == "pairs" else filters.counted,
        "ens_method": None if filters.method == "mds" else filters.method,
    }
