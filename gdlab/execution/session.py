"""A training in progress: what it is made of, the state it is in and the folder that it is recorded in.

JAX runs chunks of iterations, the store keeps what they did. A chunk is never recorded in part, and a
checkpoint is only kept once the rows before it are published, so that whatever interrupts a run, the next
start finds a state and the rows that belong to it.
"""

import time

import jax
import numpy as np

from gdlab import store
from gdlab.execution.carrying import carry, wanted
from gdlab.execution.checkpoints import Checkpoints
from gdlab.execution.recording import (
    ENDINGS,
    arrays_of,
    begun,
    check_same_sources,
    chunk_rows,
    continued,
    facts_of,
    path_start,
)
from gdlab.messages import counted
from gdlab.monitors.dumps import Moment, last_dump
from gdlab.plan import soundness
from gdlab.plan.assembly import CHUNK, assemble, training
from gdlab.plan.monitoring import dumper, row_watchers
from gdlab.plan.sources import located
from gdlab.records import DIVERGED
from gdlab.training.devices import in_its_precision
from gdlab.training.loop import has_search


class Session:
    """Of one run: made, it is ready to `train`, and the folder is its writer's.

    config: plain dict, as it is recorded; folder: of the run. places: the `sources.Places` that data
    and earlier runs are read from, where the config is of a recorded run; None: as the config says.
    prepare(): called when all else is sound, before the folder is touched. Raises as
    `gdlab.experiment.run`.
    """

    def __init__(self, config, folder, *, places=None, prepare=lambda: None):
        self.config, self.folder, self._prepare = config, folder, prepare
        self._begin(places)

    @in_its_precision
    def _begin(self, places):
        config = self.config
        here = config if places is None else located(config, places)
        self.assembly = assembly = assemble(here, places, training=True)
        self.notes = list(getattr(assembly.dataset, "notes", ()))  # what its user should know
        self.damaged = []  # checkpoints to be kept anew
        self.total = config["train"]["steps"]
        self.record = config["record"]
        self.watchers = row_watchers(assembly, config)
        self.dumper, self.dump_every = dumper(assembly, config)
        self.training = training(assembly, config)
        soundness.check_problem(assembly)
        self.state = self.training.init(assembly.key, assembly.data)
        soundness.check_start(self.training, self.state, assembly)
        soundness.check_compiles(self.training, self.state, assembly)
        self.writer, self.checkpoints = self._open()
        self.step = int(self.state.step)

    def _open(self):
        arrays = arrays_of(self.assembly, self.config, self.state.params, self.watchers)
        facts = facts_of(self.assembly, self.config)
        if self.dumper is not None:
            arrays |= self.dumper.specs(self.state.params)
            facts["network"] = self.dumper.network
        if begun(self.folder) is not None:
            writer = self._resume(facts)
        else:
            writer = store.RunWriter.create(
                self.folder, config=self.config, identity=facts, arrays=arrays, pyramids=("scalars",)
            )
        self.seconds, self.evaluations = continued(self.folder)
        self.dumped = last_dump(store.open_run(self.folder))
        if not writer.cursors().get("path", 1):
            writer.append(path_start(self.state.params))
        for watcher, _ in self.watchers:
            if not any(writer.cursors()[name] for name in watcher.specs()):
                writer.append(watcher.rows(self.state.params, 0))
        if self.dumper is not None and not writer.cursors()["dump/label"]:
            writer.append(self.dumper.constants())
        writer.commit(self.record["sync"])
        # Only now: what is left over or damaged is removed, which is for the holder of the lease.
        carries = wanted(self.config)
        if carries:
            self.notes += carry(self.folder, self.assembly, self.training, self.state)
        # What may be read by who has none of the code, is kept without its classes.
        checkpoints = Checkpoints(self.folder, plain=carries and self.dumper is None)
        checkpoints.remove(self.damaged)
        checkpoints.save(self.state, writer.cursors(), self._dumped())
        return writer, checkpoints

    def _dumped(self):
        """The parameters of the last dump, None before the first."""
        return None if self.dumper is None else self.dumper.previous

    def _resume(self, facts):
        """Cut the record to the latest checkpoint, or to nothing where none was kept yet."""
        run = store.open_run(self.folder)
        unknown = check_same_sources(run, facts)
        cursors = dict.fromkeys(run.arrays, 0)
        checkpoints, like = Checkpoints(self.folder), self.state
        checkpoints.check_place()
        kept = checkpoints.latest(like)
        if kept.state is not None:
            self.state, cursors = kept.state, kept.cursors
            if cursors.get("dump/scalars"):
                self.dumper.previous = checkpoints.restore_dumped(kept.step, like.params)
        self.damaged = [step for step, _ in kept.damaged]
        self.notes += [*kept.notes(run.rows("scalars")), *filter(None, [unknown])]
        self._prepare()
        return store.RunWriter.resume(self.folder, config=self.config, cursors=cursors, identity=facts)

    @in_its_precision
    def train(self, stop, shown):
        """Run to the end; returns (state, reason) of the run as recorded."""
        state, reason = "failed", "the training raised an error"
        try:
            state, reason = self._train(stop, shown)
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._close(state, reason)
        return state, reason

    def _train(self, stop, shown):
        clock = time.monotonic()
        committed = kept = clock
        count, status, compiled = 8, 0, False
        while self.step < self.total and not stop.is_set():
            begun = time.monotonic()
            due, before = self._dump_due(), self.state.params
            status, loss = self._chunk(1 if due else min(count, self._until_stop()))
            now = time.monotonic()
            # Aim at a few looks per second: short enough to stop and to show, long enough to cost nothing.
            # The first chunk says nothing about that, it compiles; nor does a single iteration.
            if due:
                self._dump(before, self.state.params)
            elif compiled:
                wanted = np.clip(count * 0.25 / max(now - begun, 1e-3), count / 4 + 1, count * 4)
                count = min(int(wanted), CHUNK)
            compiled = True
            self._watch(status)
            if shown is not None:
                shown.update(self.step, loss)
            if now - committed > self.record["commit_seconds"]:
                self.writer.commit(self.record["sync"])
                committed = now
            if now - kept > self.record["checkpoint_seconds"]:
                self._keep()
                kept = time.monotonic()
            if self._ends(status):
                break
        if self.dumper is not None and (self._ends(status) or self.step >= self.total):
            self._dump(self.state.params, None)
        self._keep()
        return self._ending(status, stop)

    def _keep(self):
        self.writer.commit(self.record["sync"])
        self.checkpoints.save(self.state, self.writer.cursors(), self._dumped())

    def _ends(self, status):
        """Whether a chunk's last status ends the whole run."""
        return status in ENDINGS and (status == DIVERGED or not self.assembly.several_descents)

    def _until_stop(self):
        """Iterations until the end, or until the next rows of a watcher or dump."""
        intervals = [e for e in (*(every for _, every in self.watchers), self.dump_every) if e is not None]
        return min([self.total - self.step, *(e - self.step % e for e in intervals)])

    def _dump_due(self):
        return self.dumper is not None and self.step % self.dump_every == 0

    def _dump(self, params, after):
        """The dump of theta_k = `params`, whose iteration led to `after`; None: at the end."""
        iteration = self.step - (after is not None)
        if iteration == self.dumped:  # a run that was stopped after its last dump
            return
        searches = has_search(self.state.opt_state)
        key = self.assembly.step_key(iteration, searches)
        moment = Moment(iteration, params, after, self.assembly.batch(iteration), key)
        self.writer.append(self.dumper.take(moment))
        self.dumped = iteration

    def _watch(self, status):
        """The watchers' rows, every so often and at the end."""
        ending = self.step == self.total or self._ends(status)
        for watcher, every in self.watchers:
            if ending or self.step % every == 0:
                self.writer.append(watcher.rows(self.state.params, self.step))

    def _ending(self, status, stop):
        if self._ends(status):
            state, reason = ENDINGS[status]
            return state, reason.format(k=self.step - 1)
        if self.step < self.total and stop.is_set():
            return (
                "interrupted",
                f"stopped after {counted(self.step, 'iteration')}; the same command continues",
            )
        return "finished", None

    def _chunk(self, count):
        """Run up to `count` iterations and append their rows; returns (last status, newest error)."""
        begun = time.monotonic()
        steps, descent, epoch = self.assembly.steps(self.step, count, self.training.length)
        self.state, infos, collected, done = self.training.chunk(
            self.state, self.assembly.data, self.assembly.key, steps, count
        )
        infos, collected, done = jax.device_get((infos, collected, done))
        done = int(done)
        elapsed = time.monotonic() - begun
        seconds = self.seconds + elapsed * np.arange(1, done + 1) / done
        rows, self.evaluations = chunk_rows(
            infos,
            collected,
            step=self.step,
            done=done,
            descent=descent,
            epoch=epoch,
            seconds=seconds,
            evaluations=self.evaluations,
        )
        self.writer.append(rows)
        self.step += done
        self.seconds += elapsed
        ends = infos.loss_end if self.record["loss_end"] else infos.loss
        return int(infos.status[done - 1]), float(ends[done - 1])

    def _close(self, state, reason):
        try:
            self.writer.set_status(state, reason)
        finally:
            self.writer.close()
