"""The loss surface around a training path, computed cell by cell from coarse to fine and kept as it goes.

A plane through the path (its two principal directions, say), a grid on it, and for every grid point
the parameters that a method puts there; the loss is taken on the same examples everywhere. What is done
lies in caches beside the run, so a cancelled surface goes on where it stopped, and
`gdlab.analysis.surface.read` shows what there is while this runs.

Source: Kuchta 2023, section 6.4.
"""

import itertools
import math
from functools import cached_property

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from gdlab.analysis import surface as caches
from gdlab.analysis.surface_options import path_iterations, settings
from gdlab.analysis.surfaces import grid
from gdlab.analysis.surfaces.surroundings import Surroundings
from gdlab.models.images_last import images_last, to_images_last
from gdlab.probes.vectors import recorded_path as recorded
from gdlab.probes.vectors.losses import Losses
from gdlab.probes.vectors.scatter import deviation

PARAMETER_BYTES = 64 << 20  # parameter vectors of grid points held at a time
LATE = 64  # path points of the last tenth that the late scatter is taken from, at most


def compute(replay, *, against=None, progress, **options):
    """The surface that `options` ask for; see `gdlab.analysis.surface_options.settings`.

    Args:
      replay: a gdlab Replay of a run with at least two parameters.
      against: options in which another method differs, e.g. {"method": "pca"}: adds the L2 distance between
        the parameters of both at every grid point.
      progress: (fraction, text) -> None; what it raises ends the computation, and what is done stays.

    Returns:
      The Table of `gdlab.analysis.surface.read`, its attrs with the replay's report; with `against` also
      distance [ny, nx].

    Raises:
      ValueError: an option outside its range, a problem of one parameter, a path that does not move, or
        examples that the run does not have.
    """
    chosen = settings(replay.run, **options)
    if against is not None:
        settings(replay.run, **{**options, **against})
    work = _Work(replay, chosen, progress)
    work.surface()
    table = caches.read(replay.run, options)
    table.attrs["replay"] = replay.report()._asdict()
    if against is not None:
        other = settings(replay.run, **{**options, **against})
        table.columns["distance"] = work.distances(other, table.columns["x"], table.columns["y"])
        table.dims["distance"] = ("y", "x")
    return table


