"""A recorded loop run again by its own step, from the nearest state that was kept, and held against the
record.

The step runs in the form in which the loop ran it: alone, or so many times in a scan, with its state donated
or not. The batches are those of the loop's own function of the iteration, or those that were kept. What the
step says of an iteration is compared with what was recorded of it, number by number, and where parameters or
a state were kept, these bit by bit; a difference is reported with its size.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import store
from gdlab.execution.batches import Batches
from gdlab.execution.comparisons import gaps
from gdlab.execution.holding import Holding
from gdlab.store import kept
from gdlab.store.functions import OBSERVED

LAYERS = "layer/"
MOST_SCAN = 1 << 16
LEFT_OUT = "iterations were left out behind {:,}: what lies between them is not recorded"


class Form(NamedTuple):
    """In which form a loop ran its step. scan: so many at once; donated: whether it gave its state away;
    numbers,
    quantities, layers: what its Observation consists of."""

    scan: int
    donated: bool
    numbers: tuple[str, ...]
    quantities: tuple[str, ...]
    layers: int


class Again(NamedTuple):
    """Iteration k: the leaves of the parameters before and after it."""

    row: int
    before: list[Any]
    after: list[Any]


class Stepping:
    """Runs a recorded loop again. compare(row, gaps [n]): is told how rows compared with the record, NaN
    where there is nothing to compare."""

    def __init__(self, run, functions, there, number: Callable[[int], int], compare: Callable):
        """there: the `gdlab.analysis.handed.Handed` of the run; number: of a row, the iteration as the loop
        counts."""
        self._run, self._functions, self._states = run, functions, dict(there.states)
        self._batches = Batches(run.path, functions, there)
        self._holding = Holding(run.path, there, functions.trees)
        self._observed = _observed(functions.trees.get("stepped", ()))
        self._number, self._compare = number, compare
        self._columns = run.columns("scalars")
        self._programs: dict[tuple, Callable] = {}
        self._form = _form(run)
        self._last: tuple | None = (
            None  # (row, leaves of the state before it, places of the parameters in it)
        )

    def can(self, row: int) -> bool:
        """Whether iteration `row`, or the parameters before it, can be reached."""
        at = max((k for k in self._states if k <= row), default=None)
        if at is None or at == row:
            return at is not None
        if not self._batches.cover(at, row):
            return False
        return self._follows(row) and self._number(row - 1) - self._number(at) == row - 1 - at

    def over(self, start: int, stop: int) -> bool:
        """Whether the iterations of [start, stop) can be run again."""
        return self.can(start) and self.can(stop - 1) and self._batches.cover(stop - 1, stop)

    def _follows(self, row):
        """Whether the step of the row before leads to `row`: no iteration between was left out."""
        return row >= self._run.rows("scalars") or self._number(row) == self._number(row - 1) + 1

    def steps(
        self, start: int, stop: int, progress: Callable[[float, str], object] = lambda fraction, text: None
    ) -> Iterator[Again]:
        """An Again for each row of [start, stop), in order, as far as it is recorded."""
        row, state, places = self._from(start)
        begun = row
        while row < min(stop, self._run.rows("scalars")):
            if row < start:
                progress((row - begun) / (start - begun), f"running again to iteration {start:,}")
            length = min(self._form.scan, self._run.rows("scalars") - row)
            whole = self._chunk(row, state, places, length)
            state = whole[-1]
            for index, (before, after) in enumerate(zip(whole[0], whole[1], strict=True)):
                if start <= row + index < stop:
                    yield Again(row + index, before, after)
            row += length
            self._last = row, state, places
            if not self._follows(row):
                self._last = None
                if row < stop and row not in self._states:
                    raise ValueError(LEFT_OUT.format(self._number(row - 1)))
                if row < stop:
                    row, state, places = self._from(row)

    def params(self, row: int) -> list[Any]:
        """The leaves of theta before row."""
        at, state, places = self._from(row)
        if at == row:
            return [jnp.copy(state[index]) for index in places]
        found = list(self.steps(row - 1, row))
        if not found:
            raise ValueError(f"iteration {row:,} is not recorded")
        if not self._follows(row):
            raise ValueError(LEFT_OUT.format(self._number(row - 1)))
        return found[-1].after

    def _from(self, row):
        """(row, leaves, places of the parameters) of the latest state at or before `row` that is at hand or
        kept."""
        at = max((k for k in self._states if k <= row), default=None)
        if at is None:
            raise ValueError(f"no state at or before iteration {row:,} was kept")
        if self._last is not None and at <= self._last[0] <= row:
            return self._last
        wanted = self._functions.trees["state"]
        found = kept.read(self._run.path, kept.STATES, self._states[at], {"state": wanted})
        leaves = found.trees.get("state", [])
        where = self._run.path / kept.STATES / str(self._states[at])
        if len(leaves) != len(wanted):
            raise store.DamagedRun("it has no state that the step of the run takes", where)
        places = _places(found.facts, len(leaves), where)
        self._last = at, [jnp.asarray(leaf.array) for leaf in leaves], places
        return self._last

    def _chunk(self, row, state, places, length):
        """([before], [after], state) of `length` rows from `row` on, compared with the record."""
        first = self._number(row)
        if row + length <= self._run.rows("scalars") and self._number(row + length - 1) != first + length - 1:
            raise ValueError(LEFT_OUT.format(first))
        batches = [self._batches.of(row + index, first + index) for index in range(length)]
        theta = [jnp.copy(state[index]) for index in places]
        if self._form.donated:  # what is handed on here is not what the caller holds
            state = [jnp.copy(leaf) for leaf in state]
        if self._form.scan == 1:
            state, seen = self._single()(state, batches[0])
            after = [[jnp.copy(state[index]) for index in places]]
            seen = [leaf[None] for leaf in seen]
        else:
            stacked = [jnp.stack(leaves) for leaves in zip(*batches, strict=True)]
            state, (seen, path) = self._scan(tuple(places))(state, stacked)
            after = [[leaf[index] for leaf in path] for index in range(length)]
        self._compare(row, np.fmax(self._seen(row, seen, length), self._holding.gaps(row, after, state)))
        return [theta, *after[:-1]], after, state

    def _single(self):
        donating = {"donate_argnums": 0} if self._form.donated else {}
        return self._program("single", lambda: jax.jit(self._functions.step, **donating))

    def _scan(self, places):
        def chunk(state, batches):
            def one(state, batch):
                state, seen = self._functions.step(state, batch)
                return state, (seen, [state[index] for index in places])

            return jax.lax.scan(one, state, batches)

        donating = {"donate_argnums": 0} if self._form.donated else {}
        return self._program(("scan", places), lambda: jax.jit(chunk, **donating))

    def _program(self, key, build):
        if key not in self._programs:
            self._programs[key] = build()
        return self._programs[key]

    def _seen(self, row, seen, length):
        """Hold what was seen in `length` rows, [n, ...] each, against the record: differences [length]."""
        rows = self._run.array("scalars", row, row + length)
        count = len(rows)
        numbers, recorded = [], []
        observed = None if self._observed is None else np.asarray(seen[self._observed], np.float64)
        for name, values in _named(observed, self._form):
            if name in self._columns:
                numbers.append(values[:count])
                recorded.append(rows[:, self._columns.index(name)])
            elif name.startswith(LAYERS) and name in self._run.arrays:
                there = self._run.array(name, row, row + count)
                numbers += list(values[:count].T)
                recorded += list(np.asarray(there, np.float64).T)
        found = np.full(length, np.nan)
        if numbers:
            found[:count] = gaps(np.array(recorded, np.float64), np.array(numbers, np.float64))
        return found


def _observed(stepped):
    """Which of the leaves that a step gives beside its state is its Observation; None where none is."""
    seen = [leaf.path for leaf in stepped if leaf.path[0] == "seen"]
    places = (("seen", OBSERVED), ("seen", "values"))  # the second: of runs before there was the first
    return next((seen.index(place) for place in places if place in seen), None)


def _named(values, form):
    """[(name, values [n] or [n, layers])] of an Observation [n, size], whose layout is that of `form`."""
    size = len(form.numbers) + form.layers * len(form.quantities)
    if values is None or values.ndim != 2 or values.shape[1] != size:
        return
    yield from zip(form.numbers, values.T, strict=False)
    for index, name in enumerate(form.quantities):
        at = len(form.numbers) + index * form.layers
        yield LAYERS + name, values[:, at : at + form.layers]


def _form(run):
    """The Form that a run's identity tells, where it can be true; that of a step alone where it tells
    none."""
    told = run.identity.get("form")
    told = told if isinstance(told, dict) else {}
    scan, layers = told.get("scan", 1), told.get("layers", 0)
    texts = [told.get(name, []) for name in ("numbers", "quantities")]
    whole = type(scan) is int and 1 <= scan <= MOST_SCAN and type(layers) is int and 0 <= layers < 1 << 20
    whole = whole and all(isinstance(t, list) and all(isinstance(x, str) for x in t) for t in texts)
    if not whole:
        raise store.DamagedRun(f"identity.form={told!r:.200} cannot be true", run.path / "run.json")
    return Form(scan, bool(told.get("donated")), tuple(texts[0]), tuple(texts[1]), layers)


def _places(facts, leaves, where):
    """For each leaf of the parameters its place in the state; DamagedRun where that cannot be true."""
    places = facts.get("params", [])
    if not (isinstance(places, list) and all(type(n) is int and 0 <= n < leaves for n in places)):
        raise store.DamagedRun("what is said of the state cannot be true", where)
    if not places:
        raise ValueError(
            "the parameters are no part of the state: recorder.write(step, seen, params=params, "
            "state=(params, ...))"
        )
    return places
