"""From the cells of a surface to what is drawn: an image, contour lines, relief, the path and its labels.

The lines of the grid are not evenly spaced, since the exact coordinates of start and end are among them:
the image is interpolated between the lines, and the rectangles that are hovered are the cells themselves.
"""

import numpy as np

PIXELS = 120_000  # of an image; the narrower side has at least FEWEST
FEWEST = 121
LIGHT_FROM = np.array([-1.0, 1.0, 1.4])  # upper left, as on printed maps
STEEP = 2.5  # the picture's full range is drawn this many times as high as the picture is wide
STRONGEST = 100  # of 255, opacity of the darkest shadow
MOST_DOTS, MOST_SEGMENTS = 400, 3000
LABELS_APART = 0.075  # of the picture's width or height


def edges(lines) -> np.ndarray:
    """Where the cells around the lines [n] of a grid begin and end, [n + 1]."""
    lines = np.asarray(lines, float)
    return np.concatenate([lines[:1], (lines[1:] + lines[:-1]) / 2, lines[-1:]])


def cells(x, y, **pictures) -> dict:
    """Columns of rectangles, one per cell: its sides, its point, the values there of pictures [ny, nx]."""
    ex, ey = edges(x), edges(y)
    left, bottom = np.meshgrid(ex[:-1], ey[:-1])
    right, top = np.meshgrid(ex[1:], ey[1:])
    at_x, at_y = np.meshgrid(x, y)
    place = {"left": left, "right": right, "bottom": bottom, "top": top, "at_x": at_x, "at_y": at_y}
    return {name: np.ravel(array) for name, array in (place | pictures).items()}


def spreads(deviation) -> np.ndarray:
    """ " ± 0.12" of deviations of any shape, "" where one is not known."""
    texts = [f" ± {size:.2g}" if np.isfinite(size) else "" for size in np.ravel(deviation)]
    return np.array(texts, object).reshape(np.shape(deviation))


def filled(value, done) -> np.ndarray:
    """A picture [ny, nx] whose missing cells take the value of the nearest one that is done."""
    value, done = np.asarray(value, float), np.asarray(done, bool)
    if done.all() or not done.any():
        return value
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~done, return_distances=False, return_indices=True)
    return value[tuple(nearest)]


def image(x, y, shown) -> dict:
    """Columns of an image source for a picture [ny, nx] at lines x, y; float32, NaN around holes."""
    wide, high = float(x[-1] - x[0]), float(y[-1] - y[0])
    columns = int(np.clip(np.sqrt(PIXELS * wide / high), FEWEST, PIXELS / FEWEST))
    rows = int(np.clip(PIXELS / columns, FEWEST, PIXELS / FEWEST))
    pixels = _between(x, y, np.asarray(shown, float), columns, rows)
    return {"image": [pixels.astype(np.float32)], "x": [x[0]], "y": [y[0]], "dw": [wide], "dh": [high]}


def contours(x, y, shown, levels) -> dict:
    """Columns of contour lines of a picture [ny, nx] at levels in its units."""
    if not len(levels) or not np.isfinite(shown).any():
        return {"xs": [], "ys": []}
    from contourpy import contour_generator

    generator = contour_generator(x, y, np.ma.masked_invalid(shown))
    found = [np.asarray(line) for level in levels for line in generator.lines(float(level))]
    return {"xs": [line[:, 0] for line in found], "ys": [line[:, 1] for line in found]}


def hillshade(x, y, shown) -> np.ndarray:
    """Light on the picture [ny, nx] less that on a plane, in [-1, 1]: height over the picture's own range."""
    shown = np.asarray(shown, float)
    finite = shown[np.isfinite(shown)]
    extent = float(np.ptp(finite)) if finite.size else 0.0
    if extent == 0:
        return np.zeros(shown.shape)
    height = STEEP * np.where(np.isfinite(shown), shown, finite.mean()) / extent
    side = max(x[-1] - x[0], y[-1] - y[0])
    down, across = np.gradient(height, np.asarray(y) / side, np.asarray(x) / side)
    light = LIGHT_FROM / np.linalg.norm(LIGHT_FROM)
    normal = np.stack([-across, -down, np.ones(height.shape)])
    return np.tensordot(light, normal / np.linalg.norm(normal, axis=0), 1) - light[2]


def relief(x, y, shown) -> dict:
    """Columns of an RGBA image source: shadow and light to be laid over the colours."""
    source = image(x, y, hillshade(x, y, shown))
    light = np.nan_to_num(np.asarray(source["image"][0], float))
    opacity = np.clip(np.abs(light) * 255 * 0.5, 0, STRONGEST).astype(np.uint32)
    white = np.where(light > 0, 0xFFFFFF, 0).astype(np.uint32)
    return source | {"image": [(opacity << np.uint32(24)) | white]}


def thinned(count: int, most: int) -> np.ndarray:
    """At most `most` of `count` positions, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def labelled(path, extent, wanted: int = 7) -> np.ndarray:
    """Positions of path points [n, 2] that carry a label: the ends, and others where there is room.

    extent: (width, height) of the picture.
    """
    near = np.asarray(path, float) / np.asarray(extent, float)
    chosen = [0, len(path) - 1]
    for position in thinned(len(path), wanted)[1:-1]:
        if all(np.abs(near[position] - near[other]).max() > LABELS_APART for other in chosen):
            chosen.append(int(position))
    return np.unique(chosen)


def _between(x, y, value, columns, rows):
    """Bilinear; a corner without a value leaves its weight to the others, a hole's own pixels stay empty."""
    left, across = _places(x, columns)
    lower, up = _places(y, rows)
    total, weights = np.zeros((rows, columns)), np.zeros((rows, columns))
    for row, down in ((lower, 1 - up), (lower + 1, up)):
        for column, aside in ((left, 1 - across), (left + 1, across)):
            corner = value[row][:, column]
            weight = np.outer(down, aside) * np.isfinite(corner)
            total += weight * np.where(np.isfinite(corner), corner, 0.0)
            weights += weight
    nearest = value[np.where(up < 0.5, lower, lower + 1)][:, np.where(across < 0.5, left, left + 1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.isfinite(nearest), total / weights, np.nan)


def _places(lines, count):
    """Of the centres of `count` pixels: (line to the left, share of the way to the next)."""
    lines = np.asarray(lines, float)
    centres = lines[0] + (np.arange(count) + 0.5) / count * (lines[-1] - lines[0])
    left = np.clip(np.searchsorted(lines, centres, "right") - 1, 0, len(lines) - 2)
    return left, (centres - lines[left]) / (lines[left + 1] - lines[left])
