"""Run an interval of a recorded training again, from the nearest checkpoint, bit for bit.

The same compiled loop, the same data order, the same keys: what comes out must be what was recorded.
Every replayed iteration is compared with the record, and a difference is reported with its size and
with what has changed on the machine since; it is never hidden.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from gdlab import store
from gdlab.data import fingerprint as data_of
from gdlab.execution.cadence import Pace
from gdlab.execution.carried import CarriedTraining
from gdlab.execution.carrying import updates_of
from gdlab.execution.checkpoints import Checkpoints
from gdlab.execution.comparisons import Comparisons, Report, gaps
from gdlab.execution.group import alone
from gdlab.execution.identity import differences as changed
from gdlab.execution.identity import identity
from gdlab.execution.own_code import changed_code, code_of
from gdlab.execution.recording import check_ours
from gdlab.execution.replaying import Step
from gdlab.exported import Functions
from gdlab.plan.assembly import assemble, training
from gdlab.plan.options import plan_of
from gdlab.plan.soundness import check_looked_at
from gdlab.plan.sources import Places, around, located
from gdlab.plan.targets import ConfigError, short
from gdlab.store.config import differences, flatten
from gdlab.training.devices import in_its_precision
from gdlab.training.iteration import has_search

log = logging.getLogger(__name__)

MOST_WIDTH = 1 << 16  # members of a group


class Stage(NamedTuple):
    """What a run did from iteration `start` on, until the next Stage: by its Training."""

    start: int
    training: Any


class Replay:
    """Replays one run. Holds its assembly and compiled program, so that many intervals cost one set-up.

    run, config, assembly; of: the key of the rows; columns: names of the columns of run.array("scalars").
    places: the `sources.Places` that data and earlier runs are read from; None: `around(path)`. For a
    run of one's own, whose paths one gave oneself: `as_recorded(run.config)`.
    functions: those that the run carries, in place of the code that its config names.

    Raises:
      gdlab.store.StoreError: the run cannot be read; ConfigError, FileNotFoundError: it cannot be
        assembled any more (code or data are gone).
    """

    def __init__(
        self, path: str | os.PathLike, places: Places | None = None, functions: Functions | None = None
    ):
        places = around(path) if places is None else places
        self.run = store.open_run(path)
        self.of = self.run.key
        check_ours(self.run.config, self.run.name)
        self.plan = plan_of(located(self.run.config, places))
        self.config, self.version = self.plan.config, self.plan.record.version
        self._carried = functions and CarriedTraining(functions)
        self._begin(places, functions)

    @in_its_precision
    def _begin(self, places, functions):
        self.assembly = assemble(self.plan, places, problem=functions and functions.problem())
        self.columns = self.run.columns("scalars")
        if functions:
            self._stages = _carried_stages(self.run, self.assembly, self._carried)
        else:
            self._stages = stages_of(self.run, self.assembly)
        self._training = self._stages[-1].training
        self._data = _data_differences(self.run, self.assembly)
        self._code = _code_differences(self.run, self.config)
        self.run.altered = _digest(self.config, self.assembly) if self._data or self._code else ""
        self._comparisons = Comparisons(self.run)
        self._memo = {}

    def in_precision(self) -> AbstractContextManager[None]:
        """JAX in the precision of the run within the block: for what is computed from a Step."""
        return self.plan.in_precision()

    def stale(self) -> bool:
        """Whether the folder holds another run by now, or this one resumed, so that this replay is of no use.

        Rows that were merely added are taken in.
        """
        self.run.refresh()
        return self.run.key != self.of

    def memo(self, name: Hashable, build: Callable[[], Any]) -> Any:
        """What `build()` returned the first time: a probe's compiled functions, kept with the replay."""
        if name not in self._memo:
            self._memo[name] = build()
        return self._memo[name]

    def report(self) -> Report:
        """Report of everything of this run that was ever replayed, by this process or an earlier one."""
        self._comparisons.keep()
        return self._comparisons.report([*self._data, *self._changed()], [*self._data, *self._code])

    def _changed(self):
        """What is different now from when the run was recorded; with the session where these disagree."""
        now = {**identity(), "code": code_of(self.config)}
        sessions = [self.run.identity, *self.run.sessions]
        found = [changed(session, now) for session in sessions]
        if all(texts == found[0] for texts in found):
            return found[0]
        return [f"{text} (session {i + 1})" for i, texts in enumerate(found) for text in texts]

    @in_its_precision
    def steps(
        self, start: int, stop: int, progress: Callable[[float, str], object] = lambda fraction, text: None
    ) -> Iterator[Step]:
        """Yield a Step for each iteration of [start, stop), in order, as far as it is recorded.

        progress(fraction, text) is called on the way from the checkpoint; what it raises ends the replay.
        """
        stop = min(stop, self.run.rows("scalars"))
        state: Any = self._state_at(start, progress) if start < stop else None
        for iteration in range(start, stop):
            before = state.params
            state, infos, done = self._advance(state, 1)
            if not done:
                return
            info = jax.tree.map(lambda leaf: leaf[0], infos)
            yield Step(iteration, before, self._updates(before, state, info), info)

    @in_its_precision
    def params(self, iteration: int) -> Any:
        """theta_k as a pytree, k from 0 to the number of recorded iterations; from the recorded path where
        there is one, else replayed. ValueError for another k."""
        last = self.run.rows("scalars")
        if not 0 <= iteration <= last:
            raise ValueError(f"iteration={iteration}: allowed: 0 to {last}, which is behind the last one")
        example = jax.eval_shape(self.assembly.problem.init, self.assembly.key)
        if "path" in self.run.arrays and iteration < self.run.rows("path"):
            zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), example)
            return ravel_pytree(zeros)[1](self.run.array("path", iteration, iteration + 1)[0])
        return self._state_at(iteration, lambda fraction, text: None).params

    @in_its_precision
    def batch(self, iteration: int) -> dict | None:
        """The batch of an iteration: dict of arrays [b, ...], or None for a problem without data."""
        return self.assembly.batch(iteration)

    @in_its_precision
    def key(self, iteration: int) -> jax.Array:
        """The random key that the error of an iteration was computed with."""
        if self._carried:
            return self.assembly.step_key(iteration, self._carried.searches)
        state = jax.eval_shape(self._training.init, self.assembly.key, self.assembly.data)
        return self.assembly.step_key(iteration, has_search(state.opt_state))

    @in_its_precision
    def _state_at(self, iteration, progress):
        fresh = self._training.init(self.assembly.key, self.assembly.data)
        checkpoints = Checkpoints(self.run.path)
        if self._carried:
            kept = self._carried.latest(checkpoints, fresh, iteration)
        else:
            kept = checkpoints.latest(fresh, iteration)
        for step, error in kept.damaged:
            log.warning("checkpoint %d is passed over, which takes longer: %s", step, error)
        state = fresh if kept.state is None else kept.state
        begun, pace = int(state.step), Pace(self._training.length)
        while (at := int(state.step)) < iteration:
            progress((at - begun) / (iteration - begun), f"replaying to iteration {iteration:,}")
            asked = time.monotonic()
            state, _, done = self._advance(state, min(pace.count, iteration - at))
            if not done:
                break
            pace.ran(done, time.monotonic() - asked)
        return state

    def _updates(self, before, state, info):
        if self._carried:
            return self._carried.updates(before, state, info)
        return updates_of(before, state, info.step_size)

    def _advance(self, state, count):
        """`count` iterations on, compared with the record: (state, infos on the host, how many were run)."""
        first = int(state.step)
        stage = max((one for one in self._stages if one.start <= first), key=attrgetter("start"))
        count = min([count, *(one.start - first for one in self._stages if one.start > first)])
        steps, _, _ = self.assembly.steps(first, count, stage.training.length)
        state, infos, _, done = stage.training.chunk(
            state, self.assembly.data, self.assembly.key, steps, count
        )
        done = int(done)
        infos = jax.device_get(jax.tree.map(lambda leaf: leaf[:done], infos))
        self._compare(first, done, infos)
        return state, infos, done

    def _compare(self, first, done, infos):
        """Hold the replayed errors, at both ends of each step, against the recorded ones; NaN equals NaN."""
        rows = self.run.array("scalars", first, first + done)
        names = ("loss", "loss_end")
        recorded = np.stack([rows[:, self.columns.index(name)] for name in names])
        replayed = np.stack([np.asarray(getattr(infos, name), np.float64) for name in names])[:, : len(rows)]
        self._comparisons.add(first, gaps(recorded, replayed))


