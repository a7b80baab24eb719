"""Where an iteration lies on the x axis: by its number, by what had been evaluated, or by the time."""

import math

import numpy as np

from gdlab.analysis import steps

AXES = ("iteration", "evaluations", "relative", "wall")


class Clock:
    """Where iteration k lies on the x axis: at k, at k + 1 (logarithmic), or at what had been spent by then.

    axis: one of AXES; "evaluations" of the error and its gradient, "relative" in seconds since the start,
    "wall" in ms since 1970 (UTC).
    """

    def __init__(self, run, axis: str = "iteration", *, log: bool = False):
        self.run, self.axis, self.log = run, axis, log
        self._spent = np.empty(0)

    @property
    def label(self) -> str:
        """The x axis's title."""
        if self.axis == "iteration":
            return "iteration + 1" if self.log else "iteration"
        words = {"evaluations": "evaluations", "relative": "seconds since the start"}
        return words.get(self.axis, "time (UTC)")

    def x(self, k) -> np.ndarray:
        """Positions of iterations k [n]; fractions lie between their neighbours."""
        k = np.asarray(k, float)
        if self.axis == "iteration":
            return k + 1 if self.log else k
        return self._place(np.interp(k, np.arange(len(self.spent)), self.spent))

    def rows(self, low: float, high: float, count: int) -> tuple[int, int]:
        """Dots [start, stop) of `count` that lie in [low, high], one more on each side."""
        if self.axis == "iteration":
            shift = 1 if self.log else 0
            start, stop = math.floor(low - shift), math.ceil(high - shift) + 1
        else:
            start, stop = steps.positions(self._place(self.spent), low, high)
        return int(np.clip(start, 0, max(count - 1, 0))), int(np.clip(stop, 0, count))

    @property
    def spent(self) -> np.ndarray:
        """Evaluations, or seconds since the start, at which dots 0 ... K were reached, never falling."""
        if len(self._spent) != self.run.rows("scalars") + 1:
            name = "evaluations" if self.axis == "evaluations" else "seconds"
            column = self.run.table("steps", columns=[name]).columns[name][:-1]
            reached = np.cumsum(column) if name == "evaluations" else np.maximum.accumulate(column)
            self._spent = np.concatenate([[0.0], reached])
        return self._spent

    def _place(self, spent):
        return 1e3 * ((self.run.summary()["started"] or 0.0) + spent) if self.axis == "wall" else spent
