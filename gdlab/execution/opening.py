"""The one place where a probe gets its problem: what the run in a folder can give, whoever trained it."""

import os

from gdlab import store
from gdlab.execution.handed import HandedOver
from gdlab.execution.recording import check_ours
from gdlab.execution.replay import Replay
from gdlab.execution.replaying import Replaying
from gdlab.exported import open_functions
from gdlab.plan.builder import ConfigError, check_sections
from gdlab.plan.sources import Places
from gdlab.store import functions
from gdlab.store.effects import is_of_recorder


def open_replay(path: str | os.PathLike, places: Places | None = None) -> Replaying:
    """What probes are given of the run in `path`; places: as of `Replay`.

    Of a loop that a Recorder has looked at: what it handed over. Where a config names code that is not
    allowed here, the functions that the run carries take its place.
    Raises StoreError, ConfigError and FileNotFoundError as of `Replay`.
    """
    run = store.open_run(path)
    if is_of_recorder(run.config):
        try:
            return HandedOver(path)
        except store.NoFunctions:
            check_ours(run.config, run.name)
    if not _is_allowed(run.config) and "chunk" in functions.names(path):
        return Replay(path, places, open_functions(path))
    return Replay(path, places)


def _is_allowed(config):
    try:
        check_sections(config)
    except ConfigError:
        return False
    return True