def stages_of(run, assembly):
    """[Stage] of a Run, oldest first, each with the program that trained it.

    assembly: of the last one. The others may differ in the number of iterations alone,
    which decides whether several descents are begun. Raises ConfigError where they do not.
    """
    programs, found = {}, []
    for start, earlier in run.stages:
        if any(key != "train.steps" for key, _, _ in differences(earlier, run.config)):
            raise ConfigError("run.json: changes: only train.steps can change within a run")
        there = assembly.lasting(earlier["train"]["steps"])
        several = there.several_descents
        if several not in programs:
            programs[several] = check_looked_at(there, partial(_program, run, there))
        found.append(Stage(start, programs[several]))
    return found


def _carried_stages(run, assembly, training):
    """[Stage] of a Run by the programs that it carries: those of its last session, if they fit the others."""
    for _, earlier in run.stages:
        if assembly.lasting(earlier["train"]["steps"]).several_descents != training.several_descents:
            raise ConfigError(
                f"{run.name} was trained on from one descent to several: the programs that it carries are of "
                "the last part alone"
            )
    return [Stage(0, training)]


def _program(run, assembly):
    """The Training of a run: of a group's member that of its group, whose width decides the last bits."""
    group = run.identity.get("group")
    if not group:
        return training(assembly)
    return alone(assembly, **_checked_group(group, assembly.plan.config))


def _checked_group(group, config):
    """What run.json says of a member's group, where it can be true; raises ConfigError."""
    told = group if isinstance(group, dict) else {}
    found: dict[str, Any] = {name: told.get(name) for name in ("varied", "width", "index")}
    varied, flat = found["varied"], flatten(config)
    whole = all(type(found[name]) is int for name in ("width", "index"))
    named = isinstance(varied, list) and all(isinstance(key, str) and key in flat for key in varied)
    if whole and named and 0 <= found["index"] < found["width"] <= MOST_WIDTH:
        return found
    raise ConfigError(
        f"run.json: identity.group={short(group)}: allowed: width up to {MOST_WIDTH:,}, index below it, and "
        "varied, names of options of the config"
    )


def _code_differences(run, config):
    """Sentences about code of one's own that is not that of the run's last session."""
    return changed_code([run.identity, *run.sessions][-1].get("code"), code_of(config))


def _digest(config, assembly):
    """Of the code and the data that there are: what is computed from others has a place of its own."""
    data = {} if assembly.dataset is None else dict(data_of.fingerprint(assembly.dataset))
    data.pop("source", None)
    return hashlib.sha256(json.dumps([code_of(config), data], sort_keys=True).encode()).hexdigest()[:16]


def _data_differences(run, assembly):
    """Sentences about data that are not those of the training."""
    if assembly.dataset is None:
        return []
    known = run.identity.get("data")
    current = data_of.fingerprint(assembly.dataset)
    return data_of.differences(known if isinstance(known, dict) else None, current)
