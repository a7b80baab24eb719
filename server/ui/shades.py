"""From losses to colours: the scale that several maps share, its contour levels and the labels of its bar.

Losses above 1.5 times the initial one are drawn like it (Kuchta 2023, section 6.4); the logarithm is taken
where the losses are positive and spread far enough, or where the reader asks for it.
"""

import math
from typing import NamedTuple

import numpy as np

LOG_FROM = 20.0  # largest over smallest loss from which on the logarithm is taken
LEVELS = 12  # contour lines wanted
DECADES = (  # up to so many powers of ten: these levels in each
    (0.35, None),
    (1.2, (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8)),
    (2.5, (1, 1.5, 2, 3, 5, 7)),
    (5.0, (1, 2, 5)),
)


class Shades(NamedTuple):
    """kind: "linear", "log", or "shifted" (log of 1 + value - zero); low, high: values of the bar's ends."""

    kind: str
    zero: float
    low: float
    high: float

    def drawn(self, values):
        """Values in the units of the colour map; NaN where they have none."""
        values = np.asarray(values, float)
        if self.kind == "linear":
            return values
        with np.errstate(invalid="ignore", divide="ignore"):
            shown = np.log10(values if self.kind == "log" else 1.0 + values - self.zero)
        return np.where(np.isfinite(shown), shown, np.nan)

    @property
    def levels(self) -> np.ndarray:
        """Round values strictly between low and high, for contour lines and the bar's ticks."""
        if not self.high > self.low:
            return np.empty(0)
        levels = _logarithmic(self.low, self.high) if self.kind == "log" else _linear(self.low, self.high)
        margin = 1e-9 * (self.high - self.low)
        return levels[(levels > self.low + margin) & (levels < self.high - margin)]

    def ticks(self, most: int = 8) -> dict[float, str]:
        """{position in the units of the map: label} of the contour levels; of every n-th, `most` at most."""
        levels = self.levels
        levels = levels[:: max(1, -(-len(levels) // most))]
        return {float(self.drawn(level)): label(level) for level in levels}


def choose(pictures, clip: float = math.nan, wanted: str = "auto") -> Shades:
    """The Shades that show all pictures.

    clip: the largest value that has a colour of its own, NaN: none; wanted: "auto", "log", "linear".
    """
    finite = [np.asarray(picture)[np.isfinite(picture)] for picture in pictures]
    values = np.concatenate([np.ravel(part) for part in finite]) if finite else np.empty(0)
    if not values.size:
        return Shades("linear", 0.0, 0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if math.isfinite(clip) and low < clip:
        high = min(high, clip)
    if wanted == "linear" or (wanted == "auto" and not 0 < LOG_FROM * low < high):
        return Shades("linear", low, low, high)
    return Shades("log" if low > 0 else "shifted", low, low, high)


def label(value: float) -> str:
    """A short label: 0.05, 12, 3e-7."""
    text = f"{value:.3g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else text


def _linear(low: float, high: float) -> np.ndarray:
    rough = high / LEVELS - low / LEVELS  # the difference alone may be no number
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough * 0.999)
    return step * np.arange(math.ceil(low / step), math.floor(high / step) + 1)


def _logarithmic(low: float, high: float) -> np.ndarray:
    decades = math.log10(high) - math.log10(low)
    within = next((factors for most, factors in DECADES if decades <= most), (1,))
    if within is None:
        return _linear(low, high)
    powers = range(math.floor(math.log10(low)), min(math.ceil(math.log10(high)), 307) + 1)
    stride = max(1, -(-len(powers) // 16)) if within == (1,) else 1
    return np.array([factor * 10.0**power for power in powers[::stride] for factor in within])
