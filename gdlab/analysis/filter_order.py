"""The order of a layer's filters that puts alike ones side by side, however they came.

Average linkage on 1 - |r|. A dendrogram leaves open which of two merged clusters comes first: the larger one
does; of equally large ones that with the lower merge height, then that with the higher mean |r| to all
filters. Hamid et al. 2019, section 4.2, whose rule is the first of these alone.

Which clusters are merged is unique too: of pairs at equal distances the larger together are merged first,
then those with the higher mean |r|. What is equal even then makes no difference where the filters can be
exchanged, as constant ones can; any other tie is reported. All sums are of integers, so that no rounding
depends on the order either.
"""

from typing import NamedTuple

import numpy as np

_UNIT = 1 << 30  # |r| is taken in steps of 1 / _UNIT, finer than float32 has it


class Order(NamedTuple):
    """order int64 [F]: filters from first to last, so that r[order][:, order] is the ordered matrix.

    linkage [F - 1, 4]: as scipy.cluster.hierarchy has it: the two clusters (the first one comes first), their
        distance in [0, 1], how many filters they have together
    icoord, dcoord [F - 1, 4]: the dendrogram's brackets, along the ordered filters (the i-th is at i + 0.5)
        and in height
    ties int64: rows of the linkage whose clusters, or their order, depended on how the filters came
    """

    order: np.ndarray
    linkage: np.ndarray
    icoord: np.ndarray
    dcoord: np.ndarray
    ties: np.ndarray


def order_filters(r) -> Order:
    """The Order of filters with the correlations r [F, F], signed or not.

    Raises ValueError where r is not square, is empty, or has values that are not finite.
    """
    r = np.asarray(r, float)
    if r.ndim != 2 or r.shape[0] != r.shape[1] or not len(r):
        raise ValueError(f"correlations of shape {r.shape}: allowed: [F, F], F >= 1")
    if not np.isfinite(r).all():
        raise ValueError("correlations that are not finite cannot be ordered: the run has diverged here")
    magnitude = np.minimum(np.abs(r), 1)
    return _Clustering(np.round((magnitude + magnitude.T) / 2 * _UNIT).astype(np.int64)).run()


def ordered(r) -> np.ndarray:
    """|r| [F, F] in the order of `order_filters`."""
    order = order_filters(r).order
    return np.abs(np.asarray(r))[np.ix_(order, order)]


