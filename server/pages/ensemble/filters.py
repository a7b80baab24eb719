"""What the views of the filters' correlations show: time, layer, threshold, projection."""

from server.core.context import MAX_ITERATION
from server.ui.choices import Choice, Choices

THRESHOLD = 0.7
COUNTS = {"pairs": "filter pairs", "filters": "filters in such a pair"}
METHODS = {"mds": "MDS", "tsne": "t-SNE"}
LAST = -1


class Filters(Choices):
    """time: an iteration, or LAST; layer: "" the last; threshold of |r|; counted: a key of COUNTS; method:
    a key of METHODS. Emits "filters" after every change."""

    def __init__(self, context):
        super().__init__(
            lambda name: context.emit("filters"),
            time=Choice(context, "ens_time", LAST, (LAST, MAX_ITERATION)),
            layer=Choice(context, "ens_layer", ""),
            threshold=Choice(
                context, "ens_threshold", THRESHOLD, (0.0, 1.0), title="Threshold of |r|",
                help="Filters are correlated from this absolute value on",
            ),
            counted=Choice(context, "ens_count", "pairs", COUNTS, title="Count", help="Over time"),
            method=Choice(context, "ens_method", "mds", METHODS, help="How runs become points"),
        )  # fmt: skip
