"""The one place where a probe gets its problem: what the run in a folder can give, whoever trained it."""

import os

from gdlab import store
from gdlab.execution.replay import Replay
from gdlab.execution.replaying import Replaying
from gdlab.exported import open_functions
from gdlab.plan.builder import ConfigError, check_sections
from gdlab.plan.sources import Places
from gdlab.store import functions


def open_replay(path: str | os.PathLike, places: Places | None = None) -> Replaying:
    """What probes are given of the run in `path`; places: as of `Replay`.

    Where its config names code that is not allowed here, the functions that the run carries take its place.
    Raises StoreError, ConfigError and FileNotFoundError as of `Replay`.
    """
    if not _is_allowed(store.open_run(path).config) and "chunk" in functions.names(path):
        return Replay(path, places, open_functions(path))
    return Replay(path, places)


def _is_allowed(config):
    try:
        check_sections(config)
    except ConfigError:
        return False
    return True
