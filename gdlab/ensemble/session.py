"""The training of one group: one compiled program, a run folder for each member.

As `gdlab.experiment` does for one run: chunks of iterations, rows that are published now and then, whole
states now and then, a clean end whatever interrupts it.
"""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import store
from gdlab.ensemble.watching import group_watchers
from gdlab.execution.group import SEED, everywhere, make_group, members_of, one_of, stacked
from gdlab.execution.recording import ENDINGS, arrays_of, facts_of
from gdlab.messages import counted
from gdlab.plan.builder import ConfigError
from gdlab.plan.soundness import check_problem
from gdlab.records import DIVERGED

LOOK_SECONDS = 0.5  # aim of the length of a chunk
WAITING_BYTES = 64 << 20  # rows that may wait to be appended
SHARE = 0.05  # of the time that publishing and keeping a hundred folders may take


class Program(NamedTuple):
    """What groups of one structure share, compiled once for all of them: made by `make_program`."""

    assembly: Any
    group: Any
    watchers: Any
    data: Any


def make_program(assembly, config, *, varied, width, devices=1):
    """The Program of runs like that of `config`; varied, width, devices as of `make_group`."""
    check_problem(assembly)
    group = make_group(assembly, config, varied=varied, width=width, devices=devices)
    return Program(assembly, group, group_watchers(assembly, config), everywhere(assembly.data, devices))


