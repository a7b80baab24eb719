"""The error function as a map around the path, for problems of two parameters.

Source: Becker, Lippel, Zielke 2019, Figure 2 (a).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gdlab.records import Table

MARGIN = 0.15  # of the path's extent, on every side
LIMIT = 1001


def compute(replay, *, resolution=201, x0=None, x1=None, y0=None, y1=None, iteration=None, progress):
    """J on a grid over the plane of the two parameters.

    Args:
      replay: a gdlab Replay of a run with p = 2.
      resolution: points per side, 2 to 1001.
      x0, x1, y0, y1: the window; where None it is the path's bounding box with a margin.
      iteration: whose batch the error is taken on; None: the whole training set.
      progress: (fraction, text) -> None.

    Returns:
      A Table: x [nx], y [ny], value [ny, nx] (NaN where J is not finite), path [n, 2].

    Raises:
      ValueError: the problem does not have two parameters, or the window is empty.
    """
    if not 2 <= resolution <= LIMIT:
        raise ValueError(f"resolution={resolution}: allowed: 2 to {LIMIT}")
    template = jax.eval_shape(replay.assembly.problem.init, replay.assembly.key)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
    flat, unravel = ravel_pytree(zeros)
    if flat.size != 2:
        raise ValueError(f"a map needs a problem of two parameters; this one has {flat.size:,}")
    path = np.asarray(replay.run.array("path"))
    x = _side(path[:, 0], x0, x1, resolution, "x")
    y = _side(path[:, 1], y0, y1, resolution, "y")
    batch = replay.assembly.data if iteration is None else replay.batch(iteration)

    @jax.jit
    def row(height):
        points = jnp.stack([jnp.asarray(x, flat.dtype), jnp.full(len(x), height, flat.dtype)], axis=1)
        return jax.vmap(lambda point: replay.assembly.problem.loss(unravel(point), batch, key=None))(points)

    value = np.empty((len(y), len(x)))
    for number, height in enumerate(y):
        progress(number / len(y), "error map")
        value[number] = row(height)
    value[~np.isfinite(value)] = np.nan
    dims = {"x": ("x",), "y": ("y",), "value": ("y", "x"), "path": ("iteration", "parameter")}
    return Table({"x": x, "y": y, "value": value, "path": path}, dims, {"resolution": resolution})


def _side(coordinates, low, high, resolution, name):
    finite = coordinates[np.isfinite(coordinates)]
    if (low is None or high is None) and not len(finite):
        raise ValueError("the path has no finite point to draw a map around")
    lowest, highest = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    margin = MARGIN * max(highest - lowest, 1e-3 * max(1.0, abs(highest)))
    low = lowest - margin if low is None else low
    high = highest + margin if high is None else high
    if not low < high:
        raise ValueError(f"the window {name}0={low}, {name}1={high} is empty; {name}0 must be below {name}1")
    return np.linspace(low, high, resolution)
