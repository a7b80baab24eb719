"""Warnings: what an experienced eye would stop at in a training's loss, gradients and steps.

Each rule is a rule of thumb with a limit that can be set (Limits); a warning says when, where and by how
much, never why. The quantities are those that DeepTracker's experts watch: Liu et al. 2018, section 4.
"""

from typing import Any, NamedTuple

import numpy as np

from gdlab.analysis.filters import dead_since, least_dead
from gdlab.analysis.step_sizes import moving_average
from gdlab.records import Table

KINDS = (
    "exploding gradients", "vanishing gradients", "rising loss", "widening gap",
    "tiny steps", "huge steps", "dead filters",
)  # fmt: skip
USUAL_RATIO = 1e-3  # update ratio of a training that goes well, section 4 of the paper
LEAST_LOSS = 0.01  # shares of the first loss: a rise by less does not matter, and a loss below has arrived


class Limits(NamedTuple):
    """Beyond which a quantity is warned of; every limit is a number > 0.

    explosion  gradient norm of the network over the larger of its first and its usual (median) value
    vanishing  gradient per weight (root mean square) of a layer over the largest layer's
    rise       of the smoothed loss over its lowest value so far, as a share of that
    gap        growth of the lead of the training accuracy over the validation accuracy
    tiny, huge update ratio of the network, |theta_{k+1} - theta_k| / |theta_k|
    progress   share by which the smoothed loss has to fall for tiny steps to be no matter
    dead       share of a layer's filters
    window     dumps that are averaged, and that all but explosion, huge steps and dead filters (see
               `filters.least_dead`) have to last; None: a twentieth of the record, at least 3
    """

    explosion: float = 10.0
    vanishing: float = 1e-4
    rise: float = 0.1
    gap: float = 0.1
    tiny: float = 1e-6
    huge: float = 0.1
    progress: float = 0.01
    dead: float = 0.02
    window: int | None = None


class Record(NamedTuple):
    """What the rules look at: D dumps, L layers, F filters; None where it was not recorded.

    iteration [D]; scalars {name: [D]} with any of loss, accuracy, train_loss, train_accuracy; layers: L
    names; weights [L]: how many each has; gradient_norm, weight_norm, update_norm [D, L]; dead_since [F]
    (as `filters.dead_since` gives it) and layer_of [F], the layer of each filter.
    """

    iteration: Any
    scalars: dict
    layers: tuple = ()
    weights: Any = None
    gradient_norm: Any = None
    weight_norm: Any = None
    update_norm: Any = None
    dead_since: Any = None
    layer_of: Any = None


def record_of(dumps) -> Record:
    """The Record of a gdlab.analysis.dumps.Dumps, with what it has of these statistics."""
    at = dumps.layers()
    nodes = [dumps.nodes[i] for i in at]
    there = set(dumps.stats())

    def layers(name, *needed):
        return dumps.layer(name)[:, at] if at and there.issuperset(needed) else None

    since = None
    if at and there.issuperset(("gradient_mean", "gradient_std", "cosine_distance")):
        moved = (dumps.filter("gradient_mean") != 0) | (dumps.filter("gradient_std") != 0)
        since = dead_since(moved, dumps.filter("cosine_distance"))
    return Record(
        dumps.iteration,
        dumps.scalars,
        tuple(node.name for node in nodes),
        np.array([node.size for node in nodes], float),
        layers("gradient_norm", "gradient_mean", "gradient_std"),
        layers("weight_norm", "weight_mean", "weight_std"),
        layers("update_norm", "update_norm"),
        since,
        np.repeat(np.arange(len(nodes)), [node.filters for node in nodes]),
    )


