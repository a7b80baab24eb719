"""One training in its folder, from a session to its end; and whether there is anything left to train."""

from gdlab import store
from gdlab.execution.interruption import interruptible
from gdlab.execution.progress import Progress
from gdlab.execution.recording import begun
from gdlab.execution.session import session_of
from gdlab.messages import counted
from gdlab.plan.builder import ConfigError
from gdlab.store.config import differences
from gdlab.store.folder import check_config

EXPECTED_ERRORS = (ConfigError, FileNotFoundError, store.StoreError)


def train_alone(config, folder, progress=True):
    """The Run of `config` in `folder`, begun or continued as a training of its own; raises as
    `gdlab.experiment.run`."""
    return trained(lambda: session_of(config, folder), folder, progress)


def trained(begin, folder, progress=True):
    """The Run of the Session that `begin()` makes, trained to its end; raises what either raises."""
    with interruptible() as stop:
        # Also while the folder is being made: a Ctrl-C then waits until there is something to continue.
        session = begin()
        (member,) = session.members
        schedule = session.assembly.schedule
        if progress and schedule is not None and (left := schedule.left_out()):
            Progress(folder.name, 0).say(left)
        with Progress(folder.name, session.total, session.step) as shown:
            for note in member.notes if progress else ():
                shown.say(note)
            session.train(stop, shown.update if progress else None)
    if member.error is not None:
        raise member.error
    if progress:
        text = f"{member.state}: {member.reason}" if member.reason else member.state
        shown.say(
            f"{text}; {counted(session.step, 'iteration')} in {member.seconds:.1f} s, recorded in {folder}"
        )
    return store.open_run(folder)


def already_finished(config, folder):
    """The run in `folder` where it needs no more training; None where there is work to do.

    One that was extended since its command was given, is finished for that command, too.
    """
    found = begun(folder)
    earlier = [stage for _, stage in found.stages[:-1]] if found is not None else []
    if any(not differences(stage, config) for stage in earlier):
        steps = found.config["train"]["steps"]
        if found.state in ("finished", "diverged"):
            return found
        raise store.ConfigMismatch(
            f"{folder} was extended to {counted(steps, 'iteration')} and is {found.state}: python -m gdlab "
            f"task=extend run={folder} train.steps={steps} goes on"
        )
    if found is None or found.state not in ("finished", "diverged"):
        return None
    check_config(folder, config)
    return found
