"""One run from its config to its folder: train, record, stop cleanly, continue, never train twice."""

from pathlib import Path

from gdlab import store
from gdlab.config import ConfigError
from gdlab.interruption import interruptible
from gdlab.messages import counted
from gdlab.own_code import changed_since
from gdlab.probing import run_probe
from gdlab.progress import Progress
from gdlab.recording import as_begun, begun, group_of
from gdlab.session import Session
from gdlab.store.config import differences
from gdlab.store.folder import check_config

__all__ = ["EXPECTED_ERRORS", "run", "run_probe", "trained"]

EXPECTED_ERRORS = (ConfigError, FileNotFoundError, store.StoreError)


def run(config, folder, *, progress=True):
    """Train what `config` describes and record it in `folder`; continue what was interrupted there.

    Args:
      config: plain dict as composed from conf/config.yaml.
      folder: the run folder; a finished run in it is left as it is.
      progress: show progress on stderr.

    Returns:
      The Run, its state "finished", "diverged" or "interrupted" (Ctrl-C).

    Raises:
      ConfigError, FileNotFoundError, gdlab.store.StoreError: with what is wrong, where, and what would
        be right; nothing is written unless training had begun.
    """
    folder = Path(folder)
    config = as_begun(config, folder)
    finished = already_finished(config, folder)
    if finished is not None:
        if progress:
            longer = (
                ""
                if len(finished.stages) == 1
                else f" after {counted(finished.rows('scalars'), 'iteration')}"
            )
            Progress(folder.name, 0).say(
                f"already {finished.state}{longer}, not trained again{changed_since(finished)}"
            )
        return finished
    if group_of(folder):
        return _as_member(config, folder, progress)
    return trained(lambda: Session(config, folder), folder, progress)


def trained(begin, folder, progress=True):
    """The Run of the Session that `begin()` makes, trained to its end; raises what either raises."""
    with interruptible() as stop:
        # Also while the folder is being made: a Ctrl-C then waits until there is something to continue.
        session = begin()
        schedule = session.assembly.schedule
        if progress and schedule is not None and (left := schedule.left_out()):
            Progress(folder.name, 0).say(left)
        with Progress(folder.name, session.total, session.step) as shown:
            for note in session.notes if progress else ():
                shown.say(note)
            state, reason = session.train(stop, shown if progress else None)
    if progress:
        text = f"{state}: {reason}" if reason else state
        shown.say(
            f"{text}; {counted(session.step, 'iteration')} in {session.seconds:.1f} s, recorded in {folder}"
        )
    return store.open_run(folder)


def _as_member(config, folder, progress):
    """Go on with a run that was begun in a group: only the program of a group gives its bits."""
    from gdlab.ensemble import train

    (outcome,) = train([config], [folder], progress=progress)
    if outcome.error is not None:
        raise outcome.error
    return outcome.run


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
