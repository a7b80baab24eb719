"""The shape of the error along each direction, as far as it has been computed: opened without the model.

The probe `smoothness` keeps, beside the run, how smooth phi_k is and its slope and curvature at 0. Here its
cache is described, so that whoever reads the record finds what is there. Becker 2019, section 3.2.
"""

import numpy as np

from gdlab import store

POINTS = 33  # slopes sampled on [0, 2 eta_k]
COLUMNS = ("smoothness", "slope", "curvature")


def cache(run, on="batch"):
    """The Derived of one row an iteration; on: "batch" or "train", what the error is taken on."""
    single = store.ArraySpec(dtype="f8", row_shape=())
    options, arrays = {"on": on, "points": POINTS}, dict.fromkeys(COLUMNS, single)
    return store.Derived(run, "smoothness", options, run.rows("scalars"), arrays, version="2")


def known(run, start, stop):
    """phi''_k(0) of the iterations [start, stop), as far as they are recorded, on the batch of each: float64,
    NaN where it has not been computed."""
    stop = min(stop, run.rows("scalars"))
    start = min(start, stop)
    kept = cache(run)
    return np.where(kept.done(start, stop), kept.read(start, stop)["curvature"], np.nan)
