"""Pictures of rows of unequal height: what a pixel of the screen falls on, as one image."""

import numpy as np

from server.pages.tracker.correlation.layout import Blocks


def nearest_lines(lines: Blocks, low: float, high: float, pixels: int) -> np.ndarray:
    """The line under each of `pixels` steps from low to high, int [pixels]; -1 in gaps and outside."""
    centres = low + (np.arange(pixels) + 0.5) * (high - low) / pixels
    at = np.searchsorted(lines.low, centres, side="right") - 1
    inside = (at >= 0) & (centres < lines.high[np.maximum(at, 0)]) if len(lines.low) else at >= 0
    return np.where(inside, at, -1)


def columns_of(start: float, end: float, count: int, pixels: int) -> tuple[np.ndarray, float, float]:
    """Edges [m + 1] of at most `pixels` groups of the columns between two positions, and the first and
    last position drawn; column i covers i - 0.5 to i + 0.5, count of them."""
    first, last = max(0, int(np.floor(start + 0.5))), min(count, int(np.ceil(end + 0.5)))
    last = max(last, first + 1)
    edges = np.unique(np.linspace(first, last, min(pixels, last - first) + 1).round().astype(int))
    return edges, first - 0.5, last - 0.5


def raster(values, lines, edges) -> np.ndarray:
    """values [rows, D] of each line [pixels] (-1: NaN), largest value within each group of columns."""
    values = np.asarray(values)
    values = values.astype(np.result_type(values, np.float32), copy=False)  # float32 stays: half the bytes
    if not values.size:
        return np.full((len(lines), len(edges) - 1), np.nan)
    grouped = values[:, edges[0] : edges[-1]]
    if len(edges) - 1 < grouped.shape[1]:
        known = np.where(np.isfinite(grouped), grouped, values.dtype.type(-np.inf))
        grouped = np.maximum.reduceat(known, edges[:-1] - edges[0], axis=1)
        grouped = np.where(np.isfinite(grouped), grouped, values.dtype.type(np.nan))
    out = grouped[np.maximum(lines, 0)]
    out[np.asarray(lines) < 0] = np.nan
    return out


def covered(left, right, top, bottom, window, pixels: tuple[int, int]) -> np.ndarray:
    """How many rectangles touch each pixel, int [tall, wide]: the first row is the smallest y.

    left, right, top <= bottom [n]; window: (low x, high x, low y, high y) that the pixels (wide, tall)
    divide. A rectangle thinner than a pixel still counts there, so that none is lost from afar.
    """
    (low_x, high_x, low_y, high_y), (wide, tall) = window, pixels

    def cells(low, high, start, end, pixels):
        scale = pixels / (end - start)
        first = np.floor((np.asarray(low) - start) * scale).astype(np.int64)
        last = np.ceil((np.asarray(high) - start) * scale).astype(np.int64)
        inside = (last > 0) & (first < pixels)
        return np.clip(first, 0, pixels), np.clip(np.maximum(last, first + 1), 0, pixels), inside

    x0, x1, in_x = cells(left, right, low_x, high_x, wide)
    y0, y1, in_y = cells(top, bottom, low_y, high_y, tall)
    seen = in_x & in_y
    x0, x1, y0, y1 = (ends[seen] for ends in (x0, x1, y0, y1))
    side, size = wide + 1, (wide + 1) * (tall + 1)
    begun = np.bincount(np.concatenate([y0 * side + x0, y1 * side + x1]), minlength=size)
    ended = np.bincount(np.concatenate([y0 * side + x1, y1 * side + x0]), minlength=size)
    sums = (begun - ended).astype(np.int32).reshape(tall + 1, side).cumsum(axis=0).cumsum(axis=1)
    return sums[:tall, :wide]


def shaded(values, low: float, high: float) -> np.ndarray:
    """values as colour numbers 1 ... 255 between low and high, 0 for NaN, uint8."""
    share = (np.asarray(values, np.float32) - low) / (high - low if high > low else 1.0)
    known = np.isfinite(share)
    np.clip(share, 0, 1, out=share)
    return np.where(known, 1 + share * 254, 0).astype(np.uint8)
