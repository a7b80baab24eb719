"""Where a record is cut when its loop begins again at an earlier iteration."""

import numpy as np

from gdlab.recorder.rows import METRICS
from gdlab.store.tables import iterations

# {how arrays of dumps begin: the array that says of which iterations its rows are}
_DUMPS = {"dump/": "dump/scalars", "validation": "validation", "correlation/": "correlation/step"}
_ONCE = ("dump/label", "dump/image")


def before(run, step: int) -> dict[str, int]:
    """{array: rows} of what a Run holds of the iterations before `step`: cursors to go on from there."""
    kept = int(np.searchsorted(iterations(run), step))
    cursors = {}
    for name in run.arrays:
        told = next((told for beginning, told in _DUMPS.items() if name.startswith(beginning)), None)
        if name.startswith(METRICS):
            told = name
        if name in _ONCE:
            cursors[name] = run.rows(name)
        elif told is not None and told in run.arrays:
            rows = np.asarray(run.array(told))
            cursors[name] = int(np.count_nonzero((rows if rows.ndim == 1 else rows[:, 0]) < step))
        else:
            cursors[name] = kept
    return cursors
