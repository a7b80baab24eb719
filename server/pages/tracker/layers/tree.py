"""Which nodes of a network are on the screen: groups open to their parts, layers to their filters.

No Bokeh here. Positions of nodes are those of gdlab.analysis.dumps: depth first, in network order.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """A node on the screen; depth: 0 at the top; open: its parts, or a layer's filters, are shown too."""

    node: int
    depth: int
    open: bool


class Tree:
    """depth [N] of every node, and levels: how many there are (at least 1)."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.depth: list[int] = []
        for node in nodes:
            self.depth.append(self.depth[node.parent] + 1 if node.parent >= 0 else 0)
        self.levels = max(self.depth, default=0) + 1

    def rows(self, opened) -> list[Row]:
        """The nodes whose groups are all open, in network order; opened: a set of positions."""
        return [Row(i, self.depth[i], i in opened) for i in range(len(self.nodes)) if self.seen(i, opened)]

    def seen(self, node: int, opened) -> bool:
        """Whether every group that a node lies in is open."""
        return all(group in opened for group in self.above(node))

    def above(self, node: int) -> list[int]:
        """The groups that a node lies in, from the nearest to the outermost."""
        found = []
        while self.nodes[node].parent >= 0:
            node = self.nodes[node].parent
            found.append(node)
        return found

    def boxes(self, opened) -> list[int]:
        """The nodes drawn as boxes: layers, and groups that are closed."""
        return [r.node for r in self.rows(opened) if not (self.nodes[r.node].kind == "group" and r.open)]

    def place(self, node: int, opened) -> int:
        """The box a layer is drawn in: itself, or the outermost closed group around it."""
        closed = [group for group in self.above(node) if group not in opened]
        return closed[-1] if closed else node

    def links(self, edges, opened) -> list[tuple[int, int]]:
        """The network's edges between boxes, each once, in order; those within a closed group vanish."""
        pairs = ((self.place(a, opened), self.place(b, opened)) for a, b in edges)
        return list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))

    def inside(self, group: int) -> list[int]:
        """All nodes below a group, in network order."""
        out = []
        for i in range(group + 1, len(self.nodes)):
            if self.depth[i] <= self.depth[group]:
                break
            out.append(i)
        return out

    def groups(self) -> set[int]:
        """All groups."""
        return {i for i, node in enumerate(self.nodes) if node.kind == "group"}

    def short(self, node: int) -> str:
        """The last part of a node's name where the group above says the rest."""
        name, parent = self.nodes[node].name, self.nodes[node].parent
        if parent >= 0 and name.startswith(self.nodes[parent].name + "/"):
            return name[len(self.nodes[parent].name) + 1 :]
        return name
