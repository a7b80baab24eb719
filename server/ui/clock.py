"""Where an iteration lies on the x axis: by its number, by what had been evaluated, or by the time."""

import math

import numpy as np

from gdlab.analysis import steps
from gdlab.store.tables import iterations


class Clock:
    """Where iteration k lies on the x axis: at k, at k + 1 (logarithmic), or at what had been spent by then.

    axis: "iteration"; "evaluations" of the error and its gradient, "relative" in seconds since the start,
    "wall" in ms since 1970 (UTC).
    """

    def __init__(self, run, axis: str = "iteration", *, log: bool = False):
        self.run, self.axis, self.log = run, axis, log
        self._spent = self._numbers = np.empty(0)

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
            number = self.number(k)
            return number + 1 if self.log else number
        return self._place(np.interp(k, np.arange(len(self.spent)), self.spent))

    def number(self, k) -> np.ndarray:
        """Which iterations the dots k [n] are: a recorded loop may leave some out, or begin later."""
        if "iteration" not in self.run.arrays or not self.run.rows("scalars"):
            return k
        k, numbers = np.asarray(k), self._known()
        places = np.arange(len(numbers))
        return np.interp(k, places, numbers) + np.maximum(k - places[-1], 0) + np.minimum(k, 0)

    def dot(self, number) -> np.ndarray:
        """Which dots the iterations [n] are, the inverse of `number`: one between two dots is a fraction, one
        before the first or behind the last lies as far away as there are iterations between."""
        if "iteration" not in self.run.arrays or not self.run.rows("scalars"):
            return np.asarray(number, float)
        number, numbers = np.asarray(number), self._known()
        beyond = np.maximum(number - numbers[-1], 0) + np.minimum(number - numbers[0], 0)
        return np.interp(number, numbers, np.arange(len(numbers))) + beyond

    def rows(self, low: float, high: float, count: int) -> tuple[int, int]:
        """Dots [start, stop) of `count` that lie in [low, high], one more on each side."""
        shift = 1 if self.log else 0
        if self.axis == "iteration" and "iteration" in self.run.arrays:
            places = self.number(np.arange(count)) if count else np.empty(0)
            start, stop = steps.positions(places, low - shift, high - shift)
        elif self.axis == "iteration":
            start, stop = math.floor(low - shift), math.ceil(high - shift) + 1
        else:
            start, stop = steps.positions(self._place(self.spent), low, high)
        return int(np.clip(start, 0, max(count - 1, 0))), int(np.clip(stop, 0, count))

    @property
    def spent(self) -> np.ndarray:
        """Evaluations, or seconds since the start, at which dots 0 ... K were reached, never falling."""
        rows = self.run.rows("scalars")
        if len(self._spent) != rows + 1:
            name = "evaluations" if self.axis == "evaluations" else "seconds"
            column = self.run.table("steps", columns=[name]).columns[name][:rows]
            reached = np.nancumsum(column) if name == "evaluations" else np.maximum.accumulate(column)
            self._spent = np.concatenate([[0.0], reached])
        return self._spent

    def _known(self):
        if len(self._numbers) != self.run.rows("scalars"):
            self._numbers = iterations(self.run)
        return self._numbers

    def _place(self, spent):
        return 1e3 * ((self.run.summary()["started"] or 0.0) + spent) if self.axis == "wall" else spent
