"""What a run's dumps hold: predicted labels of every validation image, statistics of layers and filters.

A dump is taken of theta_k every so many iterations. Images are sorted by their true class, filters by
their layer, so that a class, a layer and a group of layers are each one range of columns, and every
question that a view asks is one slice of a memory-mapped array. Liu et al. 2018 (DeepTracker), section 6.
"""

from typing import NamedTuple

import numpy as np

from gdlab.records import DUMP_COLUMNS, DUMP_STATISTICS

BLOCK_BYTES = 1 << 20  # of predictions compared at once: they stay in the cache of a core
BLOCK_ROWS = 8  # of statistics read at once, where only some filters are wanted
DERIVED = ("sum", "variance", "norm")  # of weights and of gradients, from what is recorded
RATIOS = {"update_ratio": "update_norm", "change_ratio": "change_norm"}  # over the norm of the weights


class Node(NamedTuple):
    """One layer, or a group of layers, of a network.

    parent          position of the group it lies in, -1 at the top
    first, filters  its filters are first ... first + filters - 1; a group has those of its layers
    weights         per filter of a layer; in all for a group
    kind            "conv", "dense" or "group"
    """

    name: str
    parent: int
    first: int
    filters: int
    weights: int
    kind: str

    @property
    def size(self):
        """Weights in all."""
        return self.weights if self.kind == "group" else self.weights * self.filters


def has_dumps(run) -> bool:
    """Whether a run has recorded at least one dump."""
    return "dump/scalars" in run.arrays and run.rows("dump/scalars") > 0


def open_dumps(run) -> "Dumps":
    """The Dumps of a gdlab.store Run. ValueError: it has none, or its network is described wrongly."""
    if not has_dumps(run):
        raise ValueError(f"run '{run.name}' has no dumps; train it with record=dumps")
    return Dumps(run)


