"""One run from its config to its folder: train, record, stop cleanly, continue, never train twice."""

import os
from pathlib import Path

from gdlab import store
from gdlab.execution.alone import EXPECTED_ERRORS, already_finished, train_alone
from gdlab.execution.own_code import changed_since
from gdlab.execution.probing import run_probe
from gdlab.execution.progress import Progress
from gdlab.execution.recording import as_begun, group_of
from gdlab.messages import counted

__all__ = ["EXPECTED_ERRORS", "run", "run_probe"]


def run(config: dict, folder: str | os.PathLike, *, progress: bool = True) -> store.Run:
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
    return train_alone(config, folder, progress)


def _as_member(config, folder, progress):
    """Go on with a run that was begun in a group: only the program of a group gives its bits."""
    from gdlab.ensemble import train

    (outcome,) = train([config], [folder], progress=progress)
    if outcome.error is not None:
        raise outcome.error
    return outcome.run