def check(record: Record, limits: Limits | None = None) -> Table:
    """All warnings, the earliest first: kind (of KINDS), first, last (dumps), first_iteration,
    last_iteration, where (a layer, "training", "validation" or "network"), text (a sentence) [m].

    Raises ValueError for a limit that is not a number > 0.
    """
    limits = limits or Limits()
    for name, value in zip(Limits._fields, limits, strict=True):
        if value is not None and (isinstance(value, bool) or not 0 < value < np.inf):
            raise ValueError(f"{name}={value!r}: allowed: a number > 0")
    count = len(record.iteration)
    window = max(3, count // 20) if limits.window is None else int(np.ceil(limits.window))
    rules = (_exploding, _vanishing, _rising, _widening, _tiny, _huge, _dead)
    rows = []
    for kind, rule in zip(KINDS, rules, strict=True):
        rows += [(kind, *row) for row in rule(record, limits, window)] if count else []
    rows.sort(key=lambda row: (row[1], KINDS.index(row[0]), row[3]))
    names = ("kind", "first", "last", "where", "text")
    kinds = (object, np.int64, np.int64, object, object)
    columns = {
        name: np.array([row[i] for row in rows], dtype)
        for i, (name, dtype) in enumerate(zip(names, kinds, strict=True))
    }
    for end in ("first", "last"):
        columns[f"{end}_iteration"] = np.asarray(record.iteration, np.int64)[columns[end]]
    attrs = {"limits": limits._asdict() | {"window": window}}
    return Table(columns, dict.fromkeys(columns, ("warning",)), attrs)


def network_update_ratio(record: Record) -> np.ndarray | None:
    """|theta_{k+1} - theta_k| / |theta_k| of the network [D], NaN in the last dump; None if not recorded."""
    if record.update_norm is None or record.weight_norm is None:
        return None
    moved, length = _total(record.update_norm), _total(record.weight_norm)
    return np.divide(moved, length, out=np.full(len(moved), np.nan), where=length > 0)


def _exploding(record, limits, window):
    """Rows (first, last, where, text) of dumps with a gradient that is not finite or beyond the limit."""
    if record.gradient_norm is None:
        return
    norms = np.asarray(record.gradient_norm, float)
    total = _total(norms)
    lost = ~np.isfinite(total)
    known = total[~lost]
    usual = max(np.median(known), known[0]) if known.any() else np.inf
    for first, last in _stretches(lost | (total > limits.explosion * usual), 1, window):
        here = slice(first, last + 1)
        if lost[here].any():
            at = first + int(np.argmax(lost[here]))
            layer = int(np.argmax(~np.isfinite(norms[at])))
            yield first, last, record.layers[layer], f"the gradient is not finite{_from(record, at)}"
            continue
        at = first + int(np.argmax(total[here]))
        layer = int(np.argmax(norms[at]))
        times, share = total[at] / usual, (norms[at, layer] / total[at]) ** 2
        text = f"the gradient's norm reaches {_number(total[at])}, {times:,.0f} times the usual"
        yield first, last, record.layers[layer], f"{text}; {share:.0%} of its square in this layer"


def _vanishing(record, limits, window):
    if record.gradient_norm is None:
        return
    per_weight = np.asarray(record.gradient_norm, float) / np.sqrt(np.asarray(record.weights, float))
    largest = np.where(np.isfinite(per_weight), per_weight, 0).max(axis=1, initial=0)
    for first, last in _stretches((largest == 0) & np.isfinite(per_weight).all(axis=1), window, 1):
        yield first, last, "network", "no weight has a gradient"
    share = np.full(per_weight.shape, np.inf)
    np.divide(per_weight, largest[:, None], out=share, where=largest[:, None] > 0)
    share[np.isnan(share)] = np.inf
    small = share < limits.vanishing
    for first, last in _stretches(small.any(axis=1), window, 1):
        here = slice(first, last + 1)
        median = np.median(share[here], axis=0)
        layer = int(np.argmin(median))
        others = int((small[here].sum(axis=0) >= window).sum()) - 1
        least = _number(median[layer])
        also = f"; {others} more layer(s) with it" if others > 0 else ""
        text = f"the gradient per weight is {least} of the largest layer's{also}"
        yield first, last, record.layers[layer], text


def _rising(record, limits, window):
    for name, where in (("train_loss", "training"), ("loss", "validation")):
        if name not in record.scalars:
            continue
        loss = np.asarray(record.scalars[name], float)
        known = np.flatnonzero(np.isfinite(loss))
        if not len(known):
            continue
        lost = ~np.isfinite(loss) & (np.arange(len(loss)) > known[0])
        for first, last in _stretches(lost, 1, window):
            yield first, last, where, "the loss is not finite"
        smooth = moving_average(loss, window)
        lowest = np.fmin.accumulate(smooth)
        needed = np.maximum(limits.rise * np.abs(lowest), LEAST_LOSS * abs(loss[known[0]]))
        for first, last in _stretches(smooth - lowest > needed, window, 1):
            at = first + int(np.nanargmax(smooth[first : last + 1]))
            rise = (smooth[at] - lowest[at]) / abs(lowest[at]) if lowest[at] else np.inf
            text = f"the loss climbs from {_number(lowest[at])} to {_number(smooth[at])}"
            yield first, last, where, f"{text}, by {rise:.0%}" if np.isfinite(rise) else text


def _widening(record, limits, window):
    if not {"accuracy", "train_accuracy"} <= set(record.scalars):
        return
    train, other = (np.asarray(record.scalars[name], float) for name in ("train_accuracy", "accuracy"))
    gap = moving_average(train - other, window)
    lowest = np.fmin.accumulate(gap)
    for first, last in _stretches(gap - lowest > limits.gap, window, 1):
        at = first + int(np.nanargmax(gap[first : last + 1]))
        text = f"the training accuracy leads by {gap[at]:.1%}, up from {lowest[at]:.1%}"
        yield first, last, "validation", text


def _tiny(record, limits, window):
    ratio = network_update_ratio(record)
    loss = np.asarray(record.scalars.get("train_loss", ()), float)
    if ratio is None or not np.isfinite(loss).any():
        return
    smooth = moving_average(loss, window)
    start = abs(loss[np.isfinite(loss)][0])
    # A training that has arrived may stand still.
    for first, last in _stretches((ratio < limits.tiny) & (smooth > LEAST_LOSS * start), window, 1):
        fell = (smooth[first] - smooth[last]) / abs(smooth[first])
        if fell < limits.progress:
            median = _number(np.nanmedian(ratio[first : last + 1]))
            text = f"steps are {median} of the weights' length, and the loss stays at {_number(smooth[last])}"
            yield first, last, "network", text


def _huge(record, limits, window):
    ratio = network_update_ratio(record)
    if ratio is None:
        return
    for first, last in _stretches(ratio > limits.huge, 1, window):
        at = first + int(np.nanargmax(ratio[first : last + 1]))
        layer = int(np.nanargmax(np.asarray(record.update_norm, float)[at]))
        times = ratio[at] / USUAL_RATIO
        text = f"a step is {_number(ratio[at])} of the weights' length, {times:,.0f} times the usual 1e-3"
        yield first, last, record.layers[layer], text


def _dead(record, limits, window):
    if record.dead_since is None:
        return
    since, count = np.asarray(record.dead_since), len(record.iteration)
    dead = count - since >= least_dead(count)  # as the list of dead filters counts them
    of_layer = np.bincount(np.asarray(record.layer_of)[dead], minlength=len(record.layers))
    filters = np.bincount(np.asarray(record.layer_of), minlength=len(record.layers))
    for layer in np.flatnonzero(of_layer > limits.dead * filters):
        number = of_layer[layer]
        first = int(since[dead & (np.asarray(record.layer_of) == layer)].min())
        text = f"{number} of {filters[layer]} filters are dead, {number / filters[layer]:.1%}"
        yield first, count - 1, record.layers[layer], text


def _stretches(flags, least, gap):
    """[(first, last)] of stretches of True of at least `least`, after joining those at most `gap` apart."""
    at = np.flatnonzero(flags)
    if not len(at):
        return []
    cut = np.flatnonzero(np.diff(at) > gap)
    ends = zip(at[np.append(0, cut + 1)], at[np.append(cut, len(at) - 1)], strict=True)
    return [(int(a), int(b)) for a, b in ends if b - a + 1 >= least]


def _total(norms):
    return np.sqrt(np.square(np.asarray(norms, float)).sum(axis=1))


def _from(record, at):
    return f" from iteration {int(record.iteration[at]):,} on" if at else ""


def _number(value):
    return f"{value:.3g}"
