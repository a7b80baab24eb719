"""Smoothness of the error along a direction: how much its slope goes up and down over two steps.

The total variation of phi'_k over [0, 2 eta_k], in units of |phi'_k(0)|. A parabola with its minimum at
eta_k has 2 (the slope runs from phi'(0) to -phi'(0)); every bump adds to it. Slopes are exact directional
derivatives of the replayed iteration, also where the recorded search stopped before 2 eta_k.

Source: the outlook of Becker, Lippel, Zielke 2019, section 3.2 (phi_k "as regards their change in
steepness, smoothness, etc.").
"""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import store
from gdlab.probes.segments import Pending, check_on, interval
from gdlab.records import Table

POINTS = 33  # slopes sampled on [0, 2]


def compute(replay, *, start, stop, every=1, on="batch", progress):
    """Smoothness of the iterations k in [start, stop) that `every` divides.

    Args:
      replay: a gdlab Replay.
      start, stop: iterations, 0 <= start < stop; cut to what is recorded.
      every: keep every how manyth iteration, at least 1.
      on: "batch", the batch the step was computed on, or "train", the whole training set.
      progress: (fraction, text) -> None.

    Returns:
      A Table: iteration [t]; smoothness [t], at least 0, NaN for a step of length 0 and where a slope
      is not finite; slope [t], phi'_k(0) eta_k on the data chosen. attrs: the replay's
      report, foreign (`store.Derived.foreign`).

    Raises:
      ValueError: an option outside its range.
    """
    check_on(on)
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f"every={every!r}: allowed: an integer >= 1")
    start, stop = interval(replay, start, stop)
    wanted = np.arange(-(-start // every) * every, stop, every)
    cache = _cache(replay.run, on)
    missing = wanted[~np.asarray(cache.done(start, stop), bool)[wanted - start]]
    if len(missing):
        _fill(cache, replay, set(missing.tolist()), on, progress)
    rows = cache.read(start, stop)
    columns = {"iteration": wanted, **{name: array[wanted - start] for name, array in rows.items()}}
    attrs = {"replay": replay.report()._asdict(), "foreign": cache.foreign(start, stop)}
    return Table(columns, dict.fromkeys(columns, ("iteration",)), attrs)


def _fill(cache, replay, missing, on, progress):
    slopes = replay.memo("smoothness", lambda: _slopes(replay.assembly.problem))
    first, last = min(missing), max(missing) + 1
    with Pending(cache) as pending:
        for step in replay.steps(first, last, progress):
            k = step.iteration
            if k not in missing:
                continue
            progress((k - first) / (last - first), f"smoothness {k:,}")
            smoothness = slope = np.nan
            if step.info.step_size > 0:
                batch = replay.batch(k) if on == "batch" else replay.assembly.data
                sampled = slopes(step.params, step.updates, batch, replay.key(k))
                smoothness, slope = _variation(np.asarray(sampled, np.float64))
            pending.add(k, {"smoothness": smoothness, "slope": slope})


def _slopes(problem):
    """Jitted (params, updates, batch, key) -> d/dx J(params + x updates) at POINTS x in [0, 2]."""

    @jax.jit
    def slopes(params, updates, batch, key):
        def at(offset):
            point = jax.tree.map(lambda p, u: p + offset.astype(p.dtype) * u, params, updates)
            return jax.jvp(lambda p: problem.loss(p, batch, key=key), (point,), (updates,))[1]

        return jax.lax.map(at, jnp.linspace(0, 2, POINTS))

    return slopes


def _variation(slopes):
    """(total variation over |first slope|, first slope); NaN where one is not finite or the first is 0."""
    if not np.isfinite(slopes).all() or slopes[0] == 0:
        return np.nan, slopes[0]
    return np.abs(np.diff(slopes)).sum() / abs(slopes[0]), slopes[0]


def _cache(run, on):
    single = store.ArraySpec(dtype="f8", row_shape=())
    return store.Derived(
        run,
        "smoothness",
        {"on": on, "points": POINTS},
        rows=run.rows("scalars"),
        arrays={"smoothness": single, "slope": single},
    )
