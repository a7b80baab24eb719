"""Window averages of what a run recorded about its steps, read block by block."""

from collections import OrderedDict

import numpy as np

from gdlab.analysis import step_sizes
from gdlab.records import Table
from gdlab.store.effects import is_of_recorder

LOOKED_AT = 1000  # iterations, of which one has a step where steps were recorded
KEPT = 512  # averages that are remembered
SIZES = "layer/update_norm"
LENGTHS = "layer/param_norm"
QUANTITIES = ("update_norm", "step_size", "ratio", "loss", "layers", "layer_ratio")


def available(run, quantity: str) -> bool:
    """Whether the run has recorded what a quantity needs."""
    if not run.rows("scalars"):
        return False
    if quantity in ("layers", "layer_ratio"):
        return SIZES in run.arrays
    if quantity == "ratio":
        return LENGTHS in run.arrays or "path" in run.arrays
    if quantity == "update_norm" and is_of_recorder(run.config):  # a loop need not hand its updates over
        column = run.columns("scalars").index("update_norm")
        return bool(np.isfinite(run.array("scalars", 0, LOOKED_AT)[:, column]).any())
    if quantity == "step_size":
        return "ls_eval" in run.arrays and run.rows("ls_eval") > 0
    return True


def reader(run, quantity: str):
    """read(a, b) -> values of iterations [a, b): [b - a], or [b - a, L] for quantities of layers.

    Iterations that did nothing are NaN. Raises ValueError for a quantity that is not one of QUANTITIES.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity {quantity!r} is not one of {', '.join(QUANTITIES)}")

    def read(a: int, b: int) -> np.ndarray:
        if quantity == "loss":
            return run.table("steps", a, b, columns=["loss"]).columns["loss"]
        if quantity == "step_size":
            found = run.table("steps", a, b, columns=["step_size", "status"]).columns
            return step_sizes.moved(found["step_size"], found["status"])
        found = run.table("steps", a, b, columns=["update_norm", "status"]).columns
        if quantity in ("update_norm", "ratio"):
            size = step_sizes.moved(found["update_norm"], found["status"])
            return size if quantity == "update_norm" else step_sizes.update_ratio(size, _length(run, a, b))
        size = step_sizes.moved(run.array(SIZES, a, b), found["status"])
        return size if quantity == "layers" else step_sizes.update_ratio(size, run.array(LENGTHS, a, b))

    return read


def _length(run, a: int, b: int) -> np.ndarray:
    """|theta_k| of iterations [a, b), from the layers' norms or from the path."""
    if LENGTHS in run.arrays:
        return step_sizes.whole(run.array(LENGTHS, a, b))
    return step_sizes.whole(run.array("path", a, b))


class Averages:
    """Window averages of many runs, remembered until a run grows or is cut."""

    def __init__(self):
        self._known: OrderedDict[tuple, Table] = OrderedDict()

    def of(self, run, quantity: str, start: int, stop: int, window: int) -> Table:
        """(iteration, mean) of the windows of iterations [start, stop) that are recorded."""
        stop = min(stop, run.rows("scalars"))
        key = (run.path, run.key, quantity, start, stop, window)
        if key not in self._known:
            self._known[key] = step_sizes.averages(reader(run, quantity), start, stop, window)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]
