"""What can be asked of a loss surface: every option, its range, and what does not go together.

Kept apart from the model, so that a page and the probe understand the same options.
"""

import numpy as np

from gdlab.analysis import handed
from gdlab.analysis.surfaces.weights import BEHIND, DISTANCES, METHODS

PLANES = ("pca", "random", "checkpoints")
CENTRES = ("extremes", "mean", "thesis")
UNCERTAINTIES = ("bootstrap", "dropout", "late")
ON = ("train", "test")
RESOLUTIONS = (3, 401)
DRAWS = (2, 10_000)


def settings(
    run,
    *,
    method="averaged",
    plane="pca",
    checkpoints=None,
    centre=None,
    resolution=17,
    samples=10_000,
    on="train",
    seed=0,
    thin=1,
    last=None,
    offset=False,
    temperature=1.0,
    distance="euclidean",
    behind="plane",
    uncertainty="bootstrap",
    draws=64,
    refine=0.0,
):
    """All options of a surface as plain values, checked; options that a method ignores are at their default.

    method       pca, sampled, sampled_pca, averaged, averaged_nd
    plane        pca; random (filter-normalised, around the last point); checkpoints (through them)
    checkpoints  two or three iterations, for plane="checkpoints"
    centre       for plane="pca": extremes (mean of the four extreme points, where it projects to), mean (of
                 the path), thesis (the extremes' mean, put in the middle of the box as in the thesis)
    resolution   even lines a side, 3 to 401; start and end add two
    samples      examples the loss is taken on, at most; on: train or test
    seed         of the PCA's start, random directions, examples and uncertainty
    thin         use every how manyth point of the path; last: up to this iteration, None: all
    offset       for averaged and averaged_nd: with the term M (g - p_i)
    temperature  of their softmax, > 0; distance: euclidean, manhattan, mahalanobis
    behind       for sampled_pca: plane or y
    uncertainty  bootstrap (over examples), dropout (over masks), late (over the scatter of late points)
    draws        masks, late points, or samples of a bootstrap where the loss is no mean over examples; 2 to
                 10,000. A deviation of normally distributed losses errs by 1 / sqrt(2 (draws - 1)): 64, 9 %
    refine       share of lines, in [0, 1], that get neighbours where the surface bends

    Raises ValueError: names the option, its value and what is allowed.
    """
    chosen = {
        "method": method, "plane": plane, "checkpoints": checkpoints, "centre": centre,
        "resolution": resolution, "samples": samples, "on": on, "seed": seed, "thin": thin, "last": last,
        "offset": offset, "temperature": temperature, "distance": distance, "behind": behind,
        "uncertainty": uncertainty, "draws": draws, "refine": refine,
    }  # fmt: skip
    for name, allowed in (
        ("method", METHODS), ("plane", PLANES), ("on", ON), ("distance", DISTANCES),
        ("behind", BEHIND), ("uncertainty", UNCERTAINTIES),
    ):  # fmt: skip
        if chosen[name] not in allowed:
            raise ValueError(f"{name}={chosen[name]!r}: allowed: {', '.join(allowed)}")
    _check_numbers(chosen)
    if not isinstance(offset, bool):
        raise ValueError(f"offset={offset!r}: allowed: True, False")
    points = path_iterations(run, last=last)
    if len(points) < 2:
        raise ValueError(f"a path of {len(points)} point(s) has no surface around it; 2 are needed")
    chosen["last"] = int(points[-1])
    chosen["checkpoints"] = _checkpoints(plane, checkpoints, points)
    chosen["centre"] = _centre(plane, centre)
    averaged = method in ("averaged", "averaged_nd")
    if not averaged:
        chosen |= {"offset": False, "temperature": 1.0}
    if method != "sampled_pca":
        chosen["behind"] = "plane"
    if method == "pca":
        chosen["distance"] = "euclidean"
    chosen["temperature"], chosen["refine"] = float(chosen["temperature"]), float(refine)
    return chosen


def path_iterations(run, *, thin=1, last=None):
    """Iterations of the path's points: every `thin`-th from 0 and the last one, up to `last`, [n]."""
    if "path_step" in run.arrays and run.rows("path_step"):
        steps = np.asarray(run.array("path_step"), np.int64)
    elif "path" in run.arrays:
        steps = np.arange(run.rows("path"))
    elif points := handed.of(run).path:
        steps = np.array(list(points), np.int64)
    else:
        steps = np.arange(run.rows("scalars") + 1)
    if last is not None:
        steps = steps[steps <= last]
    chosen = steps[::thin]
    return chosen if not len(steps) or chosen[-1] == steps[-1] else np.append(chosen, steps[-1])


def _check_numbers(chosen):
    for name, least, most in (
        ("resolution", *RESOLUTIONS),
        ("samples", 1, None),
        ("seed", 0, None),
        ("thin", 1, None),
        ("last", 1, None),
        ("draws", *DRAWS),
    ):
        value = chosen[name]
        if name == "last" and value is None:
            continue
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or value < least or (most is not None and value > most):
            to = f" to {most:,}" if most is not None else " or more"
            raise ValueError(f"{name}={value!r}: allowed: a whole number, {least}{to}")
    for name, allowed, fits in (
        ("temperature", "a number > 0", lambda v: 0 < v < np.inf),
        ("refine", "a share from 0 to 1", lambda v: 0 <= v <= 1),
    ):
        value = chosen[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
            raise ValueError(f"{name}={value!r}: allowed: {allowed}")


def _checkpoints(plane, checkpoints, points):
    if plane != "checkpoints":
        if checkpoints is not None:
            raise ValueError(f"checkpoints={checkpoints!r}: allowed only with plane='checkpoints'")
        return None
    chosen = [] if checkpoints is None else list(checkpoints)
    if len(chosen) not in (2, 3) or not np.isin(chosen, points).all() or len(set(chosen)) < len(chosen):
        raise ValueError(
            f"checkpoints={checkpoints!r}: allowed: two or three different iterations of the path, "
            f"{points[0]:,} to {points[-1]:,}"
        )
    return [int(number) for number in chosen]


def _centre(plane, centre):
    if plane != "pca":
        if centre is not None:
            raise ValueError(f"centre={centre!r}: allowed only with plane='pca'; others have their own")
        return None
    if centre is not None and centre not in CENTRES:
        raise ValueError(f"centre={centre!r}: allowed: {', '.join(CENTRES)}")
    return centre or "extremes"
