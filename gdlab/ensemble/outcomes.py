"""Train many runs: in groups where they differ in numbers and seeds alone, the others one after the other."""

import json
import logging
import math
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from gdlab import store
from gdlab.ensemble.grouping import compatible, structure
from gdlab.ensemble.width import choose_width
from gdlab.execution.alone import EXPECTED_ERRORS, already_finished, train_alone
from gdlab.execution.interruption import interruptible
from gdlab.execution.members import Member
from gdlab.execution.programs import GroupProgram, Together
from gdlab.execution.progress import Progress
from gdlab.execution.recording import as_begun, group_of
from gdlab.execution.session import Session
from gdlab.messages import counted, described
from gdlab.plan.assembly import assemble
from gdlab.plan.options import plan_of
from gdlab.plan.parts import make_optimizer
from gdlab.store.config import training_keys

_log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What became of one run: its folder, its Run or None, the error that ended it or None."""

    folder: Path
    run: Any
    error: Exception | None = None

    @property
    def state(self) -> str:
        """That of the run: "finished", "diverged", "interrupted"; else "failed" or "not started"."""
        if self.error is not None:
            return "failed"
        return "not started" if self.run is None else self.run.state


class Group(NamedTuple):
    """Runs that one program trains at once: their numbers, what varies, members of each device, and the run
    by whose config the program is made."""

    jobs: tuple
    varied: tuple
    width: int
    model: int


class _Assemblies:
    """The last assembly made: loading data takes long, keeping the data of all takes memory."""

    def __init__(self):
        self.key = self.made = None

    def __call__(self, plan):
        key = json.dumps(training_keys(plan.config), sort_keys=True)
        if key != self.key:
            self.key, self.made = key, assemble(plan)
        return self.made


def train(
    configs: Iterable[dict],
    folders: Iterable[str | os.PathLike],
    *,
    progress: bool = True,
    width: int | None = None,
) -> list[Outcome]:
    """Train each of `configs` and record it in its folder, as `gdlab.experiment.run` does with one.

    Runs that differ in seeds and numbers alone (learning rate, momentum, weight decay, ...) share one
    compiled program, on all devices that JAX sees; the others are trained one by one, with the reason logged.
    What is finished is left as it is, what was interrupted goes on with the width that it was begun with.

    Args:
      configs: plain dicts as composed from conf/config.yaml.
      folders: of the runs, as many, all different.
      progress: show what is done on stderr.
      width: members of a program on each device; None: as many as fit, see `gdlab.ensemble.width`.

    Returns:
      An Outcome for each config, in order. A run that fails does not end the others. After Ctrl-C the runs in
      progress are "interrupted" and the rest "not started"; the same call continues.

    Raises:
      ValueError: folders that are not as many as the configs, or not all different; a wrong width.
    """
    configs, paths = list(configs), [Path(folder) for folder in folders]
    _check(configs, paths, width)
    outcomes: dict[int, Outcome] = {}
    say = Progress(counted(len(configs), "run"), 0).say if progress else lambda text: None
    with interruptible() as stop:
        plans = _unfinished(configs, paths, outcomes)
        assembled = _Assemblies()
        groups, alone = _planned(plans, paths, assembled, width, say)
        _log_reasons(paths, alone, say)
        programs: dict = {}
        for number, group in enumerate(groups):
            if not stop.is_set():
                title = (
                    f"group {number + 1} of {len(groups)}, {counted(len(group.jobs), 'run')}"
                    if progress
                    else None
                )
                outcomes |= _train_group(plans, paths, group, stop, assembled, programs, title)
        for job in alone:
            if not stop.is_set():
                outcomes[job] = _train_alone(configs[job], paths[job], progress, stop)
    results = [outcomes.get(job, Outcome(path, None)) for job, path in enumerate(paths)]
    counts = Counter(outcome.state for outcome in results)
    say(", ".join(f"{count} {state}" for state, count in counts.items()))
    for outcome in results:
        if outcome.error is not None:
            say(f"failed: {outcome.folder}: {described(outcome.error, EXPECTED_ERRORS)}")
    return results


def _check(configs, folders, width):
    if len(configs) != len(folders):
        raise ValueError(f"{len(configs)} configs, but {len(folders)} folders: one for each is needed")
    twice = [str(folder) for folder, count in Counter(f.absolute() for f in folders).items() if count > 1]
    if twice:
        raise ValueError(
            f"a folder of its own for each run is needed; given more than once: {', '.join(twice)}"
        )
    if width is not None and (isinstance(width, bool) or not isinstance(width, int) or width < 1):
        raise ValueError(f"width={width!r}: allowed: null (as many as fit), an integer >= 1")


def _unfinished(configs, folders, outcomes):
    """{job: Plan} of those that need training, their configs as they were begun; outcomes of those that do
    not, or that cannot be used."""
    plans = {}
    for job, folder in enumerate(folders):
        try:
            config = configs[job] = as_begun(configs[job], folder)
            finished = already_finished(config, folder)
            if finished is None:
                plan = plan_of(config)
                with plan.in_precision():
                    make_optimizer(plan)
                plans[job] = plan
            else:
                outcomes[job] = Outcome(folder, finished)
        except EXPECTED_ERRORS as error:
            outcomes[job] = Outcome(folder, None, error)
    return plans


def _planned(plans, folders, assembled, width, say):
    """([Group], {job: why alone}) of what is to be trained."""
    begun = {job: group_of(folders[job]) for job in plans}
    alone = {job: "it was begun as a run of its own" for job in plans if begun[job] == {}}
    groups = _resumed(plans, {job: group for job, group in begun.items() if group})
    fresh = [job for job in plans if begun[job] is None]
    found = []
    try:
        found, reasons = compatible(plans, fresh, assembled)
        alone |= reasons
    except EXPECTED_ERRORS as error:
        # One of them cannot be assembled: alone each says what is wrong with it.
        alone |= dict.fromkeys(fresh, f"not all of the runs can be assembled: {error}")
    for runs in found:
        chosen = width or choose_width(assembled(plans[runs.jobs[0]]), len(runs.jobs), _devices())
        places = chosen * _devices()
        count = math.ceil(len(runs.jobs) / places)
        say(
            f"{counted(len(runs.jobs), 'run')} that differ in {', '.join(runs.varied) or 'nothing'}: "
            f"{counted(count, 'group')} of {places}"
        )
        parts = [runs.jobs[start : start + places] for start in range(0, len(runs.jobs), places)]
        groups += [Group(part, runs.varied, chosen, runs.jobs[0]) for part in parts]
    return groups, alone


def _resumed(plans, begun):
    """Groups of the runs that were begun as members of a group: the same program, hence the same width."""
    alike: dict[tuple, list] = {}
    for job, group in begun.items():
        varied = tuple(group["varied"])
        alike.setdefault((varied, group["width"], _constants(plans[job].config, varied)), []).append(job)
    groups = []
    for (varied, width, _), jobs in alike.items():
        places = width * _devices()
        parts = [tuple(jobs[start : start + places]) for start in range(0, len(jobs), places)]
        groups += [Group(part, varied, width, jobs[0]) for part in parts]
    return groups


def _constants(config, varied):
    """All that alters a training but the keys that vary, as text."""
    free = [key for key, value in json.loads(structure(config)).items() if value == "*"]
    return structure(config, tuple(key for key in free if key not in varied))


def _train_group(plans, folders, group, stop, assembled, programs, title):
    """Train one group, by its program among `programs`; {job: Outcome} of its runs."""
    plan = plans[group.model]
    members = [Member(plans[job], folders[job], index) for index, job in enumerate(group.jobs)]
    session, error = None, None
    try:
        with plan.in_precision():
            key = (group.model, group.varied, group.width)
            if key not in programs:
                programs.clear()  # groups of one program follow one another; its data need not stay
                programs[key] = GroupProgram(
                    assembled(plan), varied=group.varied, width=group.width, devices=_devices()
                )
            program = Together(programs[key], [member.plan for member in members])
            session = Session(program, members)
            with Progress(title or "", session.total * len(members), session.step * len(members)) as shown:
                session.train(stop, shown.update if title else None)
        if title:
            shown.say(f"{counted(session.step, 'iteration')} of each in {session.seconds:.1f} s")
    except Exception as raised:
        _log.debug("a group failed", exc_info=True)
        error = raised
    outcomes = {}
    for job, member in zip(group.jobs, members, strict=True):
        failed = member.error or (error if member.state in (None, "failed") else None)
        run = store.open_run(folders[job]) if failed is None else None
        outcomes[job] = Outcome(folders[job], run, failed)
    return outcomes


def _train_alone(config, folder, progress, stop):
    try:
        run = train_alone(config, folder, progress)
    except Exception as error:
        _log.debug("a run failed", exc_info=True)
        return Outcome(folder, None, error)
    if run.state == "interrupted":
        stop.set()
    return Outcome(folder, run)


def _log_reasons(folders, alone, say):
    for job, reason in alone.items():
        _log.info("%s is trained alone: %s", folders[job].name, reason)
        say(f"{folders[job].name} is trained alone: {reason}")


def _devices():
    return len(jax.devices())
