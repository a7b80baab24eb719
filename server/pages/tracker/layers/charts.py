"""The three charts of a band: a line, a horizon graph, box plots; and bands of a distribution over time.

No Bokeh here. Colours are handed in; heights come from a Scale and a Place.
"""

import numpy as np

from server.pages.tracker.layers.drawing import Drawing, Place, Scale, envelope
from server.pages.tracker.layers.pixels import buckets

BANDS = (1, 4)  # of a horizon graph, fewest and most
BOX = 0.62  # width of a box over the distance between two
BOXES = 100  # as many as can be told apart over the width of a card


def line(
    drawing: Drawing, place: Place, values, scale: Scale, colour: str, most: int, dash: str = "solid"
) -> None:
    """A line through the values [D]."""
    x, y = envelope(values, most)
    drawing.line(x, place.y(scale.share(y)), colour, dash)


def horizon(drawing: Drawing, place: Place, values, scale: Scale, colours, most: int) -> None:
    """Bands of equal height folded onto one another, the darkest on top; values below the base in the
    second hue, measured downwards and drawn upwards.

    scale: its low is the base where it is above 0 or logarithmic, else the base is 0. colours: (above,
    below), one per band, weak to strong.
    """
    x, y = envelope(values, most)
    base, size = folding(scale)
    if scale.log:
        x, y, base, size = (
            x,
            np.log(np.where(y > 0, y, np.nan)),
            np.log(base),
            np.log(size + base) - np.log(base),
        )
    bands = len(colours[0])
    bottom = place.y(np.zeros(len(x)))
    for sign, hues in ((1, colours[0]), (-1, colours[1])):
        height = sign * (y - base) / size * bands
        if not (height > 0).any():
            continue
        for band, colour in enumerate(hues):
            if not (height > band).any():
                break
            share = np.clip(height - band, 0, 1)
            drawing.area(x, bottom, place.y(share), colour)


def folding(scale: Scale) -> tuple[float, float]:
    """(base, size): where a horizon graph's values are measured from, and the largest distance from it."""
    if scale.log or scale.low >= 0:
        return scale.low, scale.high - scale.low
    if scale.high <= 0:
        return 0.0, -scale.low
    return 0.0, max(scale.high, -scale.low)


def boxes(drawing: Drawing, place: Place, five, scale: Scale, colours, low: int, high: int) -> int:
    """Box plots of the dumps low ... high - 1, at most BOXES of them; dumps in each.

    five: min, q1, median, q3, max, [D] each. A box over several dumps spans their extremes and the means
    of their quartiles. colours: of the box, of its lines.
    """
    starts = low + buckets(high - low, BOXES)
    if not len(starts):
        return 0
    step = int(starts[1] - starts[0]) if len(starts) > 1 else high - low
    pooled = pool(five, starts, high)
    least, q1, median, q3, most = (place.y(scale.share(values)) for values in pooled)
    last = np.minimum(starts + step, high)
    middle, half = (starts + last - 1) / 2, BOX * step / 2
    for i in np.flatnonzero(np.isfinite(median)):
        x = middle[i]
        drawing.stroke(x, least[i], x, q1[i], colours[1])
        drawing.stroke(x, q3[i], x, most[i], colours[1])
        drawing.add("boxes", x - half, x + half, q3[i], q1[i], colours[0])
        drawing.stroke(x - half, median[i], x + half, median[i], colours[1])
    return step


def pool(five, starts, stop: int) -> list[np.ndarray]:
    """(min, q1, median, q3, max) over runs of dumps that begin at `starts`: extremes and means; a dump
    without values does not count."""
    kinds = ("min", "mean", "mean", "mean", "max")
    out = []
    for values, kind in zip(five, kinds, strict=True):
        values = np.asarray(values[starts[0] : stop], float)
        at = starts - starts[0]
        if kind == "mean":
            known = np.isfinite(values)
            number = np.add.reduceat(known.astype(float), at)
            total = np.add.reduceat(np.where(known, values, 0), at)
            out.append(np.divide(total, number, out=np.full(len(at), np.nan), where=number > 0))
        else:
            out.append((np.fmin if kind == "min" else np.fmax).reduceat(values, at))
    return out


def distribution(drawing: Drawing, place: Place, five, scale: Scale, colour: str, most: int) -> None:
    """The median as a line, the quartiles and the extremes as bands around it; five [D] each."""
    count = len(five[2])
    starts = buckets(count, most)
    pooled = pool(five, starts, count)
    step = int(starts[1] - starts[0]) if len(starts) > 1 else 1
    x = starts + (step - 1) / 2
    least, q1, median, q3, largest = (place.y(scale.share(values)) for values in pooled)
    drawing.area(x, least, largest, colour, 0.16)
    drawing.area(x, q1, q3, colour, 0.34)
    drawing.line(x, median, colour)
