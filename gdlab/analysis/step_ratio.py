"""Whether a step was too long: where along it the parabola through what was recorded has its minimum.

The parabola has the error J_k and the slope at the beginning of the step and the error at its end, all on
the batch of the iteration. Where that batch is a sample the parabola is one of the sample's error, too.
Step lengths judged by a quadratic model along the step: Schneider, Dangel, Hennig 2021 (Cockpit), section
3.1, whose alpha is this ratio's distance from 1; without their correction for noise.
"""

import numpy as np

from gdlab.records import IDLE, Table

COLUMNS = ("loss", "loss_end", "slope", "step_size", "update_norm", "status")
NOISE = 64.0  # roundings of the error: a difference of fewer says nothing
SHORT, LONG = 1.25, 0.8  # the minimum lies so many steps away: the step was too short, too long


def step_ratio(steps: Table, eps: float = float(np.finfo(np.float32).eps)) -> np.ndarray:
    """Where the minimum along each step lies, in steps, [n]: 1 at its end; under 1 it was too long, over
    1 too short; inf where the error falls ever faster along it, NaN where it is not known.

    steps: a table "steps" with COLUMNS. eps: the rounding of the numbers that were computed with. Not known
    are steps of length 0, steps that point uphill, and differences of errors within NOISE roundings.
    """
    value, end, slope, size, norm, status = (np.asarray(steps.columns[name], float) for name in COLUMNS)
    with np.errstate(all="ignore"):
        fall = slope * size  # the slope along the whole step
        curvature = 2 * (end - value - fall)
        ratio = np.where(curvature > 0, -fall / curvature, np.inf)
        sure = np.abs(end - value - fall) > NOISE * eps * np.maximum(np.abs(value), np.abs(end))
    known = (fall < 0) & (norm > 0) & (status != IDLE) & np.isfinite(value) & np.isfinite(end) & sure
    return np.where(known, ratio, np.nan)
