"""Which filters changed when which classes did: the grid of layers and classes.

At a class's anomaly iterations the network's anomaly filters are looked at, layer by layer. The abstract
grid counts, per layer and class, the distinct filters. The full grid draws a line per anomaly iteration of a
class, a line per mini-set of a layer, and a rectangle where the mini-set belongs to the iteration's
filters. DeepTracker 2018, section 7.3 and Figure 5.
"""

from typing import NamedTuple

import numpy as np

from gdlab.analysis.minisets import mini_sets
from gdlab.records import Table


class Grid(NamedTuple):
    """What the full grid draws, from top to bottom and from left to right.

    layers [L'], classes [C']: the ones that show, ascending (a class or a layer number each)
    counts [L', C']: distinct anomaly filters of the layer at the class's anomaly iterations
    columns: a line per anomaly iteration of a class, by class: class, dump, place (in `classes`)
    parts: a line per mini-set, by layer: layer, place (in `layers`), size, appearances (its rectangles),
        dumps and classes (different ones among them), stop (its filters are filters[stop before : stop])
    filters: the anomaly filters by mini-set
    rectangles: part and column, the two lines that meet (positions in these tables), by part, then column
    minimum: appearances of every mini-set that shows; hidden: mini-sets that have fewer
    """

    layers: np.ndarray
    classes: np.ndarray
    counts: np.ndarray
    columns: Table
    parts: Table
    filters: np.ndarray
    rectangles: Table
    minimum: int
    hidden: int


class _Relation(NamedTuple):
    """Classes [C'], column lines (place of the class, dump position), mini-sets, and who meets whom."""

    classes: np.ndarray
    place: np.ndarray
    dump: np.ndarray
    at: np.ndarray  # the line's dump among the dumps that have filters, -1 where it has none
    parts: Table
    met: np.ndarray  # bool [parts, C']


def abstract_grid(anomalies: Table, filters: Table, first) -> Table:
    """Number of distinct anomaly filters per layer and class: layer [L'], class [C'], count [L', C'].

    anomalies: class and dump of each (both rules may give the same, which counts once); filters: dump and
    filter of each anomaly filter, of all these dumps at least; first [L + 1]: layer j has the filters
    first[j] to first[j + 1]. Rows are the layers with anomaly filters, columns the classes with
    anomalies. Raises ValueError for filters outside the layers.
    """
    relation = _relate(anomalies, filters, first)
    layers, counts = _counts(relation, np.arange(len(relation.parts.columns["layer"])))
    columns = {"layer": layers, "class": relation.classes, "count": counts}
    dims = {"layer": ("layer",), "class": ("class",), "count": ("layer", "class")}
    return Table(columns, dims, {})


def full_grid(anomalies: Table, filters: Table, first, minimum: int = 1, most: int | None = None) -> Grid:
    """The Grid of anomalies and anomaly filters; arguments as in `abstract_grid`.

    minimum: appearances that a mini-set needs to show; layers of which none does are left out. most:
    rectangles at most; where there are more, the minimum is raised as far as it takes. Raises ValueError
    for a minimum or most below 1.
    """
    for name, value in (("minimum", minimum), ("most", most)):
        if value is not None and (isinstance(value, bool) or not value >= 1):
            raise ValueError(f"{name}={value!r}: allowed: an integer >= 1")
    relation = _relate(anomalies, filters, first)
    parts, member = relation.parts.columns, relation.parts.attrs["member"]
    with_filters = relation.at >= 0
    lines = np.bincount(relation.at[with_filters], minlength=member.shape[1])
    appearances = (member @ lines.astype(float)).astype(np.int64)
    minimum = _minimum(appearances, int(minimum), most)
    kept = np.flatnonzero(appearances >= minimum)
    layers, counts = _counts(relation, kept)
    rows = {
        "layer": parts["layer"][kept],
        "place": np.searchsorted(layers, parts["layer"][kept]),
        "size": parts["size"][kept],
        "appearances": appearances[kept],
        "dumps": parts["appearances"][kept],
        "classes": relation.met[kept].sum(axis=1),
        "stop": np.cumsum(parts["size"][kept]),
    }
    columns = {
        "class": relation.classes[relation.place], "dump": relation.dump, "place": relation.place,
    }  # fmt: skip
    of_part = np.repeat(np.arange(len(parts["size"])), parts["size"])
    return Grid(
        layers,
        relation.classes,
        counts,
        Table(columns, dict.fromkeys(columns, ("column",)), {}),
        Table(rows, dict.fromkeys(rows, ("part",)), {}),
        relation.parts.attrs["filters"][(appearances >= minimum)[of_part]],
        _rectangles(member[kept], relation.at),
        minimum,
        len(appearances) - len(kept),
    )


