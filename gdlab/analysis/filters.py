"""Filters that stand out: changed most at a dump, never changed at all, never came to rest.

What a filter's change is, is one recorded statistic per dump (MEASURES); how far a filter turned says most,
since weight decay and batch normalisation make lengths drift. DeepTracker 2018, sections 7.3 and 8.2.
"""

import numpy as np

from gdlab.records import Table

# How the change of a filter since the dump before is measured, and the statistic that says it.
MEASURES = {"cosine": "cosine_distance", "l2": "change_norm", "relative_l2": "change_ratio"}
# A direction that differs by less has not changed: float32 rounds the cosine of a filter to about this.
TOLERANCE = 1e-6


def anomaly_filters(change, k: int = 100, dumps=None) -> Table:
    """The k filters of the whole network that changed most, at each of some dumps.

    change [D, F]: of every filter since the dump before, by any of MEASURES; dumps: positions to look at
    (default all). Returns dump, filter, change, rank [m]: by dump, the largest change (rank 0) first, of
    equal ones the first filter. Filters without a change (0, or NaN as in the first dump) never belong,
    so a dump may have fewer than k. Raises ValueError for k that is not an integer >= 1, and for dumps
    outside the record.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k={k!r}: allowed: an integer >= 1")
    count = len(change)
    chosen = np.arange(count) if dumps is None else np.unique(np.asarray(dumps, np.int64))
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < count:
        wrong = chosen[0] if chosen[0] < 0 else chosen[-1]
        raise ValueError(f"dump {wrong}: allowed: 0 to {count - 1}")
    tops = [_top(np.asarray(change[dump]), int(k)) for dump in chosen]
    sizes = [len(top) for top in tops]
    dump = np.repeat(chosen, sizes)
    which = np.concatenate([*tops, np.empty(0, np.int64)]).astype(np.int64)
    values = [np.asarray(change[at])[top] for at, top in zip(chosen, tops, strict=True)]
    columns = {
        "dump": dump,
        "filter": which,
        "change": np.concatenate([*values, np.empty(0)]),
        "rank": np.concatenate([*map(np.arange, sizes), np.empty(0, np.int64)]).astype(np.int64),
    }
    return Table(columns, dict.fromkeys(columns, ("filter",)), {"k": int(k), "dumps": chosen})


def layer_starts(nodes) -> tuple[np.ndarray, np.ndarray]:
    """(positions [L] of the layers among the nodes, first [L + 1]: where each one's filters begin, the end).

    nodes: as gdlab.analysis.dumps has them, in network order. Raises ValueError where the filters of one
    layer do not begin where those of the layer before end.
    """
    layers = [i for i, node in enumerate(nodes) if node.kind != "group"]
    first = np.cumsum([0, *(nodes[i].filters for i in layers)])
    for i, start in zip(layers, first, strict=False):
        if nodes[i].first != start:
            raise ValueError(f"layer '{nodes[i].name}' begins at filter {nodes[i].first}; allowed: {start}")
    return np.array(layers, np.int64), first.astype(np.int64)


def split(filters, first) -> np.ndarray:
    """The layer j of each filter: first[j] <= filter < first[j + 1], int64 [m]; ValueError outside them."""
    filters, first = np.asarray(filters, np.int64), np.asarray(first, np.int64)
    outside = (filters < first[0]) | (filters >= first[-1])
    if outside.any():
        raise ValueError(f"filter {filters[outside][0]}: allowed: {first[0]} to {first[-1] - 1}")
    return np.searchsorted(first, filters, side="right") - 1


def dead_since(gradient, turned, tolerance: float = TOLERANCE) -> np.ndarray:
    """The dump from which each filter is dead to the end of the record, int64 [F]; D where it is not.

    Dead: the gradient on the data is exactly zero, and the direction does not change from one dump to the
    next (its length may: weight decay shrinks what nothing else moves). gradient [D, F]: norms, or
    anything that is 0 only where all of it is; turned [D, F]: cosine distance to the dump before. A
    cosine distance that does not exist (NaN: first dump, or all weights 0) is no change; a gradient that
    does not exist keeps a filter alive. Raises ValueError for shapes that differ.
    """
    gradient, turned = np.asarray(gradient), np.asarray(turned)
    if gradient.shape != turned.shape or gradient.ndim != 2:
        raise ValueError(f"gradient {gradient.shape} and turned {turned.shape}: allowed: both [D, F]")
    # A turn found at dump i happened before it, so the filter may be dead from i on; after a gradient, i + 1.
    return np.maximum(_last(gradient != 0) + 1, _last(turned > tolerance))


def dead_filters(gradient, turned, least: int | None = None, tolerance: float = TOLERANCE) -> Table:
    """Filters that are dead over the last dumps, at least `least` of them: filter, since [m], by filter.

    since: the first dump of the unbroken dead stretch, 0 where the filter never changed at all. least: by
    default a quarter of the record, at least 3: a single batch may leave a living filter without a
    gradient. Other arguments and errors as in `dead_since`; ValueError for least below 1.
    """
    if least is not None and not least >= 1:
        raise ValueError(f"least={least!r}: allowed: a number of dumps >= 1")
    since = dead_since(gradient, turned, tolerance)
    needed = least_dead(len(gradient)) if least is None else int(least)
    dead = np.flatnonzero(len(gradient) - since >= needed)
    columns = {"filter": dead, "since": since[dead]}
    return Table(columns, dict.fromkeys(columns, ("filter",)), {"least": needed, "filters": len(since)})


def least_dead(count: int) -> int:
    """Over how many of `count` dumps, up to the end, a filter must be dead to be called so."""
    return max(3, count // 4)


def late_change(change, late: float = 0.25) -> np.ndarray:
    """Mean change of each filter over the last share `late` of the dumps, float64 [F]; NaN where unknown.

    change [D, F] by any of MEASURES; late in (0, 1], at least one dump. Raises ValueError outside.
    """
    if not 0 < late <= 1:
        raise ValueError(f"late={late!r}: allowed: a share with 0 < late <= 1")
    count = len(change)
    last = np.asarray(change[count - max(1, round(late * count)) if count else 0 :])
    known = np.isfinite(last)
    total = np.where(known, last, 0).sum(axis=0, dtype=float)
    number = known.sum(axis=0)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


def never_settling(change, late: float = 0.25, share: float = 0.01) -> Table:
    """The filters of the network that change most late in the training: the top `share` of late change.

    Returns filter, late_change, ratio (to the median of all filters' late changes, NaN where that is 0),
    the largest first, of equal ones the first filter; at least one filter, where any has changed. change
    [D, F] and late as in `late_change`. Raises ValueError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share!r}: allowed: 0 < share <= 1")
    values = late_change(change, late)
    known = np.isfinite(values)
    top = _top(values, max(1, int(np.ceil(share * known.sum()))))
    median = float(np.median(values[known])) if known.any() else np.nan
    ratio = values[top] / median if median > 0 else np.full(len(top), np.nan)
    columns = {"filter": top, "late_change": values[top], "ratio": ratio}
    attrs = {"median": median, "late": late, "share": share}
    return Table(columns, dict.fromkeys(columns, ("filter",)), attrs)


def pooled(mean, std, weights) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of all weights of several filters together, [D] each.

    mean, std [D, f] of each filter (std with ddof 0); weights [f] or a number: weights in each. The
    variance is that within filters plus that between their means. NaN where there are no filters.
    """
    mean, std = np.asarray(mean, float), np.asarray(std, float)
    share = np.broadcast_to(np.asarray(weights, float), mean.shape[1:])
    if not share.sum() > 0:
        return np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    share = share / share.sum()
    centre = mean @ share
    return centre, np.sqrt((std**2 + (mean - centre[:, None]) ** 2) @ share)


def _top(values, k):
    """Positions of the k largest positive values, largest first, of equal ones the first."""
    there = np.flatnonzero(values > 0)
    known = values[there]
    if len(there) > k:
        least = np.partition(known, len(known) - k)[len(known) - k]
        above = np.flatnonzero(known > least)
        equal = np.flatnonzero(known == least)[: k - len(above)]
        there, known = there[np.append(above, equal)], known[np.append(above, equal)]
    return there[np.lexsort((there, -known))]


def _last(condition):
    """The last row of each column at which a condition [D, F] holds, -1 where it never does."""
    count = len(condition)
    if not count:
        return np.full(condition.shape[1], -1)
    held = condition[::-1]
    return np.where(held.any(axis=0), count - 1 - held.argmax(axis=0), -1)
