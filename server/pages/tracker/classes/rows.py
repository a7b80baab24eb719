"""Which rows the chart of error rates has: clusters, the classes of those that are open, their images.

Rows are measured in pixels from the top of the list, so that a list of any length can be scrolled and only
what is in the frame is sent. The images of a class are one row as high as all of them.
"""

from typing import NamedTuple

import numpy as np

CLUSTER, CLASS, IMAGES = range(3)
HEIGHTS = {CLUSTER: 26.0, CLASS: 18.0}  # px; with the gap below the stripe
GAPS = {CLUSTER: 4.0, CLASS: 2.0, IMAGES: 6.0}
LEGEND = 112.0  # px, the least height of a class's images: their legend stands beside them
SORTS = ("error", "name", "anomalies")


class Layout(NamedTuple):
    """kind, item [n]: what each row shows, a cluster or a class (CLUSTER, CLASS, IMAGES); top, height [n]:
    px, without the gap; total: px. The cluster after the last stands for classes without images."""

    kind: np.ndarray
    item: np.ndarray
    top: np.ndarray
    height: np.ndarray
    total: float

    def at(self, depth: float) -> int | None:
        """The row at a depth, its gap included; None beyond the list."""
        if not 0 <= depth < self.total:
            return None
        return int(np.searchsorted(self.top, depth, side="right")) - 1

    def within(self, first: float, last: float) -> range:
        """The rows that show between two depths."""
        start = int(np.searchsorted(self.top + self.height, first, side="right"))
        return range(start, max(start, int(np.searchsorted(self.top, last))))

    def of(self, kind: int, item: int) -> int | None:
        """The row that shows an item; None where it is folded away."""
        found = np.flatnonzero((self.kind == kind) & (self.item == item))
        return int(found[0]) if len(found) else None


EMPTY = Layout(np.empty(0, int), np.empty(0, int), np.empty(0), np.empty(0), 0.0)


def arranged(clusters, rank, kept, sizes, *, opened, unfolded, pixel: float) -> Layout:
    """The rows in their order.

    clusters: gdlab.analysis.class_curves.Clusters; rank [C]: the order of classes within their cluster;
    kept bool [C]: classes that are shown, and clusters that have any; sizes [C]: images of each class;
    opened: clusters whose classes show; unfolded: classes whose images do; pixel: px per image.
    """
    count = len(clusters.sizes)
    cluster = np.where(clusters.cluster < 0, count, clusters.cluster)
    order = np.lexsort((rank, cluster))
    order = order[np.asarray(kept, bool)[order]]
    rows: list[tuple[int, int, float]] = []
    for number in range(count + 1):
        members = order[cluster[order] == number]
        if not len(members):
            continue
        rows.append((CLUSTER, number, HEIGHTS[CLUSTER]))
        for member in members if number in opened else ():
            rows.append((CLASS, int(member), HEIGHTS[CLASS]))
            if member in unfolded and sizes[member]:
                rows.append((IMAGES, int(member), max(sizes[member] * pixel, LEGEND) + GAPS[IMAGES]))
    kind, item, whole = np.array(rows, float).reshape(-1, 3).T
    bottom = np.cumsum(whole)
    gap = np.array([GAPS[int(one)] for one in kind])
    total = float(bottom[-1]) if len(bottom) else 0.0
    return Layout(kind.astype(int), item.astype(int), bottom - whole, whole - gap, total)


def ranks(sort: str, error, names, score) -> np.ndarray:
    """Place of each class, int [C]: by mean error rate, by name (numbers by value), or most anomalies first.

    error [C] (NaN last), names, score [C]; sort: one of SORTS, else ValueError.
    """
    if sort not in SORTS:
        raise ValueError(f"sort={sort!r}: allowed: {', '.join(SORTS)}")
    if sort == "name":
        order = np.array(sorted(range(len(names)), key=lambda i: (*_natural(names[i]), i)), int)
    else:
        first = -np.asarray(score) if sort == "anomalies" else np.zeros(len(names))
        order = np.lexsort((np.asarray(error), first))
    place = np.empty(len(names), int)
    place[order] = np.arange(len(names))
    return place


def _natural(name):
    return (0, float(name), "") if name.isdecimal() else (1, 0.0, name.casefold())
