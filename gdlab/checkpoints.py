"""The whole training state on disk, beside the record's row counts that belong to it.

Line-search traces are left out: they are the record's, and their padding would tie a checkpoint to
one `max_evaluations`.
"""

import contextlib
import logging
from functools import cached_property

import jax
import numpy as np
import orbax.checkpoint as ocp

from gdlab import plain_checkpoints


class Checkpoints:
    """Checkpoints of one run in `<run>/checkpoints/<step>/`, by orbax. Use as a context manager.

    plain: save each as one .npz file instead, as members of a group do: a hundred small states, of which
    orbax takes 0.1 s each. Both kinds are read.
    """

    def __init__(self, folder, *, read_only=False, plain=False):
        self.folder = folder.absolute() / "checkpoints"
        self._read_only, self._plain = read_only, plain

    @cached_property
    def _manager(self):
        options = ocp.CheckpointManagerOptions(
            max_to_keep=None,
            cleanup_tmp_directories=not self._read_only,
            enable_async_checkpointing=False,
            read_only=self._read_only,
            create=not self._read_only,
            save_interval_steps=0 if self._read_only else 1,
        )
        with _quiet():
            return ocp.CheckpointManager(self.folder, options=options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if "_manager" in self.__dict__:
            self._manager.close()

    def steps(self):
        """Iterations that have a checkpoint, ascending."""
        found = plain_checkpoints.steps(self.folder)
        return found if self._plain else sorted({*found, *self._manager.all_steps()})

    def save(self, state, cursors, dumped=None):
        """Keep `state` (a TrainState) and `cursors` (rows per array); nothing if the step is kept already.

        dumped: the parameters of the last dump, where there was one.
        """
        step = int(state.step)
        if step in self.steps():
            return
        if self._plain:
            plain_checkpoints.save(self.folder, step, _without_trace(state), cursors)
            return
        items = {"state": ocp.args.StandardSave(_without_trace(state)), "cursor": ocp.args.JsonSave(cursors)}
        if dumped is not None:
            items["dumped"] = ocp.args.StandardSave(dumped)
        self._manager.save(step, args=ocp.args.Composite(**items), force=True)
        self._manager.wait_until_finished()

    def restore(self, step, like):
        """(state, cursors) of `step`; `like` is a TrainState of the same structure, from `init`."""
        if step in plain_checkpoints.steps(self.folder):
            restored, cursors = plain_checkpoints.restore(self.folder, step, _without_trace(like))
            return _with_trace(restored, like), cursors
        template = jax.tree.map(ocp.utils.to_shape_dtype_struct, _without_trace(like))
        arguments = ocp.args.Composite(
            state=ocp.args.StandardRestore(template), cursor=ocp.args.JsonRestore()
        )
        restored = self._manager.restore(step, args=arguments)
        return _with_trace(restored["state"], like), {k: int(v) for k, v in restored["cursor"].items()}

    def restore_dumped(self, step, like):
        """The parameters of the last dump before `step`; `like` has the structure of the parameters."""
        template = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        arguments = ocp.args.Composite(dumped=ocp.args.StandardRestore(template))
        return self._manager.restore(step, args=arguments)["dumped"]


@contextlib.contextmanager
def _quiet():
    """Without orbax's warning, for every folder opened for reading, that nothing can be saved there."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def latest_at(steps, iteration):
    """The last of `steps` that is not after `iteration`; None where there is none."""
    earlier = np.asarray(steps)[np.asarray(steps) <= iteration] if steps else []
    return int(max(earlier)) if len(earlier) else None


def _holds_trace(node):
    return "line_search" in getattr(node, "_fields", ())


def _without_trace(state):
    def strip(node):
        return node._replace(line_search=None) if _holds_trace(node) else node

    return jax.tree.map(strip, state, is_leaf=_holds_trace)


def _with_trace(state, like):
    def fill(node, other):
        return node._replace(line_search=other.line_search) if _holds_trace(node) else node

    return jax.tree.map(fill, state, like, is_leaf=_holds_trace)