class _Clustering:
    """Agglomerates F filters, |r| = `units` / _UNIT, int64 [F, F]. Clusters F, F + 1, ... are merged ones.

    Row i of `total` holds cluster at[i]: sums of |r| between its filters and those of the others.
    """

    def __init__(self, units):
        self.count = len(units)
        self.members = [[i] for i in range(self.count)]
        self.height = [0.0] * self.count
        self.to_all = [int(row.sum()) for row in units]
        self.kind = _exchangeable(units)  # clusters of one kind can be exchanged
        self.at = list(range(self.count))
        self.total, self.size = units.copy(), np.ones(self.count, np.int64)
        self.similarity = units / _UNIT  # means of |r|, -1 for a row that is merged, or with itself
        np.fill_diagonal(self.similarity, -1)
        self.linkage, self.ties = np.empty((self.count - 1, 4)), set()

    def run(self):
        for row in range(self.count - 1):
            i, j = self._nearest(row)
            first, second = self._arranged(self.at[i], self.at[j], row)
            height = 1 - self.similarity[i, j]
            self.members.append(self.members[first] + self.members[second])
            self.linkage[row] = first, second, height, len(self.members[-1])
            self.height.append(height)
            self.to_all.append(self.to_all[first] + self.to_all[second])
            self.kind.append(self.count + row)
            self._merge(i, j)
            self.at[i] = self.count + row
        order = np.array(self.members[-1], np.int64)
        icoord, dcoord = _brackets(self.linkage)
        return Order(order, self.linkage, icoord, dcoord, np.array(sorted(self.ties), np.int64))

    def _merge(self, i, j):
        self.total[i] += self.total[j]
        self.total[:, i] += self.total[:, j]
        self.size[i] += self.size[j]
        mean = self.total[i] / (self.size[i] * self.size * _UNIT)
        self.similarity[j], self.similarity[:, j] = -1, -1
        mean = np.where(self.similarity[i] < 0, -1, mean)
        self.similarity[i], self.similarity[:, i] = mean, mean

    def _nearest(self, row):
        """Rows of the two clusters that are merged next."""
        i, j = divmod(int(self.similarity.argmax()), self.count)
        equal = self.similarity == self.similarity[i, j]
        if np.count_nonzero(equal) == 2:
            return i, j
        tied = np.argwhere(np.triu(equal))
        # One pair of each two kinds will do: the others could be exchanged for it.
        kinds = np.sort(np.array(self.kind)[np.array(self.at)][tied], axis=1)
        pairs = tied[np.unique(kinds, axis=0, return_index=True)[1]].tolist()
        keys = [self._key([self.at[i] for i in pair]) for pair in pairs]
        best = [pair for pair, key in zip(pairs, keys, strict=True) if key == max(keys)]
        if len(best) > 1 and not _apart(best, tied.tolist()):
            self.ties.add(row)
        return min(best)

    def _key(self, clusters):
        """By which one of equally near pairs is chosen: filters, those of the larger one, mean |r| to all."""
        sizes = [len(self.members[cluster]) for cluster in clusters]
        return sum(sizes), max(sizes), sum(self.to_all[cluster] for cluster in clusters) / sum(sizes)

    def _arranged(self, a, b, row):
        """The two clusters, the one that comes first in front."""
        keys = [
            (-len(self.members[c]), self.height[c], -self.to_all[c] / len(self.members[c])) for c in (a, b)
        ]
        if keys[0] == keys[1] and self.kind[a] != self.kind[b]:
            self.ties.add(row)
        in_turn = self.members[a][0] < self.members[b][0] if keys[0] == keys[1] else keys[0] < keys[1]
        return (a, b) if in_turn else (b, a)


def _apart(best, tied):
    """Whether the best of the tied pairs share no cluster, not even through other tied pairs.

    All of them are merged then, in whatever order.
    """
    group: dict[int, int] = {}

    def root(i):
        while group.setdefault(i, i) != i:
            i = group[i]
        return i

    for i, j in tied:
        group[root(i)] = root(j)
    return len({root(i) for i, _ in best}) == len(best)


def _exchangeable(units):
    """A number for each filter, equal for those that can be exchanged without changing the matrix."""
    kind = list(range(len(units)))
    _, group, size = np.unique(np.sort(units, axis=1), axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    for number in np.flatnonzero(size > 1):
        alike = np.flatnonzero(group == number)
        for position, j in enumerate(alike):
            for i in alike[:position]:
                if kind[i] == i and _same(units, i, j):
                    kind[j] = int(i)
                    break
    return kind


def _same(units, i, j):
    others = np.ones(len(units), bool)
    others[[i, j]] = False
    alike = units[i, i] == units[j, j]
    return alike and np.array_equal(units[i, others], units[j, others])


def _brackets(linkage):
    """icoord, dcoord [F - 1, 4] of a linkage whose first clusters come first."""
    count = len(linkage) + 1
    place, height = np.empty(2 * count - 1), np.zeros(2 * count - 1)
    size = np.ones(2 * count - 1, int)
    size[count:] = linkage[:, 3]
    start = np.zeros(2 * count - 1, int)  # leaves in front of a cluster, from the root down
    for row in range(count - 2, -1, -1):
        first, second = linkage[row, :2].astype(int)
        start[first] = start[count + row]
        start[second] = start[first] + size[first]
    place[:count] = start[:count] + 0.5
    icoord, dcoord = np.empty((2, count - 1, 4))
    for row, (first, second, top, _) in enumerate(linkage):
        i, j = int(first), int(second)
        icoord[row] = place[i], place[i], place[j], place[j]
        dcoord[row] = height[i], top, top, height[j]
        place[count + row], height[count + row] = (place[i] + place[j]) / 2, top
    return icoord, dcoord
