"""What stands in the rows of the chart: stripes, pixels, triangles, words and marks, as columns of glyphs."""

import numpy as np

from server.pages.tracker.classes import cells
from server.pages.tracker.classes.rows import CLASS, CLUSTER, IMAGES, Layout

BOX = ("image", "x", "y", "dw", "dh")
STRIPES = (*BOX, "name")
PIXELS = (*BOX, "label", "name")
TRIANGLES = ("x", "y", "size", "marker", "row", "what", "score", "rule")
WORDS = ("x", "y", "text", "dx", "colour", "size", "style", "align")
MARKERS = {"left": "inverted_triangle", "right": "triangle"}
RULES = {"left": "stable, then flips", "right": "flips, then stable"}
SMALL, LARGE = 5.0, 14.0  # px, triangles with the least and the largest score
MOST_OF_CLUSTER = 60  # triangles on a cluster's stripe: the largest
INDENT = {CLUSTER: 2.0, CLASS: 16.0, IMAGES: 34.0}  # px
LONGEST = {CLUSTER: 30, CLASS: 22, IMAGES: 18}  # characters
LINE = 14.0  # px, of a legend


def stripes(layout: Layout, rows, rates, clusters, names, shown: cells.Columns) -> dict:
    """Error rates of the clusters and classes among `rows`; NaN where a class has no images."""
    out: dict[str, list] = {name: [] for name in STRIPES}
    for row in rows:
        kind, item = layout.kind[row], int(layout.item[row])
        if kind == IMAGES or (kind == CLUSTER and item >= len(clusters.sizes)):
            continue
        values = clusters.curves[item] if kind == CLUSTER else rates[item]
        name = cluster_name(clusters, item) if kind == CLUSTER else names[item]
        box = (cells.stripe(values, shown), shown.left, layout.top[row], shown.width, layout.height[row])
        for column, value in zip(STRIPES, (*box, name), strict=True):
            out[column].append(value)
    return out


def cluster_name(clusters, item: int) -> str:
    """A cluster in words: its place from easy to hard, and how many classes it has."""
    count = len(clusters.sizes)
    if item >= count:
        return f"no images · {_plural(clusters.empty, 'class', 'classes')}"
    place = "all" if count == 1 else str(item + 1)
    place += {0: " · easy", count - 1: " · hard"}.get(item, "") if count > 1 else ""
    return f"{place} · {_plural(int(clusters.sizes[item]), 'class', 'classes')}"


