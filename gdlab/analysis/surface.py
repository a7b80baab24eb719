"""The loss surface around a training path, as far as it has been computed: opened without the model.

The probe of the same name writes three caches beside the run: the plane with the path on it, the cells of
the picture from coarse to fine, and what is known for certain (losses on the path and on the straight
line between its ends). Here they are described, opened and put together.

Source: Kuchta 2023, section 6.4.
"""

import numpy as np

from gdlab import store
from gdlab.analysis.surface_options import path_iterations, settings
from gdlab.analysis.surfaces import fidelity, grid
from gdlab.records import Table

CLIP = 1.5  # of the initial loss
LINE = 21  # points on the straight line from start to end
KNOWN = 32  # points of the path

PLANE_OPTIONS = ("plane", "checkpoints", "centre", "thin", "last", "seed", "resolution")
SAMPLE_OPTIONS = ("samples", "on", "seed")
METHOD_OPTIONS = ("method", "behind", "offset", "temperature", "distance")


def plane_cache(run, chosen):
    """The Derived of one row: the plane's numbers and the path on it, NaN-padded."""
    count = len(path_iterations(run, thin=chosen["thin"], last=chosen["last"]))
    wide = {"x": (chosen["resolution"] + 2,), "y": (chosen["resolution"] + 2,)}
    path = {"iteration": (count,), "coordinates": (count, 2)}
    facts = {"explained": (2,), "centre": (2,), "gram": (2, 2), "residual": ()}
    arrays = {name: _f8(shape) for name, shape in (wide | path | facts).items()}
    return store.Derived(run, "surface_plane", _part(chosen, PLANE_OPTIONS), rows=1, arrays=arrays)


def cells_cache(run, chosen, refined=False):
    """The Derived of the cells in the order of `grid.order`, then LINE points, then KNOWN points."""
    options = _part(chosen, (*PLANE_OPTIONS, *SAMPLE_OPTIONS, *METHOD_OPTIONS, "uncertainty", "draws"))
    options["refine"] = chosen["refine"] if refined else 0.0
    arrays = dict.fromkeys(("value", "deviation", "deviation_error"), _f8(()))
    return store.Derived(run, "surface", options, rows=None, arrays=arrays)


def lines_cache(run, chosen):
    """The Derived of one row: the lines of the refined grid, NaN-padded."""
    options = _part(chosen, (*PLANE_OPTIONS, *SAMPLE_OPTIONS, *METHOD_OPTIONS, "uncertainty", "refine"))
    room = 3 * (chosen["resolution"] + 2)
    arrays = {"x": _f8((room,)), "y": _f8((room,))}
    return store.Derived(run, "surface_lines", options, rows=1, arrays=arrays)


def truth_cache(run, chosen):
    """The Derived of true losses: LINE points of the straight line, then KNOWN points of the path."""
    options = _part(chosen, ("last", "thin", *SAMPLE_OPTIONS))
    return store.Derived(run, "surface_truth", options, rows=LINE + KNOWN, arrays={"value": _f8(())})


def distance_cache(run, chosen, against):
    """The Derived of L2 distances between two methods' parameters, in the order of `grid.order`."""
    first, other = (_part(c, METHOD_OPTIONS) for c in (chosen, against))
    options = {**_part(chosen, PLANE_OPTIONS), "one": first, "other": other}
    # 2: the variance off the plane is that of all p - 2 directions.
    off = any(c["method"] == "averaged_nd" and c["distance"] == "mahalanobis" for c in (first, other))
    arrays = {"distance": _f8(())}
    version = "2" if off else "1"
    return store.Derived(run, "surface_distance", options, rows=None, arrays=arrays, version=version)


def known_positions(count):
    """Positions of the path points whose true loss is computed: KNOWN of `count`, evenly spread."""
    return np.linspace(0, count - 1, KNOWN).round().astype(int)


