"""The one place where a probe gets its problem: what the run in a folder can give, whoever trained it."""

import os

from gdlab.execution.replay import Replay
from gdlab.execution.replaying import Replaying
from gdlab.plan.sources import Places


def open_replay(path: str | os.PathLike, places: Places | None = None) -> Replaying:
    """What probes are given of the run in `path`; places: as of `Replay`.

    Raises StoreError, ConfigError and FileNotFoundError as of `Replay`.
    """
    return Replay(path, places)
