"""A training in progress: one run or a group of them, the state they are in and the folders they are in.

JAX runs chunks of iterations, the store keeps what they did. A chunk is never recorded in part, and a
checkpoint is only kept once the rows before it are published, so that whatever interrupts a run, the next
start finds a state and the rows that belong to it.
"""

import time

import jax
import numpy as np

from gdlab.execution.cadence import Every, Pace
from gdlab.execution.members import Member, guarded
from gdlab.execution.programs import Alone, searches
from gdlab.execution.recording import ENDINGS, arrays_of, facts_of
from gdlab.messages import counted
from gdlab.monitors.dumps import Moment
from gdlab.plan.assembly import assemble
from gdlab.plan.options import plan_of
from gdlab.plan.sources import located
from gdlab.records import DIVERGED
from gdlab.store import requests
from gdlab.training.devices import in_its_precision

WAITING_BYTES = 64 << 20  # rows of a group that may wait to be appended
SHARE = 0.05  # of the time that publishing and keeping the folders of a group may take


def session_of(config, folder, *, places=None, prepare=lambda: None):
    """The Session of one run: made, it is ready to `train`, and the folder is its writer's.

    config: plain dict, as it is recorded; folder: of the run. places: the `sources.Places` that data
    and earlier runs are read from, where the config is of a recorded run; None: as the config says.
    prepare(): called when all else is sound, before the folder is touched. Raises as
    `gdlab.experiment.run`.
    """
    plan = plan_of(config if places is None else located(config, places))
    assembly = assemble(plan, places, training=True)
    with plan.in_precision():
        program = Alone(assembly)
    member = Member(plan, folder, config=config, prepare=prepare)
    member.notes += getattr(assembly.dataset, "notes", ())  # what its user should know
    session = Session(program, [member])
    if member.error is not None:
        raise member.error
    return session


