"""The whole training state on disk, beside the record's row counts that belong to it.

`<run>/checkpoints/<step>/` is written beside its place and put there by one rename, with the checksums of its
files: what is there is whole, or damaged, which is found before anything is trained from it. Line-search
traces are left out: they are the record's, and their padding would tie a checkpoint to one `max_evaluations`.
"""

import os
import shutil
import stat
import threading
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from gdlab.execution import plain_checkpoints
from gdlab.messages import counted
from gdlab.optim.search_state import TELLING_STATES
from gdlab.store import DamagedRun, StoreError, files, trees

_PART, _ORBAX_PART = ".part", ".orbax-checkpoint-tmp"
# Files of a checkpoint may have so many times the bytes of its state, and this many beside.
_TIMES, _BESIDE = 16, 64 << 20

# Orbax counts what it does once for the whole process: two that save at once take each other's folders.
_one_at_a_time = threading.Lock()


class Kept(NamedTuple):
    """A checkpoint: step, TrainState, {array: rows}; damaged: [(step, DamagedRun)] of later ones."""

    step: int
    state: Any
    cursors: dict
    damaged: list

    def notes(self, rows):
        """[text]: which of `rows` recorded iterations are trained again for want of a whole state.

        Raises DamagedRun where there are states, but none is whole: nothing is cut that might be kept.
        """
        if self.damaged and self.state is None and rows:
            step, error = self.damaged[0]
            raise DamagedRun(
                f"no state is whole, that of iteration {step:,} neither ({error.what}); put them back from a "
                "copy, or remove the folder 'checkpoints' to train from the start",
                error.where,
            )
        if not self.damaged and (self.state is not None or not rows):
            return []
        which = f"checkpoint {self.damaged[0][0]:,}" if self.damaged else "checkpoints"
        why = f"it cannot be used: {self.damaged[0][1]}" if self.damaged else "none is left"
        return [
            f"{which}: {why}; going on from iteration {self.step:,}, which cuts {rows - self.step:,} of "
            f"{counted(rows, 'recorded iteration')}: they are trained again"
        ]