class _Work:
    """One surface: its path, plane and losses, each built when first needed."""

    def __init__(self, replay, chosen, progress):
        self.replay, self.run, self.chosen, self.progress = replay, replay.run, chosen, progress
        template = jax.eval_shape(replay.assembly.problem.init, replay.assembly.key)
        self.shapes = [leaf.shape for leaf in jax.tree.leaves(template)]
        if sum(math.prod(shape) for shape in self.shapes) < 2:
            raise ValueError("a surface needs at least two parameters; this problem has one")
        self.losses = _losses(replay, chosen, template)

    def surface(self):
        """Fill the caches of the plane, the cells and the true losses."""
        cache = caches.plane_cache(self.run, self.chosen)
        if not cache.done(0, 1)[0]:
            self.progress(0.0, "the plane of the path")
            cache.write(0, {name: np.asarray(array)[None] for name, array in self._facts().items()})
        facts = {name: array[0] for name, array in cache.read(0, 1).items()}
        x, y = (facts[name][np.isfinite(facts[name])] for name in ("x", "y"))
        truth = caches.truth_cache(self.run, self.chosen)
        self._fill(truth, 1, self._true, "initial loss", scattered=False)
        count, parameters = self._cells(facts, x, y)
        self._fill(caches.cells_cache(self.run, self.chosen), count, parameters, "surface")
        self._fill(truth, caches.LINE + caches.KNOWN, self._true, "true losses", scattered=False)
        if self.chosen["refine"]:
            self._refine(facts, x, y)

    def distances(self, other, x, y):
        """L2 distance [ny, nx] between the parameters of this and another method."""
        cache = caches.distance_cache(self.run, self.chosen, other)
        points = grid.points(x, y)[grid.order(len(x), len(y))]
        for part in _groups(cache, len(points), self._at_once()):
            self.progress(part[0] / len(points), "distances")
            one, two = (self.around.parameters(points[part], **_method(c)) for c in (self.chosen, other))
            gap = np.linalg.norm(one.astype(np.float64) - two, axis=1)
            _write(cache, part, {"distance": gap})
        picture = np.empty(len(points))
        picture[grid.order(len(x), len(y))] = cache.read(0, len(points))["distance"]
        return picture.reshape(len(y), len(x))

    @cached_property
    def path(self):
        """(Rows of the path's finite points, their iterations)."""
        iterations = path_iterations(self.run, thin=self.chosen["thin"], last=self.chosen["last"])
        every = recorded.path_rows(self.replay, iterations, self.progress)
        rows = every.finite()
        return rows, iterations[np.isin(every.index, rows.index)]

    @cached_property
    def around(self):
        """The Surroundings of the path."""
        numbers = self.chosen["checkpoints"]
        vectors = numbers and np.stack([recorded.point(self.replay, k) for k in numbers])
        names = ("plane", "centre", "resolution", "seed")
        options = {name: self.chosen[name] for name in names}
        return Surroundings(self.path[0], shapes=self.shapes, vectors=vectors, **options)

    def _facts(self):
        """The row of the plane's cache, NaN-padded."""
        around, room = self.around, self.chosen["resolution"] + 2
        count = len(path_iterations(self.run, thin=self.chosen["thin"], last=self.chosen["last"]))
        return {
            "x": _padded(around.x, room),
            "y": _padded(around.y, room),
            "iteration": _padded(self.path[1], count),
            "coordinates": _padded(around.projection.coordinates, count),
            "explained": around.projection.explained,
            "centre": around.geometry.centre,
            "gram": around.geometry.gram,
            "residual": around.plane.residual,
        }

    def _cells(self, facts, x, y):
        """(how many rows the cells' cache has, function from row numbers to parameters)."""
        path = facts["coordinates"][np.isfinite(facts["iteration"])]
        fraction = np.linspace(0, 1, caches.LINE)[:, None]
        line = (1 - fraction) * path[0] + fraction * path[-1]
        cells = grid.points(x, y)[grid.order(len(x), len(y))]
        points = np.concatenate([cells, line, path[caches.known_positions(len(path))]])
        return len(points), lambda part: self.around.parameters(points[part], **_method(self.chosen))

    def _true(self, part):
        """Parameters on the straight line from start to end, then on the path itself."""
        rows = self.path[0]
        start, end = rows.at([0]), rows.at([len(rows) - 1])
        fraction = np.linspace(0, 1, caches.LINE)[part[part < caches.LINE], None]
        line = ((1 - fraction) * start + fraction * end).astype(rows.dtype)
        known = caches.known_positions(len(rows))[part[part >= caches.LINE] - caches.LINE]
        return np.concatenate([line, rows.at(known)])

    def _fill(self, cache, count, parameters, text, scattered=True):
        """Losses of the rows [0, count) that are missing; parameters(row numbers) -> [G, p]."""
        for group in _groups(cache, count, self._at_once()):
            theta = parameters(group)
            for begin in range(0, len(group), self.losses.points):
                part = group[begin : begin + self.losses.points]
                self.progress(part[0] / count, f"{text} {part[0]:,} of {count:,}")
                there = theta[begin : begin + len(part)]
                mean, *scatter = self.losses(there)
                rows = {"value": mean}
                if scattered:
                    rows["deviation"], rows["deviation_error"] = self._scatter(there, scatter)
                _write(cache, part, rows)

    def _scatter(self, theta, bootstrap):
        """The standard deviation that the chosen uncertainty gives the loss, and its standard error, [G]."""
        draws, seed = self.chosen["draws"], self.chosen["seed"]
        if self.chosen["uncertainty"] == "bootstrap":
            return bootstrap if self.losses.additive else self.losses.resampled(theta, draws, seed)
        if self.chosen["uncertainty"] == "late":
            return deviation([self.losses(theta + move)[0] for move in self._late])
        keys = jax.random.split(jax.random.key(seed), draws)
        return deviation([self.losses(theta, key)[0] for key in keys])

    @cached_property
    def _late(self):
        """Draws [draws, p] of a Gaussian with the covariance of the path's last tenth."""
        rows = self.path[0]
        last = np.unique(np.linspace(0.9 * (len(rows) - 1), len(rows) - 1, LATE).round().astype(int))
        if len(last) < 2:
            raise ValueError(f"uncertainty='late' needs a path of more than {len(rows)} points")
        late = rows.at(last).astype(np.float64)
        late -= late.mean(axis=0)
        shape = self.chosen["draws"], len(last)
        drawn = np.random.default_rng(self.chosen["seed"]).standard_normal(shape)
        return (drawn @ late / np.sqrt(len(last) - 1)).astype(rows.dtype)

    def _refine(self, facts, x, y):
        """A grid with more lines where the surface bends; cells that are known are taken over."""
        lines = caches.lines_cache(self.run, self.chosen)
        coarse = caches.cells_cache(self.run, self.chosen).read(0, len(x) * len(y))
        if not lines.done(0, 1)[0]:
            picture = np.empty(len(x) * len(y))
            picture[grid.order(len(x), len(y))] = coarse["value"]
            bends = grid.bending(picture.reshape(len(y), len(x)))
            room, share = 3 * (self.chosen["resolution"] + 2), self.chosen["refine"]
            new = grid.refined(x, bends.max(axis=0), share), grid.refined(y, bends.max(axis=1), share)
            lines.write(0, {name: _padded(axis, room)[None] for name, axis in zip("xy", new, strict=True)})
        found = lines.read(0, 1)
        finer = [found[name][0][np.isfinite(found[name][0])] for name in ("x", "y")]
        cache = caches.cells_cache(self.run, self.chosen, refined=True)
        old, cells = (grid.points(*axes)[grid.order(len(axes[0]), len(axes[1]))] for axes in ((x, y), finer))
        where = {tuple(point): number for number, point in enumerate(old)}
        for number, point in enumerate(cells):
            if tuple(point) in where and not cache.done(number, number + 1)[0]:
                place = where[tuple(point)]
                cache.write(number, {name: array[place : place + 1] for name, array in coarse.items()})
        count, parameters = self._cells(facts, *finer)
        self._fill(cache, count, parameters, "refined surface")

    def _at_once(self):
        size = sum(math.prod(shape) for shape in self.shapes)
        return max(self.losses.points, PARAMETER_BYTES // (8 * size))


def _losses(replay, chosen, template):
    """The Losses on the chosen examples, kept with the replay until others are asked for."""
    kept = replay.memo("surface", dict)
    key = chosen["samples"], chosen["on"], chosen["seed"]
    if key not in kept:
        zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
        kept.clear()
        layout = images_last, to_images_last
        examples, unravel = _examples(replay, chosen), ravel_pytree(zeros)[1]
        kept[key] = Losses(replay.assembly.problem, unravel, examples, layout=layout)
    losses = kept[key]
    if chosen["uncertainty"] == "dropout" and not losses.random(template):
        raise ValueError("uncertainty='dropout': this problem's loss does not depend on a random key")
    return losses


def _examples(replay, chosen):
    """The chosen examples in random order, {name: [n, ...]}, or None for a problem without data."""
    assembly = replay.assembly
    if assembly.data is None:
        return None
    data = assembly.data if chosen["on"] == "train" else assembly.dataset.test
    if data is None:
        raise ValueError(
            f"on='test': the dataset {assembly.dataset.name} has no test examples; allowed: train"
        )
    count = len(next(iter(data.values())))
    index = np.random.default_rng(chosen["seed"]).permutation(count)[: chosen["samples"]]
    return {name: array[index] for name, array in data.items()}


def _method(chosen):
    return {name: chosen[name] for name in ("method", "offset", "distance", "temperature", "behind")}


def _groups(cache, count, size):
    """Row numbers below `count` that are not done, in order, `size` at a time."""
    missing = np.flatnonzero(~np.asarray(cache.done(0, count)))
    return [missing[begin : begin + size] for begin in range(0, len(missing), size)]


def _write(cache, part, rows):
    """Rows of these numbers, which may have gaps."""
    breaks = [0, *(np.flatnonzero(np.diff(part) != 1) + 1), len(part)]
    for begin, end in itertools.pairwise(breaks):
        cache.write(int(part[begin]), {name: array[begin:end] for name, array in rows.items()})


def _padded(array, count):
    out = np.full((count, *np.shape(array)[1:]), np.nan)
    out[: len(array)] = array
    return out
