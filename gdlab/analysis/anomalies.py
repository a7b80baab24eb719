"""Anomaly iterations: dumps at which many images of one class flip together.

Per image the record is a 0/1 sequence a_0, a_1, ... of wrong and right. Left rule: a_{i-w} = ... = a_{i-1},
a_i different (long stable, then a flip). Right rule: a_{i-1} different from a_i = ... = a_{i+w-1} (a flip,
then long stable). The score of a class is the number of its images that show the pattern, an anomaly a
score at or above a threshold. Both rules are read off one list of all flips with the lengths of the
constant stretches before and after, so another window or threshold costs milliseconds.
DeepTracker 2018, section 7.1.2; `propose` answers its open question of how to set the two numbers.
"""

from typing import NamedTuple

import numpy as np

from gdlab.analysis import coincidence
from gdlab.records import Table

RULES = ("left", "right")
WINDOWS = (2, 3, 5, 8, 12, 20)  # what `propose` tries, up to a quarter of the record
USUAL_WINDOW = 5  # proposed where no window finds anything


class Flips(NamedTuple):
    """Every flip of every image, ordered by dump, then image: a_i differs from a_{i-1}.

    dump, image [m]: i and the image; before, after [m]: lengths of the constant stretches that end at
    i - 1 and begin at i, as far as the record goes. dumps, images: the shape of the record.
    """

    dump: np.ndarray
    image: np.ndarray
    before: np.ndarray
    after: np.ndarray
    dumps: int
    images: int


class Proposal(NamedTuple):
    """A window and a threshold; found: anomalies of both rules with them; tried: Table with the same
    numbers, and the expected number of false ones, for each window (window, threshold, found, expected)."""

    window: int
    threshold: int
    found: int
    tried: Table


def flips(right) -> Flips:
    """All flips of the sequences right [D, images] (bool). Raises ValueError where it has other axes."""
    right = np.asarray(right, bool)
    if right.ndim != 2:
        raise ValueError(f"right has the shape {right.shape}; allowed: [dumps, images]")
    dumps, images = right.shape
    begun = np.zeros(images, np.int32)  # where the present stretch of each image began
    latest = np.full(images, -1)  # each image's last flip in the list so far
    found, before, earlier, count = [], [], [], 0
    for i in range(1, dumps):
        moved = np.flatnonzero(right[i] != right[i - 1])
        found.append(moved)
        before.append(i - begun[moved])
        earlier.append(latest[moved])
        begun[moved] = i
        latest[moved] = np.arange(count, count + len(moved))
        count += len(moved)
    dump = np.repeat(np.arange(1, len(found) + 1, dtype=np.int32), [len(moved) for moved in found])
    image = _joined(found, np.int32)
    lengths, previous = _joined(before, np.int32), _joined(earlier, np.int64)
    after = np.empty(count, np.int32)
    # The stretch after a flip is the stretch before the same image's next one, or reaches the end.
    after[latest[latest >= 0]] = dumps - begun[latest >= 0]
    again = previous >= 0
    after[previous[again]] = lengths[again]
    return Flips(dump, image, lengths, after, dumps, images)


def left_rule(right, window: int) -> np.ndarray:
    """Where a_{i-w} = ... = a_{i-1} differ from a_i, bool [D, images]; the first w dumps have no window.

    right: bool [D, images], or its Flips. Raises ValueError for a window that is not an integer >= 1.
    """
    return _marks(_flips(right), "left", window, False)


def right_rule(right, window: int, literal: bool = False) -> np.ndarray:
    """Where a_{i-1} differs from a_i = ... = a_{i+w-1}, bool [D, images]; the last w - 1 dumps lack a window.

    literal: the exact reversal of the left rule, a_i differs from a_{i+1} = ... = a_{i+w}, which marks the
    same flips one dump earlier. right and errors as in `left_rule`.
    """
    return _marks(_flips(right), "right", window, literal)


def class_scores(marks, starts) -> np.ndarray:
    """Number of images of each class that show the pattern, int32 [C, D].

    marks: bool [D, images] of one rule; starts [C + 1]: images of class c are starts[c]:starts[c+1].
    Raises ValueError where starts do not divide the images.
    """
    marks = np.asarray(marks, bool)
    dump, image = np.nonzero(marks)
    return _count(dump, image, checked_starts(starts, marks.shape[1]), marks.shape[0])


def scores(right, starts, window: int, rule: str = "left", literal: bool = False) -> np.ndarray:
    """`class_scores` of one rule, without the marks in between, int32 [C, D].

    right: bool [D, images], or its Flips (then it takes milliseconds). Raises ValueError as they do.
    """
    all_flips = _flips(right)
    starts = checked_starts(starts, all_flips.images)
    dump, image = _chosen(all_flips, rule, window, literal)
    return _count(dump, image, starts, all_flips.dumps)


def anomalies(scores, threshold: int) -> Table:
    """The cells of scores [C, D] at or above a threshold, by class, then dump: class, dump, score [m].

    Raises ValueError for a threshold below 1.
    """
    if isinstance(threshold, bool) or not threshold >= 1:
        raise ValueError(f"threshold={threshold!r}: allowed: a number of images >= 1")
    scores = np.asarray(scores)
    which, dump = np.nonzero(scores >= threshold)
    columns = {"class": which, "dump": dump, "score": scores[which, dump]}
    return Table(columns, dict.fromkeys(columns, ("anomaly",)), {"threshold": threshold})