class Checkpoints:
    """Checkpoints of one run in `<run>/checkpoints/<step>/`, by orbax.

    plain: save each as one .npz file instead, as members of a group do: a hundred small states, of which
    orbax takes 0.1 s each. Both kinds are read. Only whoever holds the run's lease may save or remove.
    """

    def __init__(self, folder, *, plain=False):
        self._run = Path(folder).absolute()
        self.folder = self._run / "checkpoints"
        self._plain, self._cleaned = plain, False

    def steps(self):
        """Iterations that have a checkpoint, whole or damaged, ascending."""
        try:
            if not stat.S_ISDIR(os.lstat(self.folder).st_mode):
                return []
            names = [name for name in os.listdir(self.folder) if name.isdecimal() and name.isascii()]
        except OSError:
            return []
        return sorted(int(name) for name in names if str(int(name)) == name)

    def save(self, state, cursors, dumped=None):
        """Keep `state` (a TrainState) and `cursors` (rows per array); nothing if the step is kept already.

        dumped: the parameters of the last dump, where there was one. Raises DamagedRun where a link leads
        elsewhere, DiskFull and NotWritable.
        """
        step = int(state.step)
        if step in self.steps():
            return
        part = self.folder / f"{step}{_PART}"
        with files.writing(self.folder):
            files.make_folders(self._run, self.folder)
            self._clean(part)
            if self._plain:
                part.mkdir()
                plain_checkpoints.save(part, _without_trace(state), cursors, dumped)
            else:
                self._save_by_orbax(part, state, cursors, dumped)
            trees.write_sums(part)
            part.rename(self.folder / str(step))

    def latest(self, like, iteration=None):
        """The `Kept` of the last whole checkpoint not after `iteration` (None: of all), or one without state.

        like: a TrainState of the same structure, from `init`. Damaged ones (DamagedRun) are passed over;
        raises StoreError where a whole one is not of such a state.
        """
        damaged: list[tuple[int, DamagedRun]] = []
        for step in reversed(self.steps()):
            if iteration is not None and step > iteration:
                continue
            try:
                state, cursors = self.restore(step, like)
                return Kept(step, state, cursors, damaged)
            except DamagedRun as error:
                damaged.append((step, error))
        return Kept(0, None, {}, damaged)

    def check_place(self):
        """DamagedRun where the folder of checkpoints is a link or no folder: nothing is written there."""
        files.no_links(self._run, self.folder)

    def restore(self, step, like):
        """(state, cursors) of `step`; `like` is a TrainState of the same structure."""
        folder = self.folder / str(step)
        whole = self.check(step, like)
        template = _without_trace(like)
        if (folder / plain_checkpoints.FILE).exists():
            try:
                restored, cursors = plain_checkpoints.restore(folder, template)
            except DamagedRun as error:
                raise (_unfit(folder, error) if whole else error) from error
            return _with_trace(restored, like), cursors
        found = self._by_orbax(folder, whole, state=template)
        try:
            cursors = {str(name): int(rows) for name, rows in found["cursor"].items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise DamagedRun(f"no row counts: {error}", folder / "cursor" / "metadata") from error
        return _with_trace(found["state"], like), cursors

    def restore_dumped(self, step, like):
        """The parameters of the last dump before `step`; `like` has the structure of the parameters."""
        folder = self.folder / str(step)
        whole = self.check(step, like)
        if (folder / plain_checkpoints.FILE).exists():
            return plain_checkpoints.restore_dumped(folder, like)
        return self._by_orbax(folder, whole, dumped=like)["dumped"]

    def check(self, step, like):
        """Whether a checkpoint's files have checksums; DamagedRun where they are not what was written."""
        leaves = jax.tree.leaves(like)
        size = sum(leaf.size * getattr(leaf.dtype, "itemsize", 8) for leaf in leaves)
        return trees.check(self.folder / str(step), _TIMES * size + _BESIDE)

    def remove(self, steps):
        """Remove checkpoints, so that they can be kept anew."""
        for step in steps:
            _remove(self.folder / str(step))

    def _clean(self, part):
        # What a killed writer left behind, once, and what a failed attempt did, always.
        for name in os.listdir(self.folder):
            left = name.endswith(_PART) or _ORBAX_PART in name
            if left and (not self._cleaned or name.startswith(part.name)):
                _remove(self.folder / name)
        self._cleaned = True

    def _save_by_orbax(self, part, state, cursors, dumped):
        kept = told_apart(_without_trace(state))
        items = {"state": ocp.args.StandardSave(kept), "cursor": ocp.args.JsonSave(cursors)}
        if dumped is not None:
            items["dumped"] = ocp.args.StandardSave(told_apart(dumped))
        with _one_at_a_time, ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
            checkpointer.save(part, args=ocp.args.Composite(**items))

    def _by_orbax(self, folder, whole, **templates):
        """What orbax reads; whole: the files are those that were written, so an error is not theirs."""
        items: dict[str, Any] = {
            name: ocp.args.StandardRestore(jax.tree.map(_on_the_host, told_apart(template)))
            for name, template in templates.items()
        }
        try:
            with _one_at_a_time, ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
                arguments = ocp.args.Composite(**items, cursor=ocp.args.JsonRestore())
                found = checkpointer.restore(folder, args=arguments)
            return {name: _as_was(found[name], templates[name]) for name in templates} | {
                "cursor": found["cursor"]
            }
        except MemoryError:
            raise
        except Exception as error:  # of many kinds, from several libraries
            text = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
            if whole:
                raise _unfit(folder, text) from error
            raise DamagedRun(f"it cannot be read: {text}", folder) from error


def kept_part(state):
    """What a checkpoint keeps of a TrainState."""
    return _without_trace(state)


def _unfit(folder, why):
    return StoreError(
        f"{folder} is whole, but no state of this training: another version of a library or of gdlab wrote "
        f"it ({why})"
    )


def told_apart(tree):
    """A pytree as orbax can keep it: itself, or the list of its leaves where two of them would get one name.

    Orbax joins the keys of a leaf by points, and "a.b" beside {"a": {"b": ...}} would be read back as one.
    """
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    names = {jax.tree_util.keystr(path, simple=True, separator=".") for path in paths}
    return tree if len(names) == len(paths) else jax.tree.leaves(tree)


def _on_the_host(leaf):
    """What orbax is to make of a leaf. Not yet a float64 array of JAX: where an event loop is running, as
    in a notebook, orbax reads in a thread of its own, which has not this one's precision."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return ocp.utils.to_shape_dtype_struct(leaf)
    return np.empty(leaf.shape, leaf.dtype)


def _as_was(kept, like):
    """What `told_apart` made of a pytree like `like`, as that pytree, each array where its own lies."""
    leaves, structure = jax.tree.flatten(like)
    placed = [_placed(array, leaf) for array, leaf in zip(jax.tree.leaves(kept), leaves, strict=True)]
    return jax.tree.unflatten(structure, placed)


def _placed(array, like):
    sharding = getattr(like, "sharding", None)
    return array if sharding is None else jax.device_put(array, sharding)


def _remove(path):
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)  # which follows no links


def _holds_trace(node):
    return isinstance(node, TELLING_STATES)


def _without_trace(state):
    def strip(node):
        return node._replace(line_search=None) if _holds_trace(node) else node

    return jax.tree.map(strip, state, is_leaf=_holds_trace)


def _with_trace(state, like):
    def fill(node, other):
        return node._replace(line_search=other.line_search) if _holds_trace(node) else node

    return jax.tree.map(fill, state, like, is_leaf=_holds_trace)
