"""From a chunk's arrays to rows of the record: traces without their padding, parameters as vectors."""

import numpy as np

from gdlab.records import STEP_COLUMNS


def scalar_rows(infos, done, descent, epoch, seconds):
    """[done, len(STEP_COLUMNS)] float64 rows of the first `done` iterations.

    infos: StepInfo of NumPy arrays [T]; descent, epoch, seconds: [>= done].
    """
    columns = {name: getattr(infos, name) for name in infos._fields if name != "line_search"}
    columns |= {"descent": descent, "epoch": epoch, "seconds": seconds}
    return np.stack([np.asarray(columns[name][:done], np.float64) for name in STEP_COLUMNS], axis=1)


def trace_rows(line_search, done):
    """(rows [M, columns] float64, evaluations [done]) of a LineSearchTrace [T, E, columns].

    Rows of a trace are in use from its start, so a mask of the first `evaluations` packs them.
    """
    rows = np.asarray(line_search.rows)[:done]
    used = rows[:, :, 1] > 0
    return rows[used].astype(np.float64), used.sum(1)
