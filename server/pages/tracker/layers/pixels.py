"""Filters as pixels: a row per filter, a column per dump, as numbers of a palette.

Where there are more filters than pixels, a pixel shows the filter among its own that stands out most, so
that no spike is lost. No Bokeh here.
"""

from typing import NamedTuple

import numpy as np

NORMS = {"filter": "per filter", "dump": "per iteration", "none": "over the layer"}
COLOURS = 255  # of the palette's 256; the last number stands for "not known"
UNKNOWN = 255
DEPTH = 1e3  # largest over smallest value that a logarithmic colour tells apart
WIDEST = 1500  # columns of a picture


class Picture(NamedTuple):
    """shade uint8, value float32, filter uint16 (position among the filters) [rows, columns], row 0 on top;
    starts [columns]: the first dump of each column."""

    shade: np.ndarray
    value: np.ndarray
    filter: np.ndarray
    starts: np.ndarray


def picture(values, rows: int, *, norm: str = "filter", log: bool = False, signed: bool = False) -> Picture:
    """The Picture of values [D, f] in at most `rows` rows and WIDEST columns."""
    values = np.asarray(values, np.float32)
    shade = shades(values, norm=norm, log=log, signed=signed)
    neutral = 0.5 if signed else 0.0
    number = np.broadcast_to(np.arange(values.shape[1], dtype=np.uint16), values.shape)
    layers = (shade, values, number)
    starts = buckets(len(values), WIDEST)
    for axis, begin in ((0, starts), (1, buckets(values.shape[1], rows))):
        layers = strongest(layers, begin, axis, neutral)
    shade, values, number = (np.ascontiguousarray(layer.T) for layer in layers)
    known = np.isfinite(shade)
    index = np.full(shade.shape, UNKNOWN, np.uint8)
    index[known] = np.minimum(shade[known] * COLOURS, COLOURS - 1)
    return Picture(index, values, number, starts)


def shades(values, *, norm: str, log: bool, signed: bool) -> np.ndarray:
    """Values [D, f] as places in a map, [0, 1]; NaN where they are not finite.

    norm: one of NORMS, what the largest (and, unsigned, the smallest) value is taken of; signed: 0 lies at
    0.5. Raises ValueError for another norm.
    """
    if norm not in NORMS:
        raise ValueError(f"norm={norm!r}: allowed: {', '.join(NORMS)}")
    axis = {"filter": 0, "dump": 1, "none": None}[norm]
    known = np.isfinite(values)
    if signed:
        size = np.abs(values)
        low = np.zeros(1, values.dtype)
        high = np.max(size, axis=axis, keepdims=True, initial=0, where=known)
    else:
        size = values
        low = np.min(size, axis=axis, keepdims=True, initial=np.inf, where=known)
        low = np.where(np.isfinite(low), low, 0)
        high = np.max(size, axis=axis, keepdims=True, initial=-np.inf, where=known)
    span = np.where(high > low, high - low, 1)
    out = (size - low) / span
    if log:
        out = np.log1p(out * DEPTH) / np.log1p(DEPTH)
    if signed:
        out = 0.5 + 0.5 * np.sign(values) * out
    return np.where(known, out, np.nan)


def buckets(count: int, most: int) -> np.ndarray:
    """Where each of at most `most` runs of equal length begins, in 0 ... count - 1."""
    step = max(1, -(-count // max(1, most)))
    return np.arange(0, count, step)


def strongest(layers, starts, axis: int, neutral: float):
    """Of each run of positions along an axis the one whose shade (layers[0]) lies farthest from neutral;
    the same one is taken of every layer."""
    shade = layers[0]
    count = shade.shape[axis]
    if len(starts) == count:
        return layers
    strength = np.abs(shade - neutral)
    strength[np.isnan(strength)] = -1
    chosen = []
    for first, last in zip(starts, [*starts[1:], count], strict=True):
        part = strength[first:last] if axis == 0 else strength[:, first:last]
        chosen.append(first + part.argmax(axis=axis))
    at = np.stack(chosen, axis=axis)
    return tuple(np.take_along_axis(layer, at, axis) for layer in layers)
