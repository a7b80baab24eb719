"""Mini-sets: the fewest parts of which every given set is a union.

Two elements belong to the same part exactly when they are in the same sets, so elements are grouped by
the sets they are in; nothing coarser can work, since a part is never cut. The result is that of the
paper's Algorithm 1, which intersects every new set with all parts so far.
DeepTracker 2018, section 7.3.
"""

from collections.abc import Hashable, Iterable

import numpy as np

from gdlab.records import Table


def minimum_set_partition(sets: Iterable[Iterable[Hashable]]) -> list[frozenset]:
    """The minimum partition of the union of `sets` such that each of them is a union of parts.

    The parts are disjoint and not empty, ordered by the positions of the sets they belong to: (0), (0, 1),
    (0, 2), (1), and so on. No sets, or only empty ones, give no parts.
    """
    belongs: dict[Hashable, list[int]] = {}
    for number, members in enumerate(sets):
        for member in set(members):
            belongs.setdefault(member, []).append(number)
    parts: dict[tuple[int, ...], list[Hashable]] = {}
    for member, numbers in belongs.items():
        parts.setdefault(tuple(numbers), []).append(member)
    return [frozenset(parts[numbers]) for numbers in sorted(parts)]


def mini_sets(dump, filters, first) -> Table:
    """The mini-sets of every layer at once.

    dump, filters [m]: the filters that belong to each dump's set, in any order, each pair once; first
    [L + 1]: layer j has the filters first[j] to first[j + 1]. Returns one row per mini-set, by layer, then
    by its lowest filter: layer, size, appearances (how many dumps it belongs to), stop (its filters are
    filters[stop of the one before : stop]). attrs: filters, all of them by mini-set, ascending in each;
    dumps, the different ones, ascending; member, bool [rows, dumps]. Raises ValueError for filters
    outside the layers.
    """
    dump, filters, first = (np.asarray(values, np.int64) for values in (dump, filters, first))
    if dump.shape != filters.shape or dump.ndim != 1:
        raise ValueError(f"dump {dump.shape} and filters {filters.shape}: allowed: equally many")
    if (np.diff(first) < 0).any() or len(first) < 2:
        raise ValueError(f"first={first.tolist()}: allowed: where each layer begins, ascending, and the end")
    if len(filters) and not first[0] <= filters.min() <= filters.max() < first[-1]:
        wrong = filters.max() if filters.max() >= first[-1] else filters.min()
        raise ValueError(f"filter {wrong}: allowed: {first[0]} to {first[-1] - 1}")
    dumps, column = np.unique(dump, return_inverse=True)
    names, row = np.unique(filters, return_inverse=True)
    belongs = np.zeros((len(names), len(dumps)), bool)
    belongs[row, column] = True
    layer = np.searchsorted(first, names, side="right") - 1
    part, leader = _same(layer, belongs)
    order = np.argsort(part, kind="stable")
    member = belongs[leader]
    sizes = np.bincount(part, minlength=len(leader))
    columns = {
        "layer": layer[leader],
        "size": sizes,
        "appearances": member.sum(axis=1),
        "stop": np.cumsum(sizes),
    }
    attrs = {"filters": names[order], "dumps": dumps, "member": member}
    return Table(columns, dict.fromkeys(columns, ("part",)), attrs)


def _same(layer, belongs):
    """(part [n] of each filter, its first filter [parts]): the same layer and row of `belongs` [n, dumps].

    Parts are numbered as their first filters come.
    """
    if not len(layer):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    bits = np.packbits(belongs, axis=1)
    rows = np.concatenate([layer.astype("<i8")[:, None].view(np.uint8), bits], axis=1)
    # Rows as strings of bytes: np.unique compares them whole, which is much faster than column by column.
    keys = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1]))).reshape(-1)
    _, leader, part = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(leader))
    return rank[part.reshape(-1)], np.sort(leader)