class Session:
    """Of the runs that one program trains: made, it is ready to `train`, and the folders are its writers'.

    program: `Alone` or `Together`; members: list of Member, at most as many as it has places.
    step: iterations that are done; total: of each run; seconds: of this session.
    """

    def __init__(self, program, members):
        self.program, self.members, self.assembly = program, members, program.assembly
        self.plan = members[0].plan
        self.total, self.record = self.plan.train.steps, self.plan.record
        self.step, self.seconds = 0, 0.0
        self.waiting = []
        self._begin()

    def in_precision(self):
        """JAX in the precision of the runs within the block."""
        return self.plan.in_precision()

    @in_its_precision
    def _begin(self):
        self.state = self.program.init()
        for index, error in self.program.refused(self.state).items():
            if index < len(self.members):
                self.members[index].fail(error)
        facts, arrays = self._described()
        self._each(lambda member: member.find(facts, self.program.compact))
        kept = self._gone_back()
        self._each(lambda m: m.open(facts | self.program.facts(m.index), arrays, kept[m.index]))
        one = self.program.apart(self.state)
        self._each(lambda member: member.begin(one(member.index).params))
        for watcher, _ in self.program.watchers:
            self._append(watcher, [m for m in self.active() if all(map(m.lacks, watcher.specs()))])
        self._each(Member.commit)
        self._each(lambda member: requests.answered(member.folder, requests.STOP))  # asked of one before
        for member in self.active():
            with guarded(member):
                member.notes += self.program.carry(member.folder, self.state)
        if self.program.starts:
            self._keep(self.active())

    def _described(self):
        """(facts, arrays) of every member's folder."""
        facts = facts_of(self.assembly)
        params = jax.eval_shape(lambda state: self.program.params(state.params, 0), self.state)
        arrays = arrays_of(self.assembly, params, self.program.watchers)
        if self.program.dump_every is not None:
            for member in self.members:
                member.dumper = self.program.dumper_of(member.index)
            dumper = self.members[0].dumper
            arrays |= dumper.specs(params)
            facts["network"] = dumper.network
        return facts, arrays

    def _gone_back(self):
        """{member: Kept} of the last iteration of which all have a whole state: there they go on."""
        like, limit = self.program.apart(self.state)(0), None
        while True:
            kept = {}
            for member in self.active():
                with guarded(member):
                    kept[member.index] = member.kept(like, limit)
            steps = {kept[member.index].step for member in self.active()}
            if len(steps) <= 1:
                break
            limit = min(steps)
        self.step = max(steps, default=0)
        if any(found.state is not None for found in kept.values()):
            some = next(found.state for found in kept.values() if found.state is not None)
            found = [kept[m.index].state if m.index in kept else None for m in self.members]
            self.state = self.program.joined([some if state is None else state for state in found])
        return kept

    def active(self):
        """The members that are still being trained."""
        return [member for member in self.members if member.active]

    @in_its_precision
    def train(self, stop, shown=None):
        """Run to the end, or until the event `stop`; shown: None, or told iterations done in all and an
        error. How each run ended stands in its Member; what ends all of them at once is raised."""
        try:
            self._train(stop, shown)
            self._finish(stop)
        except BaseException as error:
            for member in self.active():
                member.fail(error)
            raise

    def _train(self, stop, shown):
        share = SHARE if self.program.places > 1 else None
        pace = Pace(self.program.length)
        commit, keep = (
            Every(seconds, share) for seconds in (self.record.commit_seconds, self.record.checkpoint_seconds)
        )
        while self.step < self.total and self.active() and not stop.is_set():
            begun = time.monotonic()
            due, before = self._dump_due(), self.state.params
            count = 1 if due else min(pace.count, self._until_stop())
            first = self.step
            status, loss = self._chunk(count)
            if due:
                self._dump(self.active(), before, self.state.params)
            else:
                pace.ran(self.step - first, time.monotonic() - begun)
            ended = [member for member in self.active() if self._ends(status[member.index])]
            self._watch(ended)
            self._end(ended, lambda member, told=status: self._ending(told[member.index]))
            if shown is not None:
                shown(self.step * len(self.members), loss)
            if commit.is_due():
                with commit:
                    self._settle()
                    self._each(Member.commit)
                self._interrupt([m for m in self.active() if requests.stop_taken(m.folder)])
            if keep.is_due():
                with keep:
                    self._keep(self.active())

    def _finish(self, stop):
        if self.step < self.total and stop.is_set():
            self._interrupt(self.active())
        else:
            self._end(self.active(), lambda member: ("finished", None))

    def _interrupt(self, members):
        """Members end as they are; they can go on later."""
        if members:
            self._keep(members)
        text = f"stopped after {counted(self.step, 'iteration')}; the same command continues"
        for member in members:
            with guarded(member):
                member.end("interrupted", text)

    def _end(self, members, ending):
        """The last dump, the last state and the status of members; ending(member) -> (state, reason)."""
        if not members:
            return
        self._dump(members, self.state.params, None)
        self._keep(members)
        for member in members:
            if member.active:
                with guarded(member):
                    member.end(*ending(member))

    def _ends(self, status):
        """Whether a member's last status ends its whole run."""
        return status in ENDINGS and (status == DIVERGED or not self.assembly.several_descents)

    def _ending(self, status):
        state, reason = ENDINGS[int(status)]
        return state, reason.format(k=self.step - 1)

    def _until_stop(self):
        """Iterations until the end, or until the next rows of a watcher or dump."""
        intervals = [every for _, every in self.program.watchers]
        intervals += [] if self.program.dump_every is None else [self.program.dump_every]
        return min([self.total - self.step, *(every - self.step % every for every in intervals)])

    def _chunk(self, count):
        """Run up to `count` iterations; (last status [W], the lowest newest error)."""
        begun = time.monotonic()
        running = self.active()
        active = np.zeros(self.program.places, bool)
        active[[member.index for member in running]] = True
        self.state, chunk = self.program.chunk(self.state, self.step, count, active)
        done = len(chunk.descent)
        elapsed = time.monotonic() - begun
        self.step += done
        self.seconds += elapsed
        self._add(chunk, np.full(done, elapsed / done / len(running)))
        ends = (chunk.infos.loss_end if self.record.loss_end else chunk.infos.loss)[-1]
        return chunk.infos.status[-1], float(np.fmin.reduce(np.where(active, ends, np.inf)))

    def _add(self, chunk, share):
        """Append rows; those of a group wait: a hundred folders are written once, not once a chunk."""
        if len(self.members) > 1:
            # Copies: a view would keep the whole of the program's buffers.
            chunk = jax.tree.map(np.array, chunk)
        self.waiting.append((chunk, share))
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(self.waiting))
        if len(self.members) == 1 or size > WAITING_BYTES:
            self._settle()

    def _settle(self):
        """Append the rows of the chunks that wait."""
        if self.waiting:
            chunk, share = jax.tree.map(lambda *parts: np.concatenate(parts), *self.waiting)
            self.waiting = []
            self._each(lambda member: member.add(chunk, share, self.step - len(share)))

    def _dump_due(self):
        every = self.program.dump_every
        return every is not None and self.step % every == 0

    def _dump(self, members, params, after):
        """The dumps of theta_k = `params`, whose iteration led to `after`; None: at the end."""
        if self.program.dump_every is None:
            return
        iteration = self.step - (after is not None)
        for member in members:
            pick, assembly = self.program.params, self.program.assembly_of(member.index)
            theta = pick(params, member.index)
            moved = None if after is None else pick(after, member.index)
            key = assembly.step_key(iteration, searches(self.state))
            with guarded(member):
                member.dump(Moment(iteration, theta, moved, assembly.batch(iteration), key))

    def _watch(self, ended):
        """The watchers' rows, every so often and at the end of a run."""
        for watcher, every in self.program.watchers:
            due = self.step == self.total or self.step % every == 0
            self._append(watcher, self.active() if due else ended)

    def _append(self, watcher, members):
        if members:
            rows = watcher.rows(self.state.params, self.step, [member.index for member in members])
            for member in members:
                with guarded(member):
                    member.writer.append(rows[member.index])

    def _keep(self, members):
        self._settle()
        one = self.program.apart(self.state)
        for member in members:
            with guarded(member):
                member.keep(one(member.index))

    def _each(self, act):
        """`act(member)` for all that are active."""
        for member in self.active():
            with guarded(member):
                act(member)
