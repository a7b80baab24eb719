"""Claims 49 to 52: which filters change when classes do."""

import numpy as np

from experiments.liu2018.evidence import HARMLESS, Finding, claim, losses, without
from experiments.tables import listed
from gdlab.analysis import correlation, filters
from gdlab.analysis.step_sizes import rank_correlation

TOP = 100  # anomaly filters of an anomaly iteration
SHARE = TOP / 22_720  # the same among the filters of ResNet-50's convolutions, for a smaller network
REPEATED = 2  # appearances of a mini-set that counts
CLEAR = 0.05  # p-value
CLASS_HARMLESS = 0.02  # change of the class's error that is none


def active(evidence):
    """Claim 49, of the residual network."""
    return claim(
        49, "Layers among the top 100 changes", "more shallow ones; deep ones mostly last of their block",
        evidence.residual(), shallow,
        "layers with anomaly filters, first against second half of the convolutions; deep ones that are "
        "last of a block more frequent than among all; k = 100 and the same share of the filters",
    )  # fmt: skip


def modules(evidence):
    """Claim 50, of the residual network."""
    return claim(
        50, "Anomaly filters of modules", "more in deep ones", evidence.residual(), growing,
        "distinct filters of each stage at all anomaly iterations, rising; and their share of the stage's; "
        "k = 100 and the same share of the filters",
    )  # fmt: skip


def spans(evidence):
    """Claim 51, of the residual network."""
    return claim(
        51, "Mini-sets of shallow layers", "span more classes and iterations", evidence.residual(), spanning,
        f"mini-sets with {REPEATED} appearances or more: rank correlation with depth negative "
        f"(p < {CLEAR}); k = 100 and the same share of the filters",
    )  # fmt: skip


def zeroed(evidence):
    """Claim 52, of the residual network."""
    return claim(
        52, "A class's own repeated mini-set", "zeroing it changes nothing", evidence.residual(), own,
        f"the mini-set of convolutions with most appearances, all of one class; accuracy within "
        f"{100 * HARMLESS:g} points, the class's error within {100 * CLASS_HARMLESS:g}",
    )  # fmt: skip


def shallow(record):
    """Whether more shallow than deep layers are active, and the active deep ones are last of their blocks.

    Two hits for every k, none without anomalies.
    """
    layers, words, hits, details = record.layers, [], [], {}
    half = len(layers) // 2
    deep = set(layers[half:])
    last = {i for i in layers if i == _last_of_block(record.dumps, i)}
    for k in _numbers(record):
        there = set(record.dumps.layer_of_filter()[np.unique(tops(record, k).columns["filter"])])
        numbers = len(there & set(layers[:half])), len(there & deep)
        share, usual = (len(part & last) / max(1, len(part)) for part in (there & deep, deep))
        words.append(
            f"k = {k}: {numbers[0]} shallow, {numbers[1]} deep, {share:.0%} last (of all {usual:.0%})"
        )
        details[k] = {"shallow": numbers[0], "deep": numbers[1], "last": share, "usual": usual}
        hits += [numbers[0] > numbers[1], share > usual] if there else []
    return Finding("; ".join(words), hits, details)


def growing(record):
    """Whether the anomaly filters of the modules become more with depth: their number, and their share.

    Two hits for every k, none without anomalies or with less than two modules.
    """
    dumps, words, hits, details = record.dumps, [], [], {}
    groups = [dumps.nodes[i] for i in dumps.children(-1) if dumps.nodes[i].kind == "group"]
    for k in _numbers(record):
        found = np.unique(tops(record, k).columns["filter"])
        counts = np.array([((found >= g.first) & (found < g.first + g.filters)).sum() for g in groups])
        shares = counts / [g.filters for g in groups]
        words.append(f"k = {k}: {listed(counts, 'd')} ({listed(shares, '.0%')})")
        details[k] = {"counts": counts, "shares": shares}
        if len(found) and len(groups) > 1:
            hits += [bool((np.diff(numbers) > 0).all()) for numbers in (counts, shares)]
    return Finding("; ".join(words), hits, details)


def spanning(record):
    """Whether mini-sets belong to fewer classes and to fewer iterations the deeper their layer is.

    Two hits for every k; not judged with less than three mini-sets, or where all are alike.
    """
    words, hits, details = [], [], {}
    for k in _numbers(record):
        parts = grid(record, k).parts.columns
        found = {name: rank_correlation(parts["layer"], parts[name]) for name in ("classes", "dumps")}
        text = ", ".join(f"{name} {r:+.2f} (p = {p:.2g})" for name, (r, p) in found.items())
        words.append(f"k = {k}: {len(parts['layer'])} mini-sets, {text}")
        details[k] = found
        hits += [bool(r < 0 and p < CLEAR) for r, p in found.values() if np.isfinite(r)]
    return Finding("; ".join(words), hits, details)


def own(record):
    """What network and class lose without the mini-set that appears most at that class's anomalies alone.

    Hits: the accuracy, and the class's error, stay. None where no mini-set belongs to one class only.
    """
    which, number = repeated(record)
    if number is None:
        return Finding("no mini-set of one class only that appears again", [], {})
    table = without(record, which)
    lost, others = losses(table)
    more = float(table.columns["without"][number] - table.columns["error"][number])
    name = record.dumps.classes[number]
    words = f"{len(which)} filters of '{name}', zeroed: {100 * lost:.2f} points lost, "
    words += f"{100 * more:+.1f} points of its error (random ones: {100 * others:.2f} lost)"
    hits = [abs(lost) <= HARMLESS, abs(more) <= CLASS_HARMLESS]
    details = {"filters": which, "class": name, "lost": lost, "class_error": more, "lost_random": others}
    return Finding(words, hits, details)


def repeated(record):
    """(filters, class) of the mini-set of convolutions with most appearances at one class's anomalies only.

    Of equal ones the largest. With TOP anomaly filters, else with SHARE of all; ([], None): there is none.
    """
    positions, _ = filters.layer_starts(record.dumps.nodes)
    for k in _numbers(record):
        found = grid(record, k)
        parts = found.parts.columns
        alone = (parts["classes"] == 1) & np.isin(positions[parts["layer"]], record.layers)
        if alone.any():
            best = max(np.flatnonzero(alone), key=lambda i: (parts["appearances"][i], parts["size"][i]))
            stop = parts["stop"][best]
            line = found.rectangles.columns["column"][found.rectangles.columns["part"] == best][0]
            return found.filters[stop - parts["size"][best] : stop], int(found.columns.columns["class"][line])
    return np.empty(0, np.int64), None


def tops(record, k):
    """The k anomaly filters of every anomaly iteration: the Table of `filters.anomaly_filters`."""
    return filters.anomaly_filters(record.change, k, record.found.columns["dump"])


def grid(record, k):
    """The full grid of classes and layers, of mini-sets with REPEATED appearances."""
    _, first = filters.layer_starts(record.dumps.nodes)
    return correlation.full_grid(record.found, tops(record, k), first, REPEATED)


def _numbers(record):
    """The numbers of anomaly filters to look at: TOP, and SHARE of the convolutions' filters."""
    count = sum(record.dumps.nodes[i].filters for i in record.layers)
    return sorted({min(TOP, count), max(1, round(SHARE * count))}, reverse=True)


def _last_of_block(dumps, layer):
    """The last convolution on the main way of the block that a layer lies in; none outside blocks."""
    parent = dumps.nodes[layer].parent
    inside = dumps.children(parent) if parent >= 0 else []
    return max((i for i in inside if "shortcut" not in dumps.nodes[i].name), default=None)