def read(run, options):
    """The Table of a surface as far as it is computed, or None where not even its plane is.

    Args:
      run: a gdlab Run; options: keyword options of `settings`.

    Returns:
      A Table: x [nx], y [ny], value, deviation, deviation_error (its standard error) [ny, nx] (NaN where not
      done and where the loss is not finite), done [ny, nx]; path [n, 2] and iteration [n]; fraction,
      line_value, line_true [21] along the straight line between start and end; known [32, 2], known_value,
      known_true [32] on the path.
      attrs: explained, centre, finished (every cell), holes (cells done without a finite value), clip (1.5 x
      the initial loss, NaN where not known), fidelity, foreign (values that this user did not compute: they
      came with the folder, or from before that was known), and the options.

    Raises:
      ValueError: an option outside its range.
    """
    chosen = settings(run, **options)
    cache = plane_cache(run, chosen)
    if not cache.done(0, 1)[0]:
        return None
    facts = {name: array[0] for name, array in cache.read(0, 1).items()}
    x, y = (facts[name][np.isfinite(facts[name])] for name in ("x", "y"))
    cells = cells_cache(run, chosen)
    if chosen["refine"]:
        lines = lines_cache(run, chosen)
        if lines.done(0, 1)[0]:
            found = lines.read(0, 1)
            x, y = (found[name][0][np.isfinite(found[name][0])] for name in ("x", "y"))
            cells = cells_cache(run, chosen, refined=True)
    return assemble(facts, x, y, cells, truth_cache(run, chosen), chosen)


def assemble(facts, x, y, cells, truth, chosen):
    """The Table that `read` returns, from the plane's facts, lines and open caches."""
    count = len(x) * len(y)
    done, rows = _read(cells, count + LINE + KNOWN)
    order = grid.order(len(x), len(y))
    shape = len(y), len(x)
    columns = {"x": x, "y": y}
    for name, array in rows.items():
        picture = np.full(count, np.nan)
        picture[order] = array[:count]
        columns[name] = picture.reshape(shape)
    mask = np.zeros(count, bool)
    mask[order] = done[:count]
    columns["done"] = mask.reshape(shape)
    inside = np.isfinite(facts["iteration"])
    path, iteration = facts["coordinates"][inside], facts["iteration"][inside].astype(np.int64)
    _, known = _read(truth, LINE + KNOWN)
    where = known_positions(len(path))
    columns |= {
        "path": path, "iteration": iteration,
        "fraction": np.linspace(0, 1, LINE),
        "line_value": rows["value"][count : count + LINE], "line_true": known["value"][:LINE],
        "known": path[where],
        "known_value": rows["value"][count + LINE :], "known_true": known["value"][LINE:],
    }  # fmt: skip
    initial = known["value"][0]
    attrs = {
        **chosen,
        "explained": facts["explained"].tolist(),
        "centre_coordinates": facts["centre"].tolist(),
        "residual": float(facts["residual"]),
        "dropped": int((~inside).sum()),
        "finished": bool(mask.all()),
        "holes": int((mask & ~np.isfinite(columns["value"].ravel())).sum()),
        "initial_loss": float(initial),
        "clip": float(CLIP * initial),
        "fidelity": numbers(columns),
        "foreign": cells.foreign(0, count + LINE + KNOWN),
    }
    return Table(columns, {name: _DIMS[name] for name in columns}, attrs)


def numbers(columns):
    """Fidelity of a picture: {line_error, known_error (mean |difference|, NaN while not known), roughness,
    minima, maxima}; it needs the columns of `read`."""
    minima, maxima = fidelity.local_extremes(columns["value"])
    return {
        "line_error": _mean_gap(columns["line_value"], columns["line_true"]),
        "known_error": _mean_gap(columns["known_value"], columns["known_true"]),
        "roughness": fidelity.roughness(columns["value"]),
        "minima": minima,
        "maxima": maxima,
    }


_DIMS = {
    "x": ("x",), "y": ("y",), "value": ("y", "x"), "deviation": ("y", "x"),
    "deviation_error": ("y", "x"), "done": ("y", "x"),
    "path": ("point", "axis"), "iteration": ("point",),
    "fraction": ("line",), "line_value": ("line",), "line_true": ("line",),
    "known": ("known", "axis"), "known_value": ("known",), "known_true": ("known",),
}  # fmt: skip


def _read(cache, count):
    """(done [count], {name: array [count]} with NaN where not done)."""
    done = np.asarray(cache.done(0, count))
    rows = {name: np.where(done, array, np.nan) for name, array in cache.read(0, count).items()}
    return done, {name: np.where(np.isfinite(array), array, np.nan) for name, array in rows.items()}


def _mean_gap(one, other):
    gap = np.abs(one - other)
    gap = gap[np.isfinite(gap)]
    return float(gap.mean()) if gap.size else np.nan


def _part(chosen, names):
    return {name: chosen[name] for name in names}


def _f8(shape):
    return store.ArraySpec(dtype="f8", row_shape=shape)
