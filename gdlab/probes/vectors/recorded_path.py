"""The path of a recorded run as Rows: from its record, or else replayed once and kept beside the run."""

import numpy as np

from gdlab import store
from gdlab.analysis import handed
from gdlab.analysis.surfaces.rows import Rows

FLUSH_BYTES = 32 << 20


def path_rows(replay, iterations, progress=lambda fraction, text: None):
    """Rows theta_k of these iterations (increasing), replayed where the run did not record them.

    What was replayed lies in a cache of the run; progress is told and cancels, what is done stays.
    """
    run = replay.run
    if "path" in run.arrays and run.rows("path"):
        steps = np.asarray(run.array("path_step")) if "path_step" in run.arrays else None
        index = iterations if steps is None else np.searchsorted(steps, iterations)
        example = run.array("path", 0, 1)
        return Rows(lambda a, b: run.array("path", a, b), index, example.shape[1], example.dtype)
    points = np.array(list(handed.of(run).path), np.int64)
    if len(points):
        return _points(replay, points, np.searchsorted(points, iterations))
    cache, size, dtype = _cache(replay)
    missing = iterations[~cache.done(0, int(iterations[-1]) + 1)[iterations]]
    if len(missing):
        _fill(replay, cache, missing, progress)
    return Rows(lambda a, b: cache.read(a, b)["theta"], iterations, size, dtype)


def _points(replay, points, index):
    """The Rows of the points that a recorded loop has kept; index: their positions in `points`."""
    first = flat(replay.passed(int(points[index[0]])))

    def read(start, stop):
        return np.stack([flat(replay.passed(int(points[i]))).astype(first.dtype) for i in range(start, stop)])

    return Rows(read, index, first.size, first.dtype)


def point(replay, k):
    """theta_k of the path as one vector [p]."""
    return flat(replay.passed(k) if k in handed.of(replay.run).path else replay.params(k))


def flat(params):
    """A pytree of arrays as one vector [p], in the order of its leaves."""
    import jax

    leaves = jax.tree.leaves(jax.device_get(params))
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


def _cache(replay):
    import jax

    leaves = jax.tree.leaves(jax.eval_shape(replay.assembly.problem.init, replay.assembly.key))
    size, dtype = sum(leaf.size for leaf in leaves), np.dtype(leaves[0].dtype)
    arrays = {"theta": store.ArraySpec(dtype=dtype.str.lstrip("<"), row_shape=(size,))}
    return store.Derived(replay.run, "path", {}, rows=None, arrays=arrays), size, dtype


def _fill(replay, cache, missing, progress):
    wanted, recorded = set(missing.tolist()), replay.run.rows("scalars")
    waiting, first = [], 0
    try:
        begin, end = int(missing[0]), min(int(missing[-1]) + 1, recorded)
        for step in replay.steps(begin, end, progress) if begin < end else ():
            k = step.iteration
            if k not in wanted:
                continue
            progress((k - begin) / (end - begin), f"path {k:,}")
            theta = flat(step.params)
            if waiting and (k != first + len(waiting) or len(waiting) * theta.nbytes > FLUSH_BYTES):
                cache.write(first, {"theta": np.stack(waiting)})
                waiting = []
            first = first if waiting else k
            waiting.append(theta)
    finally:
        if waiting:
            cache.write(first, {"theta": np.stack(waiting)})
    if recorded in wanted:
        cache.write(recorded, {"theta": flat(replay.params(recorded))[None]})