def _relate(anomalies, filters, first):
    which, dump = (np.asarray(anomalies.columns[name], np.int64) for name in ("class", "dump"))
    base = dump.max(initial=0) + 1
    which, dump = np.divmod(np.unique(which * base + dump), base)
    classes, place = np.unique(which, return_inverse=True)
    wanted = np.isin(filters.columns["dump"], dump)
    parts = mini_sets(filters.columns["dump"][wanted], filters.columns["filter"][wanted], first)
    dumps, member = parts.attrs["dumps"], parts.attrs["member"]
    at = np.searchsorted(dumps, dump)
    at = np.where(np.isin(dump, dumps), at, -1)
    met = np.zeros((len(member), len(classes)), bool)
    # Dump by dump: a product of the two incidence matrices would multiply mostly zeros.
    order = np.argsort(at, kind="stable")
    begin = np.searchsorted(at[order], np.arange(len(dumps) + 1))
    for i, parts_there in enumerate(np.ascontiguousarray(member.T)):
        met[np.ix_(np.flatnonzero(parts_there), place[order[begin[i] : begin[i + 1]]])] = True
    return _Relation(classes, place, dump, at, parts, met)


def _counts(relation, kept):
    """(layers of the kept mini-sets, distinct filters [layers, C'] in them at each class's anomalies)."""
    columns = relation.parts.columns
    layers, place = np.unique(columns["layer"][kept], return_inverse=True)
    shape = len(layers), len(relation.classes)
    part, which = np.divmod(np.flatnonzero(relation.met[kept]), max(shape[1], 1))
    cell = place[part] * shape[1] + which
    counts = np.bincount(cell, columns["size"][kept][part], minlength=shape[0] * shape[1])
    return layers, counts.astype(np.int64).reshape(shape)


def _minimum(appearances, minimum, most):
    """The smallest number >= minimum such that mini-sets with as many have at most `most` rectangles."""
    if most is None or appearances[appearances >= minimum].sum() <= most:
        return minimum
    values, inverse = np.unique(appearances, return_inverse=True)
    total = np.bincount(inverse, appearances)[::-1].cumsum()[::-1]  # rectangles with as many or more
    fitting = np.append(values, values[-1] + 1)[np.append(total, 0) <= most]
    return int(max(minimum, fitting[0]))


def _rectangles(member, at):
    """Where the rows of member [parts, dumps] meet the column lines, whose dumps are `at` [columns]."""
    line = np.flatnonzero(at >= 0)
    line = line[np.argsort(at[line], kind="stable")]  # lines of one dump side by side
    count = np.bincount(at[line], minlength=member.shape[1])
    begin = np.cumsum(count) - count
    part, dump = np.nonzero(member)
    repeats = count[dump]
    stop = np.cumsum(repeats)
    offset = np.arange(stop[-1] if len(stop) else 0) - np.repeat(stop - repeats, repeats)
    column = line[np.repeat(begin[dump], repeats) + offset]
    # One number for both: it is sorted much faster than two keys are.
    part, column = np.divmod(np.sort(np.repeat(part, repeats) * len(at) + column), max(len(at), 1))
    columns = {"part": part, "column": column}
    return Table(columns, dict.fromkeys(columns, ("rectangle",)), {})
