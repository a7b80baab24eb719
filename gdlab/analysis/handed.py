"""What a loop of somebody's own has handed over of its training, told from the run folder without JAX.

Rows of a record are counted from 0, as the iterations of gdlab's own runs; loops may leave iterations out. So
theta_k are here the parameters before the iteration of row k, and a moment is the step of a row. What was
kept between two rows is a point of the path alone: the parameters after k recorded iterations.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from gdlab.analysis.dumps import has_dumps
from gdlab.store import StoreError, functions, kept
from gdlab.store.effects import is_of_recorder
from gdlab.store.tables import iterations


class Handed(NamedTuple):
    """functions: names of those that the run carries; points, moments, states: {k: number of the file}, in
    ascending order, of the theta_k, steps and states that are kept; after: {k + 1: number of the file} of the
    moments that end with theta_{k+1}; path: as points, with those between two rows; whole: whether no
    iteration was left out; parts: of the examples, "train", "test";
    labelled: whether these have labels; dumps: whether there are any; notes: sentences about what could not
    be carried.
    """

    functions: frozenset[str]
    points: Mapping[int, int]
    moments: Mapping[int, int]
    states: Mapping[int, int]
    parts: tuple[str, ...]
    labelled: bool
    dumps: bool
    notes: tuple[str, ...] = ()
    after: Mapping[int, int] = MappingProxyType({})
    path: Mapping[int, int] = MappingProxyType({})
    whole: bool = True

    @property
    def known(self) -> np.ndarray:
        """All k whose theta_k is kept, int64 [n], ascending."""
        return np.unique(np.array([*self.points, *self.moments, *self.after], np.int64))

    @property
    def exact(self) -> bool:
        """Whether every iteration between can be run again."""
        return self.whole and self.steps

    @property
    def steps(self) -> bool:
        """Whether iterations can be run again, as far as none between was left out."""
        return bool(self.states) and {"step", "make_batch"} <= self.functions

    def nearest(self, iteration: int) -> int:
        """The k nearest to it whose parameters can be had; it itself where every one can, or none."""
        known = self.known
        if not len(known) or (self.exact and iteration >= min(self.states)):
            return iteration
        return int(known[np.argmin(np.abs(known - iteration))])


_NONE: Mapping[int, int] = MappingProxyType({})
NOTHING = Handed(frozenset(), _NONE, _NONE, _NONE, (), False, False)


def of(run) -> Handed:
    """Of a gdlab.store Run; NOTHING where gdlab has trained it itself. What is damaged counts as not there:
    who
    asks for it is told."""
    if not is_of_recorder(run.config):
        return NOTHING
    carried, notes = _functions(run.path)
    rows = iterations(run)
    points, moments, states = (_names(run.path, kind) for kind in (kept.POINTS, kept.MOMENTS, kept.STATES))
    parts = tuple(_names(run.path, kept.EXAMPLES))
    steps = _steps(moments, rows)
    numbers = _at(points, rows), steps, _at(states, rows)
    path, after = _passed(points, rows), {k + 1: n for k, n in steps.items() if _is_at(k + 1, n + 1, rows)}
    whole = not len(rows) or int(rows[-1] - rows[0]) == len(rows) - 1
    labelled = _labelled(run.path, parts)
    return Handed(carried, *numbers, parts, labelled, has_dumps(run), notes, after, path, whole)


def _is_at(k, n, rows):
    """Whether what is before iteration n is before row k, or the end of the record."""
    return int(rows[k]) == n if k < len(rows) else n == (int(rows[-1]) + 1 if len(rows) else 0)


def _at(numbers, rows):
    """{row of iteration n: n}, with the end of the record."""
    return {k: n for k, n in _passed(numbers, rows).items() if _is_at(k, n, rows)}


def _passed(numbers, rows):
    """{how many rows are of iterations before n: n}, of those that do not lie behind the record."""
    there = [n for n in numbers if n <= (rows[-1] + 1 if len(rows) else 0)]
    return dict(zip(np.searchsorted(rows, there).tolist(), there, strict=True))


def _steps(numbers, rows):
    """{row of iteration n: n}, of those that have one."""
    return {k: n for k, n in _at(numbers, rows).items() if k < len(rows)}


def _functions(path):
    try:
        document = functions.read(path)
    except StoreError:
        return frozenset(), ()
    return frozenset(document.functions), document.notes


def _names(path, kind):
    try:
        return kept.names(path, kind)
    except (StoreError, OSError):
        return []


def _labelled(path, parts):
    if not parts:
        return False
    try:
        leaves = kept.shapes(path, kept.EXAMPLES, parts[-1])[0].get("examples", [])
    except (StoreError, OSError):
        return False
    return {("x",), ("y",)} <= {leaf[0] for leaf in leaves}