class Dumps:
    """The dumps of a run as of its last commit seen: D dumps, N nodes, F filters, C classes.

    run; count D; scalars {column: [D]} by DUMP_COLUMNS; iteration int64 [D], k of each dump
    labels    uint16 [images], ascending: the true class; empty where predictions are not recorded
    images    int32 [images]: positions in the dataset's test part
    starts    int64 [C + 1]: the images of class c are starts[c] ... starts[c + 1] - 1
    classes   names of the classes;  nodes  tuple of Node;  edges  pairs of nodes, along the data's flow
    """

    def __init__(self, run):
        self.run = run
        self.count = run.rows("dump/scalars")
        rows = np.array(run.array("dump/scalars", 0, self.count))
        self.scalars = {name: rows[:, i] for i, name in enumerate(DUMP_COLUMNS)}
        self.iteration = self.scalars["iteration"].astype(np.int64)
        self.classes = tuple(str(name) for name in run.identity.get("classes", ()))
        self.labels, self.images = self._row("dump/label", np.uint16), self._row("dump/image", np.int32)
        _check_labels(self.labels, len(self.classes))
        self.starts = np.searchsorted(self.labels, np.arange(len(self.classes) + 1))
        self.nodes, self.edges = _network(run.identity.get("network") or {})
        self._right = np.empty((0, len(self.labels)), bool)

    @property
    def behind(self) -> bool:
        """Whether zeros of activations were counted behind the nonlinearity, over images of all classes; in
        runs of before `record.version` 2 they were taken before it, of images of the first classes."""
        record = self.run.config.get("record")
        return isinstance(record, dict) and record.get("version", 1) != 1

    def refresh(self):
        """The Dumps with what was recorded since; this one where there is nothing new."""
        generation = self.run.generation
        self.run.refresh()
        if self.run.rows("dump/scalars") == self.count and self.run.generation == generation:
            return self
        newer = Dumps(self.run)
        if self.run.generation == generation:
            newer._right = self._right  # dumps that were taken never change within a generation
        return newer

    def stats(self) -> tuple[str, ...]:
        """Names of the statistics that are recorded of filters."""
        return tuple(name for name in DUMP_STATISTICS if f"dump/filter/{name}" in self.run.arrays)

    def predicted(self, start=None, stop=None) -> np.ndarray:
        """Predicted label of every image in the dumps [start, stop), uint16 [d, images]."""
        start, stop, _ = slice(start, stop).indices(self.count)
        return self.run.array("dump/predicted", start, max(start, stop))

    def history(self, first, last) -> np.ndarray:
        """Predicted labels of the images first ... last - 1 over all dumps, uint16 [D, last - first]."""
        return np.ascontiguousarray(self.predicted()[:, first:last])

    def right(self) -> np.ndarray:
        """Which predictions are right, bool [D, images]; kept, so that only new dumps are compared."""
        known = len(self._right)
        if known < self.count:
            out = np.empty((self.count, len(self.labels)), bool)
            out[:known] = self._right
            block = max(1, BLOCK_BYTES // max(1, 2 * len(self.labels)))
            for start in range(known, self.count, block):
                part = self.predicted(start, start + block)
                np.equal(part, self.labels, out=out[start : start + len(part)])
            self._right = out
        return self._right

    def layer(self, stat) -> np.ndarray:
        """A statistic of every node, float [D, N]: one of DUMP_STATISTICS, or derived ("weight_sum", ...)."""
        sizes = np.array([node.size for node in self.nodes], float)
        return self._statistic("layer", stat, slice(None), sizes)

    def filter(self, stat, node=None, which=None) -> np.ndarray:
        """A statistic of the filters of a node (its position; None: of all), or of the filters `which`
        (positions in the network, in any order), float [D, filters].

        Also "weight_sum", "weight_variance", "weight_norm", the same of gradients, "update_ratio" and
        "change_ratio" (change_norm over the norm). UnknownName where it was not recorded.
        """
        part: slice | np.ndarray = slice(None)
        if node is not None:
            chosen = self.nodes[node]
            part = slice(chosen.first, chosen.first + chosen.filters)
        if which is not None:
            part = np.asarray(which, np.int64)
        return self._statistic("filter", stat, part, self._weights_per_filter()[part])

    def activation(self, stat) -> dict[str, np.ndarray]:
        """{layer: [D]} of a statistic of the activations; empty where they are not recorded."""
        name = f"dump/activation/{stat}"
        if name not in self.run.arrays:
            return {}
        rows = np.array(self.run.array(name, 0, self.count))
        return {layer: rows[:, i] for i, layer in enumerate(self.run.columns(name))}

    def layers(self) -> list[int]:
        """Positions of the nodes that are layers, in network order."""
        return [i for i, node in enumerate(self.nodes) if node.kind != "group"]

    def children(self, node) -> list[int]:
        """Positions of the nodes directly within a group; of the top for -1."""
        return [i for i, other in enumerate(self.nodes) if other.parent == node]

    def layer_of_filter(self) -> np.ndarray:
        """The layer's node of every filter, int32 [F]."""
        out = np.zeros(sum(self.nodes[i].filters for i in self.layers()), np.int32)
        for i in self.layers():
            out[self.nodes[i].first : self.nodes[i].first + self.nodes[i].filters] = i
        return out

    def _weights_per_filter(self):
        layers = [self.nodes[i] for i in self.layers()]
        return np.repeat([float(node.weights) for node in layers], [node.filters for node in layers])

    def _statistic(self, of, stat, part, sizes):
        def read(name):
            return self._columns(f"dump/{of}/{name}", part)

        kind, _, what = stat.partition("_")
        if stat in RATIOS:
            norm = self._statistic(of, "weight_norm", part, sizes)
            moved = read(RATIOS[stat])
            return np.divide(moved, norm, out=np.full(norm.shape, np.nan), where=norm > 0)
        if kind in ("weight", "gradient") and what in DERIVED:
            mean, deviation = (read(f"{kind}_{name}").astype(float) for name in ("mean", "std"))
            if what == "sum":
                return mean * sizes
            return deviation**2 if what == "variance" else np.sqrt(sizes * (mean**2 + deviation**2))
        return read(stat)

    def _columns(self, name, part):
        """Some columns of all rows; in small blocks of rows, since one that spans files is a copy of all."""
        if isinstance(part, slice) and part == slice(None):
            return np.asarray(self.run.array(name, 0, self.count))
        starts = range(0, self.count, BLOCK_ROWS)
        return np.concatenate(
            [self.run.array(name, a, min(a + BLOCK_ROWS, self.count))[:, part] for a in starts]
        )

    def _row(self, name, dtype):
        found = name in self.run.arrays and self.run.rows(name)
        return np.array(self.run.array(name, 0, 1)[0]) if found else np.empty(0, dtype)


def _check_labels(labels, classes):
    if (np.diff(labels.astype(int)) < 0).any() or (len(labels) and labels[-1] >= classes):
        raise ValueError(f"the dumped labels are not ascending numbers below {classes}, the classes")


def _network(document):
    try:
        nodes = tuple(Node(*(node[field] for field in Node._fields)) for node in document.get("nodes", ()))
        edges = tuple((int(a), int(b)) for a, b in document.get("edges", ()))
        inside = all(-1 <= node.parent < i for i, node in enumerate(nodes))
        linked = all(0 <= end < len(nodes) for edge in edges for end in edge)
        sane = all(min(node.first, node.filters, node.weights) >= 0 for node in nodes)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the run's network is described wrongly: {error!r}") from error
    if not (inside and linked and sane):
        raise ValueError("the run's network is described wrongly: a node or an edge points nowhere")
    return nodes, edges
