"""Error and accuracy on the straight line between two points of a training, as a whole and layer by layer.

theta(a) = (1 - a) theta_i + a theta_k for the whole network; for one layer alone the others stay at
theta_k. Source: Goodfellow, Vinyals, Saxe 2015; Kuchta 2023, chapter 6 (SPEC B2).
"""

from functools import partial

import jax
import numpy as np

from gdlab import store
from gdlab.monitors.evaluation import make_error, predicts_classes, sample
from gdlab.plan.builder import nearest
from gdlab.probes.segments import Pending
from gdlab.records import Table
from gdlab.training.collection import layer_names, layers_of

WHOLE = "network"
MOST = 10_001  # positions on the line


def compute(
    replay,
    *,
    start=0,
    stop=None,
    points=41,
    low=0.0,
    high=1.0,
    layers="each",
    on="train",
    samples=10_000,
    progress,
):
    """Error and accuracy on the line from theta_start to theta_stop.

    Args:
      replay: a gdlab Replay.
      start, stop: iterations 0 ... K, not equal; stop None: the last.
      points: positions a on the line, at least 2, evenly from `low` to `high`; 0 and 1 are always added.
      low, high: ends of the range of a, low < high; 0 to 1 is between the two.
      layers: "each" (the whole network and every layer alone), "whole", or the name of one layer.
      on: "train" or "test";  samples: how many examples of it, null: all.
      progress: (fraction, text) -> None.

    Returns:
      A Table: alpha [A]; curve [C] names, "network" first; loss, accuracy [C, A] (accuracy NaN where the
      problem predicts no classes); distance [C], |theta_stop - theta_start| of what moves. attrs: start,
      stop, on, samples, replay's report. What is computed is kept in the run folder.

    Raises:
      ValueError: an option that is not allowed.
    """
    alpha = _positions(points, low, high)
    ends = _ends(replay, start, stop)
    dataset, problem = replay.assembly.dataset, replay.assembly.problem
    data = None if dataset is None else sample(dataset, on, samples)
    first, last = (replay.params(k) for k in ends)
    curves = _curves(layer_names(first), layers)
    classes = dataset is not None and predicts_classes(problem, dataset)
    error = replay.memo(f"interpolation {on} {samples}", lambda: make_error(problem, data, classes=classes))
    facts = {"start": ends[0], "stop": ends[1], "on": on, "samples": samples}
    loss, accuracy = np.full((2, len(curves), len(alpha)), np.nan)
    foreign = 0
    for number, curve in enumerate(curves):

        def along(fraction, text, number=number):
            progress((number + fraction) / len(curves), text)

        point = partial(_between, first, last, curve)
        cache = _cache(replay.run, {**facts, "curve": curve, "alpha": alpha.tolist()}, len(alpha))
        loss[number], accuracy[number] = _curve(cache, alpha, lambda a, at=point: error(at(a)), curve, along)
        foreign += cache.foreign(0, len(alpha))
    columns = {"alpha": alpha, "curve": np.array(curves), "loss": loss, "accuracy": accuracy}
    columns["distance"] = np.array([_distance(first, last, curve) for curve in curves])
    dims = {name: ("curve", "alpha")[: array.ndim] for name, array in columns.items()}
    dims["alpha"] = ("alpha",)
    return Table(columns, dims, {**facts, "replay": replay.report()._asdict(), "foreign": foreign})


def _curve(cache, alpha, measure, curve, progress):
    """(loss, accuracy) [A] each, from the cache where it has them."""
    done = np.asarray(cache.done(0, len(alpha)))
    with Pending(cache) as pending:
        for at in np.flatnonzero(~done):
            progress(at / len(alpha), f"{curve}, a = {alpha[at]:.3g}")
            loss, accuracy = measure(alpha[at])
            pending.add(int(at), {"loss": loss, "accuracy": accuracy})
    found = cache.read(0, len(alpha))
    return found["loss"], found["accuracy"]


def _between(first, last, curve, a):
    """theta(a): the leaves of `curve` on the line, the others at `last`."""
    leaves, structure = jax.tree.flatten(last)
    moving = _moving(last, curve)
    mixed = [
        (1 - a) * start + a * end if moves else end
        for start, end, moves in zip(jax.tree.leaves(first), leaves, moving, strict=True)
    ]
    return jax.tree.unflatten(
        structure, [np.asarray(m, leaf.dtype) for m, leaf in zip(mixed, leaves, strict=True)]
    )


def _moving(tree, curve):
    return [curve in (WHOLE, name) for name in layers_of(tree)]


def _distance(first, last, curve):
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(last), _moving(last, curve), strict=True)
    steps = (np.asarray(b, float) - np.asarray(a, float) for a, b, moves in pairs if moves)
    return float(np.sqrt(sum(np.sum(step**2) for step in steps)))


def _positions(points, low, high):
    if isinstance(points, bool) or not isinstance(points, int) or not 2 <= points <= MOST:
        raise ValueError(f"points={points!r}: allowed: 2 to {MOST:,}")
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"low={low!r}, high={high!r}: allowed: two numbers, low < high")
    return np.unique(np.concatenate([np.linspace(low, high, points), [0.0, 1.0]]))


def _ends(replay, start, stop):
    last = replay.run.rows("scalars")
    stop = last if stop is None else stop
    for name, value in (("start", start), ("stop", stop)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= last:
            raise ValueError(f"{name}={value!r}: allowed: an iteration, 0 to {last:,}")
    if start == stop:
        raise ValueError(f"start={start}, stop={stop}: a line needs two different points")
    return int(start), int(stop)


def _curves(names, layers):
    if layers == "whole":
        return (WHOLE,)
    if layers == "each":
        return (WHOLE, *names) if len(names) > 1 else (WHOLE,)
    if layers not in names:
        allowed = ", ".join(("each", "whole", *names))
        raise ValueError(f"layers={layers!r}: allowed: {allowed}.{nearest(layers, names)}")
    return (layers,)


def _cache(run, facts, rows):
    arrays = dict.fromkeys(("loss", "accuracy"), store.ArraySpec(dtype="f8", row_shape=()))
    return store.Derived(run, "interpolation", facts, rows=rows, arrays=arrays, version="1")
