"""What is kept of the parameters, and when: decided in the loop, carried out by the thread that writes.

`Keeper.look` costs next to nothing where nothing is due. Where something is, what the loop has at hand is
copied; what is given up for it is named in the same breath, before, so that what a run keeps never takes more
than its budget. Of theta_k of a moment the call before has made the copy: the loop hands over what it has,
and that are the parameters after a step.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gdlab.recorder.copies import Copy, copies, nbytes, shape_of, size_of
from gdlab.recorder.spacing import Even, Moments
from gdlab.recorder.units import said
from gdlab.store.kept import MOMENTS, POINTS, STATES

SHARES = {POINTS: 2, MOMENTS: 1, STATES: 1}  # of the budget
MOST = {POINTS: 512, MOMENTS: 64, STATES: 64}
LEAST = {POINTS: 1, STATES: 16}  # iterations between two
FEWEST = 2


class Keep(NamedTuple):
    """To be written: `kind`/`number` of a run folder."""

    kind: str
    number: int
    trees: dict[str, Copy]
    facts: dict[str, Any]

    @property
    def nbytes(self) -> int:
        """Of what waits to be written."""
        return sum(copy.nbytes for copy in self.trees.values())


class Drop(NamedTuple):
    """To be removed."""

    kind: str
    numbers: Sequence[int]
    nbytes: int = 0


class Measure(NamedTuple):
    """A dump to be taken of iteration `number`: {"params", "after", "batch", "aux"}, as far as they are
    there."""

    number: int
    trees: dict[str, Copy]

    @property
    def nbytes(self) -> int:
        """Of what waits to be looked at."""
        return sum(copy.nbytes for copy in self.trees.values())


Command = Keep | Drop | Measure


class _Before(NamedTuple):
    """theta of the iteration that comes next, and what for."""

    number: int
    trees: dict[str, Copy]
    moment: bool
    asked: bool
    measured: bool


class Series:
    """What is kept of one kind. kept: numbers, ascending; asked: those that a reader asked for."""

    def __init__(self, kind: str, kept: Sequence[int] = (), asked: Sequence[int] = ()):
        self.kind, self.kept, self.asked = kind, list(kept), set(asked)
        self.rule: Even | Moments | None = None
        self.check = 0  # from this number on it is worth asking

    def due(self, number: int) -> bool:
        """Whether `number`, behind all that are kept, is to be kept."""
        if self.rule is None or number < self.check or (self.kept and number <= self.kept[-1]):
            return False
        if self.rule.due(number, self.kept, self.asked):
            return True
        self.check = self.rule.after(number, self.kept[0]) if self.kept else self.rule.after(number, number)
        return False

    def add(self, number: int, asked: bool = False) -> list[int]:
        """`number` is kept from now on; those that are not any longer, to be removed before it is written."""
        assert self.rule is not None
        self.kept.append(number)
        if asked:
            self.asked.add(number)
        gone = self.rule.given_up(self.kept, self.asked)
        self.kept = [one for one in self.kept if one not in gone]
        self.asked -= gone
        self.check = self.rule.after(number, self.kept[0])
        return sorted(gone)

    def exceeding(self, room: int) -> list[int]:
        """Those that the rule has no room for, which are kept no longer; room: of chosen ones."""
        gone = set(self.kept[max(room, 0) :] if isinstance(self.rule, Moments) and self.rule.chosen else ())
        if self.kept:
            gone |= set(self.kept) if self.rule is None else self.rule.given_up(self.kept, self.asked)
        self.kept = [one for one in self.kept if one not in gone]
        return sorted(gone)

    def cut(self, first: int) -> list[int]:
        """Those from `first` on are kept no longer."""
        gone = [one for one in self.kept if one >= first]
        self.kept = [one for one in self.kept if one < first]
        self.asked -= set(gone)
        self.check = 0
        return gone


class Keeper:
    """Says what is to be written of what the loop hands over. notes: sentences about what cannot be kept."""

    def __init__(self, budget: int, *, moments: Any = None, states: bool = False, every: int | None = None):
        """budget: bytes; moments: how many at most, or which iterations, None: as many as MOST says; states:
        whether the loop hands over its state; every: iterations between two dumps, None: none."""
        self.notes: list[str] = []
        self.budget, self._every = budget, every
        kinds = [POINTS, MOMENTS, *([STATES] if states else [])]
        self._most = dict(MOST)
        self._chosen: tuple[int, ...] | None = None
        if moments is not None and not isinstance(moments, int):
            self._chosen = tuple(sorted(set(moments)))
        elif moments is not None:
            self._most[MOMENTS] = moments
        if self._chosen == () or self._most[MOMENTS] == 0:
            kinds.remove(MOMENTS)
        self.series = {kind: Series(kind) for kind in kinds}
        self._shape: tuple | None = None
        self._sizes = dict.fromkeys(kinds, 0)
        self._latest: tuple | None = None
        self._before: _Before | None = None
        self.last = -1
        self._asked = 0
        self.active = budget > 0

    def ask(self, count: int) -> None:
        """A reader asks for the next `count` iterations as moments; may be called from any thread."""
        self._asked = count

    def start(self, step: int, params: Any, aux: Any = None, state: Any = None) -> list:
        """What is to be done with the parameters before iteration `step`, which is the next."""
        if not self.active:
            return []
        commands = self._back(step) if step <= self.last else []
        return commands + self._ahead(step, {"params": params, "aux": aux, "state": state})

    def look(
        self, step: int, count: int, params: Any, batch: Any = None, aux: Any = None, state: Any = None
    ) -> list:
        """[Drop | Keep | Measure], in order: what is to be done after `count` iterations from `step` on."""
        taken = self._latest is not None and self._latest[0] == step + count
        if not self.active or (step == self.last and taken):
            return []
        commands = self._back(step) if step < self.last else []
        number, self.last = step + count, step + count - 1
        if params is None:  # they may come with another part of the iteration
            return commands
        before, self._before = self._before, None
        handed = {"params": params, "aux": aux, "state": state}
        if before is None or before.number != step or count != 1:
            return commands + self._ahead(number, handed)
        made = copies({"after": params, "batch": batch, "aux": aux})
        if not self._fits(made["after"]):
            return commands
        trees = {**before.trees, **made}
        if before.moment and self.series[MOMENTS].rule is not None:
            facts = {"asked": True} if before.asked else {}
            commands += self._keep(MOMENTS, step, trees, facts, before.asked)
        if before.measured:
            commands.append(Measure(step, trees))
        return commands + self._ahead(number, handed, made["after"])

    def finish(self) -> list:
        """What is to be done when nothing more comes: the end of the path is kept, where it is still
        there."""
        if not self.active or self._latest is None:
            return []
        number, params, aux = self._latest
        points = self.series[POINTS]
        if points.rule is None or (points.kept and points.kept[-1] >= number):
            return []
        try:
            return self._keep(POINTS, number, copies({"params": params, "aux": aux}), {})
        except (ValueError, RuntimeError):  # donated, by a step that was not written any more
            return []

    def _ahead(self, number, handed, theta=None):
        """What is due of the parameters before iteration `number`; theta: a Copy of them, if there is one."""
        self._latest = (number, _own(handed["params"]), _own(handed["aux"]))
        commands = self._settle(handed) if self._shape is None else []
        due = {kind: self.series[kind].due(number) for kind in self.series}
        due[STATES] = due.get(STATES, False) and handed["state"] is not None
        asked = self._asked > 0 and self._may_ask()
        self._asked = max(0, self._asked - 1)
        moment = due.get(MOMENTS, False) or asked
        measured = self._every is not None and number % self._every == 0
        if not (due[POINTS] or due[STATES] or moment or measured):
            return commands
        wanted = {"aux": handed["aux"] if due[POINTS] else None}
        wanted["state"] = handed["state"] if due[STATES] else None
        wanted["params"] = handed["params"] if theta is None and (due[POINTS] or moment or measured) else None
        made = copies(wanted)
        theta = made.get("params", theta)
        if theta is not None and not self._fits(theta):
            return commands
        if due[POINTS]:
            trees = {"params": theta, **({"aux": made["aux"]} if "aux" in made else {})}
            commands += self._keep(POINTS, number, trees, {})
        if due[STATES]:
            facts = {"params": _within(handed["params"], handed["state"])}
            commands += self._keep(STATES, number, {"state": made["state"]}, facts)
        if moment or measured:
            self._before = _Before(number, {"params": theta}, moment, asked, measured)
        return commands

    def _may_ask(self):
        """Whether there are moments at all, and room for more where they were chosen."""
        series = self.series.get(MOMENTS)
        if series is None:
            return False
        rule = series.rule
        return isinstance(rule, Moments) and (rule.chosen is None or len(series.kept) < rule.room)

    def _keep(self, kind, number, trees, facts, asked=False):
        series = self.series[kind]
        if series.kept and number <= series.kept[-1]:
            return []
        size = sum(copy.taken for copy in trees.values())
        drops = self._room(kind, size, 1) if size > self._sizes[kind] else []  # a batch, a larger one
        if series.rule is None:
            return drops
        gone = series.add(number, asked)
        return [*drops, *([Drop(kind, gone)] if gone else []), Keep(kind, number, trees, facts)]

    def _back(self, step):
        """The loop begins again at `step`: what is of later iterations is none of its own."""
        self._before = self._latest = None
        self.last = step - 1
        gone = {kind: series.cut(step) for kind, series in self.series.items()}
        return [Drop(kind, numbers) for kind, numbers in gone.items() if numbers]

    def _settle(self, handed):
        """How many of each kind there is room for."""
        sizes = {name: size_of(nbytes(tree), len(jax.tree.leaves(tree))) for name, tree in handed.items()}
        points = sizes["params"] + sizes["aux"]
        sizes = {POINTS: points, MOMENTS: points + sizes["params"], STATES: sizes["state"]}
        self._shape = shape_of(handed["params"])
        return [drop for kind in self.series for drop in self._room(kind, sizes[kind])]

    def _room(self, kind, size, more=0):
        """So many of `size` bytes each, none where not two fit; [Drop] of what exceeds with so many more."""
        self._sizes[kind] = size
        whole = sum(SHARES[kind] for kind in self.series)
        room = min(self._most[kind], self.budget * SHARES[kind] // whole // size)
        if room < FEWEST and not (kind == MOMENTS and self._chosen and room):
            self.notes.append(
                f"of the budget of {said(self.budget)} there is no room for two {kind} of {said(size)} "
                "each: none are kept"
            )
            self.series[kind].rule = None
        elif kind == MOMENTS:
            self.series[kind].rule = Moments(room, self._chosen)
        else:
            self.series[kind].rule = Even(room, LEAST[kind])
        gone = self.series[kind].exceeding(room - more)
        return [Drop(kind, gone)] if gone else []

    def _fits(self, theta):
        if theta.shape() == self._shape:
            return True
        self.notes.append(
            f"from iteration {self.last + 1} on the parameters have other shapes or names: they are kept no "
            "longer; record them as a run of its own"
        )
        self.active, self._before, self._latest = False, None, None
        return False


def _within(params, state):
    """For each leaf of the parameters which leaf of the state it is; [] where they are not in it."""
    leaves = {id(leaf): index for index, leaf in enumerate(jax.tree.leaves(state))}
    found = [leaves.get(id(leaf)) for leaf in jax.tree.leaves(params)]
    return [] if None in found else found


def _own(tree):
    """A pytree whose NumPy arrays the loop cannot change in place; JAX's nobody can."""
    if not any(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, tree)
