"""Which lines of the grid the selection touches."""

from typing import NamedTuple

import numpy as np

from server.pages.tracker.correlation.layout import parts_with


class Marked(NamedTuple):
    """rows, columns: positions of the grid's lines; dumps: positions of dumps."""

    rows: np.ndarray
    columns: np.ndarray
    dumps: tuple


def marked(tracker, abstract: bool) -> Marked:
    """What of `tracker.grid()` is selected; abstract: its lines are layers and classes."""
    grid, chosen = tracker.grid(), tracker.selection
    layers = np.isin(tracker.evidence.layers[grid.layers], chosen.layers)
    rows = parts_with(grid, chosen.filters)
    if abstract:
        places = np.unique(grid.parts.columns["place"][rows])
        rows = np.flatnonzero(layers | np.isin(np.arange(len(grid.layers)), places))
        columns = np.flatnonzero(np.isin(grid.classes, chosen.classes))
        return Marked(rows, columns, chosen.dumps)
    if not len(rows):
        rows = np.flatnonzero(layers[grid.parts.columns["place"]])
    lines = grid.columns.columns
    of_class = np.isin(lines["class"], chosen.classes)
    at_dump = of_class & np.isin(lines["dump"], chosen.dumps)
    columns = np.flatnonzero(at_dump if at_dump.any() else of_class)
    return Marked(rows, columns, chosen.dumps)
