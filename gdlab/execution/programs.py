"""What a session trains: one run, or the members of a group, behind one face.

`Alone` is a run by a program of its own, `Together` the members that a `GroupProgram` trains at once. Both
begin, run chunks and hand out the state of each member as a run alone has it; whoever records knows no more.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.execution import carrying
from gdlab.execution.group import SEED, everywhere, make_group, members_of, one_of, stacked
from gdlab.execution.watching import group_watchers, member, watchers_alone
from gdlab.plan import soundness
from gdlab.plan.assembly import training
from gdlab.plan.monitoring import dumper
from gdlab.plan.parts import learning_rate
from gdlab.training.iteration import has_search


class Chunk(NamedTuple):
    """What the members did in a chunk: StepInfo and what was collected, NumPy arrays [done, W, ...];
    descent, epoch: [done]."""

    infos: Any
    collected: Any
    descent: Any
    epoch: Any


class Alone:
    """One run.

    assembly: of the run. several_descents, length: as of its Training. places: how many members it trains.
    watchers: [(watcher, iterations between its rows)], asked as `gdlab.execution.watching` says.
    dump_every: iterations between two dumps, None: none are taken.
    compact: whether states are kept without their classes (`plain_checkpoints`).
    starts: whether the state before the first iteration is kept, too.
    """

    places, starts = 1, True

    def __init__(self, assembly):
        soundness.check_problem(assembly)
        self.assembly = assembly
        self._training = training(assembly)
        self.length = self._training.length
        self.watchers = watchers_alone(assembly)
        self._dumper, self.dump_every = dumper(assembly)
        # What may be read by who has none of the code, is kept without its classes.
        self.compact = carrying.wanted(assembly.plan)

    def init(self):
        """The state before the first iteration."""
        return self._training.init(self.assembly.key, self.assembly.data)

    def refused(self, state):
        """{member: ConfigError} of those that cannot begin; of a run alone it is raised."""
        soundness.check_start(self._training, state, self.assembly)
        soundness.check_compiles(self._training, state, self.assembly)
        return {}

    def chunk(self, state, step, count, active):
        """(state, Chunk) after up to `count` iterations from `step` on; active [places]: who is trained."""
        del active
        steps, descent, epoch = self.assembly.steps(step, count, self.length)
        state, *found = self._training.chunk(state, self.assembly.data, self.assembly.key, steps, count)
        infos, collected, done = jax.device_get(found)
        infos, collected = jax.tree.map(lambda leaf: leaf[:done, None], (infos, collected))
        return state, Chunk(infos, collected, descent[:done], epoch[:done])

    def apart(self, state):
        """(index) -> the TrainState of a member, to be kept."""
        return lambda index: state

    def joined(self, states):
        """The state that consists of `states`, one a member."""
        (state,) = states
        return state

    def params(self, params, index):
        """The parameters of a member."""
        del index
        return params

    def assembly_of(self, index):
        """The Assembly whose batches and keys a member has."""
        del index
        return self.assembly

    def dumper_of(self, index):
        """The Dumper of a member; None where no dumps are taken."""
        del index
        return self._dumper

    def facts(self, index):
        """What the identity of a member says of its group."""
        del index
        return {}

    def carry(self, folder, state):
        """Put the run's functions into its folder, where it carries them; sentences about what cannot."""
        return carrying.carry(folder, self.assembly, self._training, state) if self.compact else []


class GroupProgram:
    """What groups of one structure share, compiled once for all of them.

    assembly: of any of the runs; varied, width, devices as of `make_group`.
    """

    def __init__(self, assembly, *, varied, width, devices=1):
        soundness.check_problem(assembly)
        self.assembly = assembly
        self.group = make_group(assembly, varied=varied, width=width, devices=devices)
        self.watchers = group_watchers(assembly)
        self.dumper, self.dump_every = dumper(assembly)
        self.data = everywhere(assembly.data, devices)


class Together:
    """Runs that one GroupProgram trains at once; attributes and methods as of `Alone`.

    plans: of the runs, at most as many as there are places.
    """

    compact, starts = True, False

    def __init__(self, program, plans):
        self._program, self._group = program, program.group
        self.assembly, self.watchers, self.dump_every = program.assembly, program.watchers, program.dump_every
        self.length, self.places = self._group.length, self._group.width * self._group.devices
        # Places that are left over are filled with copies; nobody looks at them.
        self._plans = [*plans, *plans[:1] * (self.places - len(plans))]
        self._inputs = members_of(self._plans, self._group.varied)
        seeded = self._plans if self._seeds else self._plans[:1]
        self._schedules = [self.assembly.reseeded(plan) for plan in seeded]
        for watcher, _ in self.watchers:
            watcher.choose([plan.seed for plan in seeded])

    @property
    def _seeds(self):
        return SEED in self._group.varied

    def init(self):
        """The state before the first iteration."""
        return self._group.init(self._inputs)

    def refused(self, state):
        """{member: ConfigError}: a step that is not kept, by the program that is compiled anyway, says the
        error at the start."""
        infos = self._run(state, self._steps(0, 1)[0], 1, np.zeros(self.places, bool))[1]
        found = dict(enumerate(map(soundness.refused_start, np.asarray(infos.loss)[0].tolist())))
        return {index: error for index, error in found.items() if error is not None}

    def chunk(self, state, step, count, active):
        """(state, Chunk) after up to `count` iterations from `step` on; fewer where an active one ends."""
        steps, descent, epoch = self._steps(step, count)
        state, *found = self._run(state, steps, count, active)
        infos, collected, done = jax.device_get(found)
        infos, collected = jax.tree.map(lambda leaf: leaf[:done], (infos, collected))
        return state, Chunk(infos, collected, descent[:done], epoch[:done])

    def apart(self, state):
        """(index) -> the TrainState of a member, to be kept."""
        host = jax.device_get(state)
        return lambda index: one_of(host, index)

    def joined(self, states):
        """The state that consists of `states`, one a member."""
        return stacked([*states, *states[:1] * (self.places - len(states))])

    def params(self, params, index):
        """The parameters of a member."""
        return member(params, index)

    def assembly_of(self, index):
        """The Assembly whose batches and keys a member has."""
        return self._schedules[index if self._seeds else 0]

    def dumper_of(self, index):
        """The Dumper of a member, by the programs of all; None where no dumps are taken."""
        if self._program.dumper is None:
            return None
        plan = self._plans[index]
        return self._program.dumper.of_run(seed=plan.seed, rate=learning_rate(plan))

    def facts(self, index):
        """What the identity of a member says of its group."""
        width, varied = self._group.width, list(self._group.varied)
        return {"group": {"width": width, "index": index % width, "varied": varied}}

    def carry(self, folder, state):
        """Members carry no functions."""
        del folder, state
        return []

    def _run(self, state, steps, count, active):
        return self._group.chunk(state, self._program.data, self._inputs, steps, count, jnp.asarray(active))

    def _steps(self, step, count):
        """Steps of the next `count` iterations, of each member where seeds vary; descents, epochs [count]."""
        made = [one.steps(step, count, self.length) for one in self._schedules]
        steps, descent, epoch = made[0]
        if self._seeds and steps.index is not None:
            steps = steps._replace(index=np.stack([one.index for one, _, _ in made]))
        return steps, descent, epoch


def searches(state):
    """Whether the members' iterations search along a line."""
    return has_search(state.opt_state)
