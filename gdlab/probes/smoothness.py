"""Smoothness of the error along a direction: how much its slope goes up and down over two steps; its bend.

The total variation of phi'_k over [0, 2 eta_k], in units of |phi'_k(0)|. A parabola with its minimum at
eta_k has 2 (the slope runs from phi'(0) to -phi'(0)); every bump adds to it. Slopes are exact directional
derivatives of the replayed iteration, also where the recorded search stopped before 2 eta_k. The curvature
phi''_k(0) is d_k . H d_k, one product with the Hessian matrix: the derivative of the gradient along d_k.

Source: the outlook of Becker, Lippel, Zielke 2019, section 3.2 (phi_k "as regards their change in
steepness, smoothness, etc.").
"""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.analysis.shape import COLUMNS, POINTS, cache
from gdlab.probes.segments import Pending, check_on, interval
from gdlab.records import Table


def compute(replay, *, start, stop, every=1, on="batch", progress):
    """Smoothness of the iterations k in [start, stop) that `every` divides.

    Args:
      replay: a gdlab Replay.
      start, stop: iterations, 0 <= start < stop; cut to what is recorded.
      every: keep every how manyth iteration, at least 1.
      on: "batch", the batch the step was computed on, or "train", the whole training set.
      progress: (fraction, text) -> None.

    Returns:
      A Table: iteration [t]; smoothness [t], at least 0, NaN for a step of length 0, one that cannot be had,
      and where a slope is not finite; slope [t], phi'_k(0) eta_k, and curvature [t], phi''_k(0), on the data
      chosen. attrs: the replay's report, foreign (`store.Derived.foreign`).

    Raises:
      ValueError: an option outside its range.
    """
    check_on(on)
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f"every={every!r}: allowed: an integer >= 1")
    start, stop = interval(replay, start, stop)
    wanted = np.arange(-(-start // every) * every, stop, every)
    kept = cache(replay.run, on)
    missing = wanted[~np.asarray(kept.done(start, stop), bool)[wanted - start]]
    if len(missing):
        _fill(kept, replay, set(missing.tolist()), on, progress)
    rows = kept.read(start, stop)
    for array in rows.values():  # of iterations that cannot be had
        array[~np.asarray(kept.done(start, stop), bool)] = np.nan
    columns = {"iteration": wanted, **{name: array[wanted - start] for name, array in rows.items()}}
    attrs = {"replay": replay.report()._asdict(), "foreign": kept.foreign(start, stop)}
    return Table(columns, dict.fromkeys(columns, ("iteration",)), attrs)


def _fill(kept, replay, missing, on, progress):
    slopes = replay.memo("smoothness", lambda: _slopes(replay.assembly.problem))
    first, last = min(missing), max(missing) + 1
    with Pending(kept) as pending:
        for step in replay.steps(first, last, progress):
            k = step.iteration
            if k not in missing:
                continue
            progress((k - first) / (last - first), f"smoothness {k:,}")
            row = dict.fromkeys(COLUMNS, np.nan)
            if step.info.step_size > 0:
                batch = replay.batch(k) if on == "batch" else replay.assembly.data
                sampled, bend = slopes(step.params, step.updates, batch, replay.key(k))
                row["smoothness"], row["slope"] = _variation(np.asarray(sampled, np.float64))
                row["curvature"] = float(bend) / float(step.info.step_size) ** 2
            pending.add(k, row)


def _slopes(problem):
    """Jitted (params, updates, batch, key) -> slopes of J(params + x updates) at x in [0, 2], its bend."""

    @jax.jit
    def slopes(params, updates, batch, key):
        def at(offset):
            point = jax.tree.map(lambda p, u: p + offset.astype(p.dtype) * u, params, updates)
            return jax.jvp(lambda p: problem.loss(p, batch, key=key), (point,), (updates,))[1]

        # Forward over reverse: the Hessian matrix times the step, without the matrix.
        gradient = jax.grad(lambda p: problem.loss(p, batch, key=key))
        product = jax.jvp(gradient, (params,), (updates,))[1]
        pairs = zip(jax.tree.leaves(product), jax.tree.leaves(updates), strict=True)
        return jax.lax.map(at, jnp.linspace(0, 2, POINTS)), sum(jnp.vdot(one, other) for one, other in pairs)

    return slopes


def _variation(slopes):
    """(total variation over |first slope|, first slope); NaN where one is not finite or the first is 0."""
    if not np.isfinite(slopes).all() or slopes[0] == 0:
        return np.nan, slopes[0]
    return np.abs(np.diff(slopes)).sum() / abs(slopes[0]), slopes[0]
