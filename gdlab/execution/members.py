"""One run of a session: its folder, what it has kept there, and how it ends.

What is wrong with one folder ends that member; the others go on.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gdlab import store
from gdlab.execution.checkpoints import Checkpoints, Kept
from gdlab.execution.recording import begun, check_same_sources, chunk_rows, continued, path_start
from gdlab.monitors.dumps import last_dump
from gdlab.plan.sections import Plan

log = logging.getLogger(__name__)
_ENDS_ONE = (store.StoreError, OSError, ValueError)


class Member:
    """The folder of one run while it is trained, alone or in a group.

    plan     of the run; config: as it is recorded, where the plan was made with other paths
    index    its place among the members
    prepare  called when all is sound, before a folder that is there is touched
    state, reason, error: None until it has ended; notes: what its user should know
    dumper   of `gdlab.monitors.dumps`, None where no dumps are taken; dumped: the iteration of the last one
    """

    def __init__(
        self,
        plan: Plan,
        folder: Any,
        index: int = 0,
        *,
        config: Mapping | None = None,
        prepare: Callable = lambda: None,
    ):
        self.plan, self.folder, self.index = plan, Path(folder), index
        self.config = plan.config if config is None else config
        self.state = self.reason = self.error = None
        self.writer: Any = None
        self.checkpoints: Any = None
        self.notes: list[str] = []
        self.seconds, self.evaluations = 0.0, 0
        self.dumper: Any = None
        self.dumped: int | None = None
        self._prepare, self._run = prepare, None
        self._damaged: dict[int, Exception] = {}  # checkpoints that are to be kept anew

    @property
    def active(self):
        """Whether it is still being trained."""
        return self.state is None

    def find(self, facts, compact):
        """Look at what is there of it; raises ConfigError where it was trained on other data.

        facts: of its identity today; compact: as of `gdlab.execution.programs.Alone`.
        """
        self.checkpoints = Checkpoints(self.folder, plain=compact)
        self._run = begun(self.folder)
        if self._run is not None:
            unknown = check_same_sources(self._run, facts)
            self.notes += [unknown] if unknown else []
            self.checkpoints.check_place()

    def kept(self, like, iteration):
        """The `Kept` of its last whole state not after `iteration`, None: of all."""
        if self._run is None:
            return Kept(0, None, {}, [])
        found = self.checkpoints.latest(like, iteration)
        self._damaged |= dict(found.damaged)
        for step, error in found.damaged if iteration is None else ():
            log.warning("%s is passed over: %s", self.folder / "checkpoints" / str(step), error)
        if iteration is None:
            self.notes += found.notes(self._run.rows("scalars"))
        return found

    def open(self, facts, arrays, kept):
        """Begin the folder, or go on with it from what was `kept`."""
        if self._run is None:
            self.writer = store.RunWriter.create(
                self.folder, config=self.config, identity=facts, arrays=arrays, pyramids=("scalars",)
            )
            return
        cursors = kept.cursors if kept.state is not None else dict.fromkeys(self._run.arrays, 0)
        if self.dumper is not None and cursors.get("dump/scalars"):
            self.dumper.previous = self.checkpoints.restore_dumped(kept.step, kept.state.params)
        self._prepare()
        self.writer = store.RunWriter.resume(self.folder, config=self.config, cursors=cursors, identity=facts)
        self.seconds, self.evaluations = continued(self.folder)
        if self.dumper is not None:
            self.dumped = last_dump(store.open_run(self.folder))

    def begin(self, params):
        """Record what stands before the first iteration; only now is removed what is left over or damaged,
        which is for the holder of the lease."""
        if self.lacks("path"):
            self.writer.append(path_start(params))
        if self.dumper is not None and self.lacks("dump/label"):
            self.writer.append(self.dumper.constants())
        self.checkpoints.remove(self._damaged)

    def lacks(self, array):
        """Whether nothing is recorded in `array` yet."""
        return self.writer.cursors().get(array) == 0

    def add(self, chunk, share, step):
        """Append the iterations of a Chunk from `step` on; share [done]: its share of seconds."""
        infos, collected = jax.tree.map(lambda leaf: leaf[:, self.index], (chunk.infos, chunk.collected))
        rows, self.evaluations = chunk_rows(
            infos,
            collected,
            step=step,
            done=len(share),
            descent=chunk.descent,
            epoch=chunk.epoch,
            seconds=self.seconds + np.cumsum(share),
            evaluations=self.evaluations,
        )
        self.seconds += share.sum()
        self.writer.append(rows)

    def dump(self, moment):
        """Append the dump of a Moment, unless it is there: of a run that was stopped after its last one."""
        if self.dumped != moment.iteration:
            self.writer.append(self.dumper.take(moment))
            self.dumped = moment.iteration

    def commit(self):
        """Publish what was appended."""
        self.writer.commit(self.plan.record.sync)

    def keep(self, state):
        """Publish, and keep the TrainState that belongs to it."""
        self.commit()
        dumped = None if self.dumper is None else self.dumper.previous
        self.checkpoints.save(state, self.writer.cursors(), dumped)

    def end(self, state, reason=None):
        """Say how it ended and let go of the folder."""
        self.state, self.reason = state, reason
        if self.writer is None:
            return
        try:
            self.writer.set_status(state, reason)
        finally:
            self.writer.close()

    def fail(self, error):
        """End it by an error; its folder may be the reason, and the first error is the one to see."""
        self.error = error
        try:
            self.end("failed", f"{type(error).__name__}: {error}")
        except _ENDS_ONE:
            log.debug("the end could not be recorded", exc_info=True)


class guarded:
    """What is wrong with one member's folder within the block ends that member."""

    def __init__(self, member):
        self._member = member

    def __enter__(self):
        return self._member

    def __exit__(self, kind, error, traceback):
        if kind is None or not issubclass(kind, _ENDS_ONE):
            return False
        self._member.fail(error)
        return True