class GroupSession:
    """A group in training.

    program   its Program
    members   list of Member, at most as many as it has places
    """

    def __init__(self, program, members):
        self.members = members
        self.assembly, self.group, self.watchers, self.data = program
        self.config = members[0].config
        self.total = self.config["train"]["steps"]
        places = self.group.width * self.group.devices
        configs = [member.config for member in members]
        # Places that are left over are filled with copies; nobody looks at them.
        self.configs = configs + configs[:1] * (places - len(configs))
        self.inputs = members_of(self.configs, self.group.varied)
        self.schedules = [self.assembly.reseeded(config) for config in self._seeded()]
        for watcher, _ in self.watchers:
            watcher.choose([config[SEED] for config in self._seeded()])
        self.state = self.group.init(self.inputs)
        self.step = 0
        self.seconds = 0.0
        self.waiting = []
        self._refuse_starts()
        self._open()

    def _seeded(self):
        """The configs whose seeds matter: of all members, or of one where all have the same."""
        return self.configs if SEED in self.group.varied else self.configs[:1]

    def _refuse_starts(self):
        """A step that is not kept says the error at the start, by the program that is compiled anyway."""
        nobody = jnp.zeros(len(self.configs), bool)
        steps = self._steps(1)[0]
        infos = self.group.chunk(self.state, self.data, self.inputs, steps, 1, nobody)[1]
        values = np.asarray(infos.loss)[0]
        for member in self.members:
            value = float(values[member.index])
            if not np.isfinite(value):
                text = f"problem: the error at the start is {value}, not finite; choose another start or seed"
                member.error = ConfigError(text)
                member.end("failed", text)

    def _open(self):
        """Go to the last iteration that all members have kept, and open their folders there."""
        common = set.intersection(*(member.kept() for member in self.active())) if self.active() else {0}
        like = one_of(self.state, 0)
        while [member for member in self.active() if not member.is_whole(max(common), like)]:
            common.remove(max(common))
        step, cursors = max(common), {}
        if step:
            restored = {}
            for member in self.active():
                with _Guarded(member):
                    restored[member.index] = member.restore(step, like)
            cursors = {index: rows for index, (_, rows) in restored.items()}
            some = next(iter(restored.values()), (like,))[0]
            states = [restored[i][0] if i in restored else some for i in range(len(self.configs))]
            self.state, self.step = stacked(states), step
        params = jax.eval_shape(lambda state: one_of(state, 0).params, self.state)
        arrays = arrays_of(self.assembly, self.config, params, self.watchers)
        facts = facts_of(self.assembly, self.config)
        for member in self.active():
            place = {"width": self.group.width, "index": member.index % self.group.width}
            place["varied"] = list(self.group.varied)
            with _Guarded(member):
                member.open({**facts, "group": place}, arrays, cursors.get(member.index))
        host = jax.device_get(self.state)
        for member in self.active():
            with _Guarded(member):
                member.begin(one_of(host, member.index).params)
        for watcher, _ in self.watchers:
            new = [m for m in self.active() if all(m.lacks(name) for name in watcher.specs())]
            self._append(watcher, new)
        self._each(lambda member: member.commit())

    def active(self):
        """The members that are still being trained."""
        return [member for member in self.members if member.active]

    def train(self, stop, shown):
        """Run to the end, or until the event `stop`; shown: None, or told iterations done and an error."""
        try:
            self._train(stop, shown)
            self._finish(stop)
        except BaseException as error:
            for member in self.active():
                member.error = error
                _end_quietly(member, "failed", f"{type(error).__name__}: {error}")
            raise

    def _train(self, stop, shown):
        count, compiled = 4, False
        committed = kept = time.monotonic()
        cost = {"commit": 0.0, "keep": 0.0}
        record = self.config["record"]
        while self.step < self.total and self.active() and not stop.is_set():
            begun = time.monotonic()
            loss = self._chunk(min(count, self._until_stop()))
            now = time.monotonic()
            if compiled:
                wanted = np.clip(count * LOOK_SECONDS / max(now - begun, 1e-3), count / 4 + 1, count * 4)
                count = min(int(wanted), self.group.length)
            compiled = True
            self._watch()
            if shown is not None:
                shown(self.step * len(self.members), loss)
            if now - committed > max(record["commit_seconds"], cost["commit"] / SHARE):
                cost["commit"] = self._commit()
                committed = time.monotonic()
            if now - kept > max(record["checkpoint_seconds"], cost["keep"] / SHARE):
                cost["keep"] = self._keep(self.active())
                kept = time.monotonic()

    def _finish(self, stop):
        left = self.active()
        self._keep(left)
        ended = self.step >= self.total or not stop.is_set()
        text = f"stopped after {counted(self.step, 'iteration')}; the same command continues"
        for member in left:
            with _Guarded(member):
                member.end(*(("finished", None) if ended else ("interrupted", text)))

    def _chunk(self, count):
        """Run up to `count` iterations and end who ended; returns the lowest newest error."""
        begun = time.monotonic()
        steps, descent, epoch = self._steps(count)
        active = np.zeros(len(self.configs), bool)
        active[[member.index for member in self.active()]] = True
        self.state, infos, collected, done = self.group.chunk(
            self.state, self.data, self.inputs, steps, count, jnp.asarray(active)
        )
        infos, collected, done = jax.device_get((infos, collected, done))
        done = int(done)
        elapsed = time.monotonic() - begun
        share = np.full(done, elapsed / done / len(self.active()))
        # Copies: a view would keep the whole of the program's buffers.
        infos, collected = jax.tree.map(lambda leaf: np.array(leaf[:done]), (infos, collected))
        self.waiting.append((infos, collected, descent[:done], epoch[:done], share))
        self.step += done
        if sum(leaf.nbytes for leaf in jax.tree.leaves(self.waiting)) > WAITING_BYTES:
            self._settle()
        self.seconds += elapsed
        ends = (infos.loss_end if self.config["record"]["loss_end"] else infos.loss)[-1]
        status = infos.status[-1]
        loss = float(np.nanmin(np.where(active, ends, np.inf)))
        self._end_some([m for m in self.active() if self._ends(status[m.index])], status)
        return loss

    def _steps(self, count):
        """Steps of the next `count` iterations, of each member where seeds vary; descents, epochs [count]."""
        made = [one.steps(self.step, count, self.group.length) for one in self.schedules]
        steps, descent, epoch = made[0]
        if SEED in self.group.varied and steps.index is not None:
            steps = steps._replace(index=np.stack([one.index for one, _, _ in made]))
        return steps, descent, epoch

    def _ends(self, status):
        return status in ENDINGS and (status == DIVERGED or not self.assembly.several_descents)

    def _end_some(self, ending, status):
        """The last rows, the last state and the status of members that have ended before the others."""
        if not ending:
            return
        for watcher, _ in self.watchers:
            self._append(watcher, ending)
        self._keep(ending)
        for member in [member for member in ending if member.active]:
            state, reason = ENDINGS[int(status[member.index])]
            with _Guarded(member):
                member.end(state, reason.format(k=self.step - 1))

    def _until_stop(self):
        """Iterations until the end, or until the next rows of a watcher."""
        return min([self.total - self.step, *(every - self.step % every for _, every in self.watchers)])

    def _watch(self):
        for watcher, every in self.watchers:
            if self.step == self.total or self.step % every == 0:
                self._append(watcher, self.active())

    def _append(self, watcher, members):
        if not members:
            return
        rows = watcher.rows(self.state.params, self.step, [member.index for member in members])
        for member in members:
            with _Guarded(member):
                member.writer.append(rows[member.index])

    def _settle(self):
        """Append the rows of the chunks that wait, to a hundred folders once and not once per chunk."""
        if self.waiting:
            chunks = jax.tree.map(lambda *parts: np.concatenate(parts), *self.waiting)
            self.waiting = []
            done = len(chunks[-1])
            self._each(lambda member: member.add(*chunks, step=self.step - done, done=done))

    def _commit(self):
        begun = time.monotonic()
        self._settle()
        self._each(lambda member: member.commit())
        return time.monotonic() - begun

    def _keep(self, members):
        begun = time.monotonic()
        self._settle()
        host = jax.device_get(self.state)
        for member in members:
            with _Guarded(member):
                member.keep(one_of(host, member.index))
        return time.monotonic() - begun

    def _each(self, act):
        """`act(member)` for all that are active."""
        for member in self.active():
            with _Guarded(member):
                act(member)


class _Guarded:
    """What is wrong with one folder ends that member, not the others."""

    def __init__(self, member):
        self.member = member

    def __enter__(self):
        return self.member

    def __exit__(self, kind, error, traceback):
        if kind is None or not issubclass(kind, (store.StoreError, OSError, ValueError)):
            return False
        self.member.error = error
        _end_quietly(self.member, "failed", f"{kind.__name__}: {error}")
        return True


def _end_quietly(member, state, reason):
    """End a member whose folder may be the reason; the first error is the one to see."""
    try:
        member.end(state, reason)
    except (store.StoreError, OSError, ValueError):
        member.state, member.reason = state, reason
