"""A finished run trained on: `python -m gdlab task=extend run=runs/NAME train.steps=2000`.

It goes on in its own folder from its last state, to the bits of a run that was as long from the beginning.
What was recorded stays; which configuration holds from which iteration on is kept with it (`Run.stages`).
"""

from pathlib import Path

from gdlab import store
from gdlab.commands.overrides import EXTENSION, check_extension
from gdlab.execution.alone import trained
from gdlab.execution.progress import Progress
from gdlab.execution.recording import check_ours
from gdlab.execution.session import session_of
from gdlab.messages import counted
from gdlab.plan.builder import ConfigError, takes
from gdlab.plan.ranges import STEPS
from gdlab.plan.sources import around
from gdlab.plan.targets import short
from gdlab.store.config import with_options
from gdlab.store.extension import extend as extend_record


def extend_task(config, overrides=(), *, progress=True):
    """Train the run that `config` names on, to `train.steps` iterations in all; returns the Run.

    overrides: the words of the command, of which all that would change something else is refused. The run
    may be anybody's: its data are read from `data_dir`, and not from where its own config says.

    Raises ConfigError for a missing run or option, and as `extend`.
    """
    if not config.get("run"):
        raise ConfigError(f"task=extend needs the folder of a recorded run: {EXTENSION}")
    check_extension(overrides)
    data = [config["data_dir"]] if config.get("data_dir") else []
    return extend(config["run"], config["train"]["steps"], data=data, progress=progress)


def extend(folder, steps, *, data=(), progress=True):
    """Train a finished run on, in its folder; an extension that was interrupted goes on.

    Args:
      folder: of the run. steps: iterations that it is to have in all, more than it has.
      data: folders that its data may be read from, besides GDLAB_DATA and the user's cache.
      progress: show it on stderr.

    Returns:
      The Run, its state "finished", "diverged" or "interrupted" (Ctrl-C).

    Raises:
      ConfigError: it cannot be extended, with the reason; what `gdlab.experiment.run` raises.
    """
    folder = Path(folder)
    run = store.open_run(folder)
    check_ours(run.config, run.name)
    if type(steps) is not int or not STEPS.holds(steps):
        raise ConfigError(
            f"train.steps={short(steps)}: allowed: {STEPS}, more than the {run.rows('scalars'):,} of the run"
        )
    config = with_options(run.config, {"train.steps": steps})
    if run.config["train"]["steps"] == steps and (len(run.stages) > 1 or run.state == "finished"):
        if run.state in ("finished", "diverged"):
            if progress:
                Progress(folder.name, 0).say(
                    f"already {run.state} after {counted(run.rows('scalars'), 'iteration')}"
                )
            return run
        prepare = _nothing
    else:
        _check(run, steps)
        reason = f"extended to {counted(steps, 'iteration')}, which are not trained yet"

        def prepare():
            for error in run.verify():  # a resume would find it, too late
                raise error
            extend_record(folder, {"train.steps": steps}, reason)

    places = around(folder, data)
    return trained(lambda: session_of(config, folder, places=places, prepare=prepare), folder, progress)


def _nothing():
    """What has to be done before an extension goes on."""


def _check(run, steps):
    """Refuse what could not go on as if it had been that long from the beginning; raises ConfigError."""
    rows, planned = run.rows("scalars"), run.config["train"]["steps"]
    name, schedule = run.path, run.config.get("schedule")
    if run.identity.get("group"):
        raise ConfigError(
            f"{name} was trained in a group, whose program alone gives its bits: train the sweep anew with "
            f"train.steps={steps}"
        )
    begun = run.state == "interrupted" and len(run.stages) > 1  # an extension whose end may be another
    if run.state != "finished" and not begun:
        raise ConfigError(
            f"{name} is {run.state} after {rows:,} of {counted(planned, 'iteration')}: "
            "only a finished run can be extended; what was interrupted goes on by the command that began it"
        )
    if rows < planned and not begun:
        raise ConfigError(f"{name} ended by itself, {run.reason}: there is nothing to go on with")
    if steps <= rows:
        raise ConfigError(
            f"train.steps={steps}: allowed: more than the {counted(rows, 'iteration')} of {name}"
        )
    if not any(run.checkpoints):
        raise ConfigError(
            f"{name}: no state of it is left to go on from: train it anew with train.steps={steps}"
        )
    if schedule is not None and takes(schedule, "steps"):
        raise ConfigError(
            f"{name}: its schedule ({schedule['_target_']}) is laid over all iterations, so a longer run "
            f"would have had other learning rates from the beginning: train it anew with train.steps={steps}"
        )
