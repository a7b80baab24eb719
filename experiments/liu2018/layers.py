"""Claims 44 and 45: how the weights of the layers spread and lean."""

import numpy as np

from experiments.liu2018.evidence import Finding, claim
from experiments.tables import listed

HALVED = (0.4, 0.6)  # ratios that are "about half"


def spread(evidence):
    """Claim 44, of every training in stages."""
    return claim(
        44, "Standard deviations of weights", "fall everywhere, about halve from module to module",
        evidence.staged(), falling,
        "all layers, last dump against first; stages of the residual network as modules, ratios within "
        f"{HALVED[0]} and {HALVED[1]}",
    )  # fmt: skip


def means(evidence):
    """Claim 45, of every training in stages."""
    return claim(
        45, "Means of weights", "negative in convolutions; positive in the dense layer",
        evidence.staged(), leaning,
        "all convolutions in the last dump; the last dense layer in every dump",
    )  # fmt: skip


def falling(record):
    """Whether every layer's standard deviation falls, and each module's is about half the one's before.

    Hits: the first; and the second, where there are two modules (groups at the top) or more.
    """
    dumps = record.dumps
    deviation = dumps.layer("weight_std")
    layers = dumps.layers()
    change = deviation[-1, layers] / deviation[0, layers] - 1
    modules = [i for i in dumps.children(-1) if dumps.nodes[i].kind == "group"]
    ratios = deviation[-1, modules[1:]] / deviation[-1, modules[:-1]]
    hits = [bool((change < 0).all())]
    words = f"falls in {(change < 0).sum()} of {len(layers)} layers, by {np.median(change):+.0%} (median)"
    if len(ratios):
        hits.append(bool(((HALVED[0] <= ratios) & (ratios <= HALVED[1])).all()))
        started = deviation[0, modules[1:]] / deviation[0, modules[:-1]]
        words += f"; from module to module times {listed(ratios, '.2f')} (at first {listed(started, '.2f')})"
    return Finding(words, hits, {"change": change, "ratios": ratios})


def leaning(record):
    """Whether every convolution's mean weight ends negative, and the last dense layer's is positive."""
    dumps = record.dumps
    mean = dumps.layer("weight_mean")
    dense = [i for i in dumps.layers() if dumps.nodes[i].kind == "dense"][-1]
    ends, course = mean[-1, record.layers], mean[:, dense]
    hits = [bool((ends < 0).all()), bool((course > 0).all())]
    words = f"negative in {(ends < 0).sum()} of {len(ends)}; dense {course[0]:+.2g} to {course[-1]:+.2g}"
    return Finding(words, hits, {"convolutions": ends, "dense": (course[0], course[-1])})