def blocks(layout: Layout, rows, pixels_of, names, shown: cells.Columns, pixel: float, window) -> dict:
    """The images of the unfolded classes among `rows`, cut to the depths `window`. pixels_of(class)."""
    out: dict[str, list] = {name: [] for name in PIXELS}
    for row in rows:
        if layout.kind[row] != IMAGES:
            continue
        item = int(layout.item[row])
        found, top = pixels_of(item), layout.top[row]
        first = int(np.clip((window[0] - top) // pixel, 0, len(found.images)))
        last = int(np.clip(-((top - window[1]) // pixel), first, len(found.images)))
        if last > first:
            code, label = found.code[first:last], found.label[first:last]
            box = (code, shown.left, top + first * pixel, shown.width, (last - first) * pixel)
            for column, value in zip(PIXELS, (*box, label, names[item]), strict=True):
                out[column].append(value)
    return out


def triangles(layout: Layout, rows, found, clusters, names) -> dict:
    """Triangles of the anomalies (columns class, dump, score, rule) on the classes among `rows`, and their
    sums on the clusters: pointing down for the left rule, up for the right one, as wide as the score."""
    row_of = {int(layout.item[row]): row for row in rows if layout.kind[row] == CLASS}
    out: dict[str, list] = {name: [] for name in TRIANGLES}
    of_class = np.array([row_of.get(int(c), -1) for c in found["class"]], int)
    for rule, marker in MARKERS.items():
        chosen = np.flatnonzero((found["rule"] == rule) & (of_class >= 0))
        where, score = (of_class[chosen], found["dump"][chosen]), found["score"][chosen]
        _add(out, layout, *where, score, found["score"].max(initial=1), rule, marker)
        out["what"] += [names[int(c)] for c in found["class"][chosen]]
        for row in rows:
            if layout.kind[row] == CLUSTER:
                dump, score = _summed(found, clusters, int(layout.item[row]), rule)
                at = np.full(len(dump), row)
                _add(out, layout, at, dump, score, score.max(initial=1), rule, marker)
                out["what"] += [cluster_name(clusters, int(layout.item[row]))] * len(dump)
    return out


def _add(out, layout, rows, dump, score, largest, rule, marker):
    share = 0.3 if rule == "left" else 0.7
    high = np.minimum(LARGE, layout.height[rows])
    out["x"] += dump.tolist()
    out["y"] += (layout.top[rows] + share * layout.height[rows]).tolist()
    out["size"] += (SMALL + (high - SMALL) * score / largest).tolist()
    out["marker"] += [marker] * len(dump)
    out["row"] += [int(row) for row in rows]
    out["score"] += score.tolist()
    out["rule"] += [RULES[rule]] * len(dump)


def _summed(found, clusters, item, rule):
    """Dumps and sums of scores of a cluster's anomalies, the largest MOST_OF_CLUSTER, in time's order."""
    cluster = clusters.cluster[found["class"]]
    chosen = (found["rule"] == rule) & (cluster == item)
    dump, at = np.unique(found["dump"][chosen], return_inverse=True)
    total = np.bincount(at, found["score"][chosen], minlength=len(dump)).astype(int)
    top = np.sort(np.argsort(-total, kind="stable")[:MOST_OF_CLUSTER])
    return dump[top], total[top]


def words(layout: Layout, rows, clusters, names, choices, selection, legend, palette, scored, side) -> dict:
    """The names beside the rows: carets, clusters, classes with their numbers of anomalies, legends.

    selection: classes that are selected; legend(class) -> [(colour, words)]; scored [C]: anomalies; side:
    px from the words' left to the frame.
    """
    out: dict[str, list] = {name: [] for name in WORDS}

    def add(row, text, dx, colour, *, style="normal", size="11px", align="left", line=None):
        middle = layout.height[row] / 2 if line is None else (line + 0.5) * LINE
        place = (0.0, layout.top[row] + middle, text, dx - side, colour, size, style, align)
        for column, value in zip(WORDS, place, strict=True):
            out[column].append(value)

    for row in rows:
        kind, item = layout.kind[row], int(layout.item[row])
        if kind == CLUSTER:
            inside = sum(clusters.cluster[c] == item for c in selection)
            text = f"{_caret(item in choices.opened)} {cluster_name(clusters, item)}"
            text += f" · {inside} ●" if inside else ""
            style = "bold" if inside else "normal"
            add(row, text, INDENT[kind], palette.ink, style=style, size="12px")
        elif kind == CLASS:
            marked = item in selection
            text = _short(f"{_caret(item in choices.unfolded)} {names[item]}", LONGEST[CLASS])
            look = {"colour": palette.accent, "style": "bold"} if marked else {"colour": palette.ink}
            add(row, text, INDENT[kind], **look)
            if scored[item]:
                add(row, f"{scored[item]:,} ▾▴", side - 8.0, palette.muted, align="right")
        else:
            for line, (colour, text) in enumerate(legend(item)):
                add(row, "■", INDENT[kind], colour, line=line)
                add(row, _short(text, LONGEST[IMAGES]), INDENT[kind] + 14, palette.muted, line=line)
    return out


def marks(layout: Layout, selection, image, images_of, pixel: float, count: int) -> dict:
    """Frames around the selected classes and the selected image. images_of(class) -> positions, in order;
    image: (class, position) or None; count: dumps."""
    boxes = []
    for item in selection:
        row = layout.of(CLASS, item)
        if row is not None:
            boxes.append((layout.top[row], layout.top[row] + layout.height[row]))
    if image is not None and (row := layout.of(IMAGES, image[0])) is not None:
        at = np.flatnonzero(images_of(image[0]) == image[1])
        boxes += [(layout.top[row] + i * pixel, layout.top[row] + (i + 1) * pixel) for i in at]
    top, bottom = zip(*boxes, strict=True) if boxes else ((), ())
    ends = {"left": [-0.5] * len(boxes), "right": [count - 0.5] * len(boxes)}
    return {**ends, "top": list(top), "bottom": list(bottom)}


def _caret(is_open):
    return "▾" if is_open else "▸"


def _short(text, most):
    return text if len(text) <= most else text[: most - 1] + "…"


def _plural(count, one, many):
    return f"{count:,} {one if count == 1 else many}"