def detect(right, starts, window: int, threshold: int, literal: bool = False) -> Table:
    """Anomalies of both rules: class, dump, score, rule ("left", "right") [m], by class, dump, rule.

    Arguments and errors as in `scores` and `anomalies`.
    """
    all_flips = _flips(right)
    parts = []
    for number, rule in enumerate(RULES):
        found = anomalies(scores(all_flips, starts, window, rule, literal), threshold).columns
        parts.append((*found.values(), np.full(len(found["dump"]), number)))
    which, dump, score, rule_number = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((rule_number, dump, which))
    columns = {"class": which, "dump": dump, "score": score, "rule": np.array(RULES)[rule_number]}
    columns = {name: values[order] for name, values in columns.items()}
    attrs = {"window": window, "threshold": threshold, "literal": literal}
    return Table(columns, dict.fromkeys(columns, ("anomaly",)), attrs)


def members(right, starts, which: int, dump: int, window: int, rule: str = "left", literal: bool = False):
    """The images of class `which` that show a rule's pattern at a dump, ascending, int64 [score].

    Other arguments and errors as in `scores`; ValueError for a class that is not there.
    """
    all_flips = _flips(right)
    starts = checked_starts(starts, all_flips.images)
    if not 0 <= which < len(starts) - 1:
        raise ValueError(f"class {which}: allowed: 0 to {len(starts) - 2}")
    at, image = _chosen(all_flips, rule, window, literal)
    inside = (at == dump) & (image >= starts[which]) & (image < starts[which + 1])
    return image[inside].astype(np.int64)


def propose(right, starts, *, windows=None, false_anomalies: float = 1.0, trend=None) -> Proposal:
    """A window and a threshold that tell flips of a class together from flips that merely coincide.

    If images flipped independently of one another, at rates that the record itself tells, some scores
    would still be high. Per window the threshold is the smallest one, of at least 2, for which the
    expected number of such false anomalies, over both rules, is at most false_anomalies / (number of
    windows tried), so that it holds after the choice as well: see `coincidence`. The window is the one
    with the most anomalies (of equals the longest, which asks most of an image; USUAL_WINDOW or the
    nearest where none finds any).

    Rates follow the class and the time over `trend` dumps (default: an eighth of the record, at least 15).
    So neither restless beginnings nor slowly learned classes look sudden, but a learning rate that drops
    does.

    right: bool [D, images] or its Flips; windows: the ones to try (default WINDOWS). A record too short
    for any gives no anomalies. Raises ValueError for windows or trend below 1, false_anomalies <= 0.
    """
    if not 0 < false_anomalies < np.inf:
        raise ValueError(f"false_anomalies={false_anomalies!r}: allowed: a number > 0")
    if trend is not None and not trend >= 1:
        raise ValueError(f"trend={trend!r}: allowed: a number of dumps >= 1")
    all_flips = _flips(right)
    starts = checked_starts(starts, all_flips.images)
    sizes = np.diff(starts)
    reach = int(trend) if trend is not None else max(15, all_flips.dumps // 8)
    tried = list(windows) if windows is not None else [w for w in WINDOWS if 4 * w <= all_flips.dumps]
    tried = tried or [WINDOWS[0]]
    rows = []
    for window in tried:
        counted = [scores(all_flips, starts, window, rule) for rule in RULES]
        scored = (counted[0][:, window:], counted[1][:, 1 : max(1, all_flips.dumps - window + 1)])
        allowed = false_anomalies / len(tried)
        threshold, expected = coincidence.threshold(scored, sizes, reach, allowed)
        found = sum(int((part >= threshold).sum()) for part in counted)
        rows.append((window, threshold, found, expected))
    most = max(row[2] for row in rows)
    best = max(rows, key=lambda row: (row[2], row[0] if most else -abs(row[0] - USUAL_WINDOW)))
    names = ("window", "threshold", "found", "expected")
    columns = {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    table = Table(columns, dict.fromkeys(names, ("window",)), {"false_anomalies": false_anomalies})
    return Proposal(int(best[0]), int(best[1]), int(best[2]), table)


def checked_starts(starts, images: int) -> np.ndarray:
    """starts as int64 [C + 1]; ValueError where they do not rise from 0 to the number of images."""
    starts = np.asarray(starts, np.int64)
    good = starts.ndim == 1 and len(starts) >= 2 and starts[0] == 0 and starts[-1] == images
    if not good or (np.diff(starts) < 0).any():
        raise ValueError(
            f"starts={starts.tolist()}: allowed: rising from 0 to the number of images, {images:,}"
        )
    return starts


def _flips(right) -> Flips:
    return right if isinstance(right, Flips) else flips(right)


def _joined(pieces, dtype) -> np.ndarray:
    return np.concatenate(pieces).astype(dtype) if pieces else np.empty(0, dtype)


def _chosen(all_flips, rule, window, literal):
    """(dump, image) of the flips that a rule marks."""
    if isinstance(window, bool) or not isinstance(window, int | np.integer) or window < 1:
        raise ValueError(f"window={window!r}: allowed: an integer >= 1")
    if rule not in RULES:
        raise ValueError(f"rule={rule!r}: allowed: {', '.join(RULES)}")
    stable = (all_flips.before if rule == "left" else all_flips.after) >= window
    earlier = 1 if literal and rule == "right" else 0
    return all_flips.dump[stable] - earlier, all_flips.image[stable]


def _marks(all_flips, rule, window, literal):
    marks = np.zeros((all_flips.dumps, all_flips.images), bool)
    marks[_chosen(all_flips, rule, window, literal)] = True
    return marks


def _count(dump, image, starts, dumps):
    classes = len(starts) - 1
    of_image = np.repeat(np.arange(classes), np.diff(starts))
    counts = np.bincount(of_image[image] * dumps + dump, minlength=classes * dumps)
    return counts.reshape(classes, dumps).astype(np.int32)
