"""One run of a group as an ordinary run folder, which knows its group's width and its own place in it."""

import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gdlab import store
from gdlab.execution.checkpoints import Checkpoints
from gdlab.execution.recording import begun, check_same_sources, chunk_rows, continued, path_start

log = logging.getLogger(__name__)


class Member:
    """The folder of one run of a group while it is trained.

    index   its place among the members; state, reason: None until it has ended
    """

    def __init__(self, config, folder, index):
        self.config, self.folder, self.index = config, Path(folder), index
        self.state = self.reason = self.error = None
        self.writer: Any = None
        self.checkpoints: Any = None
        self.seconds, self.evaluations = 0.0, 0
        self.damaged: list[int] = []  # iterations whose checkpoint cannot be used

    @property
    def active(self):
        """Whether it is still being trained."""
        return self.state is None

    def kept(self):
        """Iterations of its checkpoints, ascending; 0, the start, needs none."""
        return {0, *Checkpoints(self.folder, plain=True).steps()}

    def is_whole(self, step, like):
        """Whether it can go on from there; a checkpoint that is damaged will be kept anew."""
        try:
            if step:
                self.restore(step, like)
        except store.DamagedRun as error:
            self.damaged.append(step)
            log.warning("%s is passed over: %s", self.folder / "checkpoints" / str(step), error)
            return False
        return True

    def restore(self, step, like):
        """(TrainState of iteration `step`, rows per array then)."""
        return Checkpoints(self.folder, plain=True).restore(step, like)

    def open(self, facts, arrays, cursors):
        """Begin or continue the folder; cursors: rows per array to go on from, None: from the start."""
        self.checkpoints = Checkpoints(self.folder, plain=True)
        self.checkpoints.check_place()
        run = begun(self.folder)
        if run is not None:
            check_same_sources(run, facts)
            cursors = cursors or dict.fromkeys(run.arrays, 0)
            self.writer = store.RunWriter.resume(
                self.folder, config=self.config, cursors=cursors, identity=facts
            )
        else:
            self.writer = store.RunWriter.create(
                self.folder, config=self.config, identity=facts, arrays=arrays, pyramids=("scalars",)
            )
        self.seconds, self.evaluations = continued(self.folder) if cursors else (0.0, 0)
        self.checkpoints.remove(self.damaged)

    def lacks(self, array):
        """Whether nothing is recorded in `array` yet."""
        return self.writer.cursors().get(array) == 0

    def begin(self, params):
        """Record the start of the path, where the run keeps one."""
        if self.lacks("path"):
            self.writer.append(path_start(params))

    def add(self, infos, collected, descent, epoch, share, *, step, done):
        """Append iterations from `step` on: arrays [done, W, ...]; share [done]: its share of seconds."""
        infos, collected = jax.tree.map(lambda leaf: leaf[:, self.index], (infos, collected))
        rows, self.evaluations = chunk_rows(
            infos,
            collected,
            step=step,
            done=done,
            descent=descent,
            epoch=epoch,
            seconds=self.seconds + np.cumsum(share),
            evaluations=self.evaluations,
        )
        self.seconds += share.sum()
        self.writer.append(rows)

    def commit(self):
        """Publish what was appended."""
        self.writer.commit(self.config["record"]["sync"])

    def keep(self, state):
        """Publish and keep the TrainState that belongs to it."""
        self.commit()
        self.checkpoints.save(state, self.writer.cursors())

    def end(self, state, reason=None):
        """Say how it ended and let go of the folder."""
        self.state, self.reason = state, reason
        if self.writer is None:
            return
        try:
            self.writer.set_status(state, reason)
        finally:
            self.writer.close()
