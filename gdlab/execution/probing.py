"""Run a probe on a recorded run, by name: what the server's worker and the command line call."""

import importlib
import inspect
import os
import pkgutil
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gdlab import probes, store
from gdlab.execution.opening import open_replay
from gdlab.plan.builder import ConfigError, nearest, resolve
from gdlab.plan.sources import Places
from gdlab.records import Table

OPEN_REPLAYS = 4

_open = OrderedDict()


def run_probe(
    path: str | os.PathLike,
    probe: str,
    options: Mapping[str, Any],
    progress: Callable[[float, str], object] = lambda fraction, text: None,
    *,
    places: Places | None = None,
) -> Table:
    """The Table that `gdlab.probes.<probe>.compute` returns for the run in `path`.

    Its attrs have "replay" {compared, different, largest, changed, altered, replayed}: how all that was
    ever replayed of this run compared with its record, see `gdlab.execution.comparisons`.

    Args:
      path: run folder.
      probe: name of a module in gdlab.probes; or MODULE.FUNCTION of one's own, which GDLAB_TARGETS allows.
      options: keyword options of its `compute`.
      progress: (fraction in [0, 1], text) -> None; raising in it cancels the probe.
      places: the `gdlab.plan.sources.Places` that data and earlier runs are read from, as of `Replay`.

    Raises:
      ConfigError: unknown probe, or not allowed; ValueError: its options; StoreError: the run cannot be
        read, or was replaced or resumed meanwhile.
    """
    compute = check_options(probe, options)
    replay = _replay(path, places)
    with replay.in_precision():
        table = compute(replay, progress=progress, **options)
    if not isinstance(table, Table):
        raise ConfigError(f"probe={probe!r} returned {type(table).__name__}; allowed: a gdlab.Table")
    if replay.stale():
        raise store.Replaced(f"{path} holds another run, or was resumed, since this was begun: ask again")
    return table._replace(attrs={**(table.attrs or {}), "replay": replay.report()._asdict()})


def check_options(probe: str, options: Mapping[str, Any]) -> Callable[..., Table]:
    """The function of a probe's name; raises ConfigError where there is none, or it cannot be called with
    these options."""
    compute = _compute(probe)
    signature = inspect.signature(compute)
    try:
        signature.bind(None, progress=None, **options)
    except TypeError as error:
        taken = signature.parameters
        hint = next((nearest(key, taken) for key in options if key not in taken), "")
        raise ConfigError(f"probe={probe!r}: {error}; it takes {', '.join(taken)}.{hint}") from error
    return compute


def _compute(probe):
    """The function of a probe's name."""
    if "." in probe:
        return resolve(probe, ("probe",), "probe")
    names = [module.name for module in pkgutil.iter_modules(probes.__path__) if not module.ispkg]
    if probe not in names:
        raise ConfigError(
            f"probe={probe!r}: allowed: {', '.join(names)}, or MODULE.FUNCTION of your own, "
            f"which GDLAB_TARGETS allows.{nearest(probe, names)}"
        )
    return importlib.import_module(f"gdlab.probes.{probe}").compute


def _replay(path, places):
    """What a probe is given of the run, kept open: its set-up and compilation cost more than most probes."""
    key = (str(Path(path).resolve()), places)
    replay = _open.pop(key, None)
    if replay is not None and _is_stale(replay):
        replay = None
    if replay is None:
        replay = open_replay(path, places)
    _open[key] = replay
    while len(_open) > OPEN_REPLAYS:
        _open.popitem(last=False)
    return replay


def _is_stale(replay):
    try:
        return replay.stale()
    except store.StoreError:  # gone or damaged: opening it anew says so
        return True
