"""A training that runs is asked to end: `python -m gdlab task=stop run=runs/NAME`.

It reads the request at its next commit, removes it, and ends as after Ctrl-C: the run is "interrupted", and
goes on by the command that began it. A loop of one's own ends where it looks at `recorder.should_stop`.
"""

import os
import sys
import time

from gdlab import store
from gdlab.messages import counted
from gdlab.plan.builder import ConfigError
from gdlab.store import requests

SECONDS = 60.0  # that an answer is waited for
_LOOK = 0.2  # s between two looks
_EXAMPLE = "task=stop run=runs/NAME"


def stop_task(config, *, seconds: float = SECONDS, progress: bool = True):
    """Ask the training of the run that `config` names to end, and wait until it has; returns the Run.

    One of a group ends alone. Raises ConfigError: no run is named, it does not run, or it has not ended after
    `seconds`; what `gdlab.open_run` raises.
    """
    if not config.get("run"):
        raise ConfigError(f"task=stop needs the folder of a run: {_EXAMPLE}")
    run = store.open_run(config["run"])
    if run.state != "running":
        raise ConfigError(f"{run.path} is {run.state}: there is nothing to stop")
    requests.ask_to_stop(run.path)
    run = _awaited(run.path, seconds)
    if progress:
        why = f": {run.reason}" if run.reason else ""
        rows = counted(run.rows("scalars"), "iteration")
        print(f"gdlab: {run.path} is {run.state} after {rows}{why}", file=sys.stderr)
    return run


def _awaited(path, seconds):
    """The Run, as soon as it runs no more."""
    end = time.monotonic() + seconds
    while (run := store.open_run(path)).state == "running":
        if time.monotonic() > end:
            if os.path.lexists(os.path.join(path, requests.STOP)):
                raise ConfigError(
                    f"{path} has not answered for {seconds:.0f} s: it reads what it is asked at its commits, "
                    "and will end at the next one"
                )
            raise ConfigError(
                f"{path} has taken note and has not ended after {seconds:.0f} s: a loop of one's own ends "
                "where it looks at recorder.should_stop"
            )
        time.sleep(_LOOK)
    return run
