"""Planes through parameter space, and where a path lies on them.

A plane is an origin and two directions; a point g of the picture is the parameter vector
origin + g M. Directions need neither unit length nor a right angle: coordinates are those of least
squares, and lengths in the picture are measured with the directions' Gram matrix.

Source: Kuchta 2023, section 6.4; Li, Xu, Taylor, Studer, Goldstein 2018 (filter normalisation).
"""

import math
from typing import NamedTuple

import numpy as np

from gdlab.analysis.surfaces.pca import oriented, principal


class Plane(NamedTuple):
    """origin [p]; directions M [2, p]; both float64. residual: how well the directions have converged."""

    origin: np.ndarray
    directions: np.ndarray
    residual: float = 0.0

    @property
    def gram(self):
        """Inner products of the directions, [2, 2]."""
        return self.directions @ self.directions.T

    def at(self, points):
        """Parameter vectors [k, p] of points [k, 2] of the plane."""
        return self.origin + np.asarray(points) @ self.directions


class Projection(NamedTuple):
    """Of n rows: coordinates [n, 2] on the plane; distance [n] from the origin, in R^p; variance of the
    path in all directions together; explained [2], the shares of it along each direction."""

    coordinates: np.ndarray
    distance: np.ndarray
    variance: float
    explained: np.ndarray

    def off_plane(self, gram):
        """Lengths [n] of the rows' parts at right angles to the plane."""
        planar = np.einsum("ni,ij,nj->n", self.coordinates, gram, self.coordinates)
        return np.sqrt(np.maximum(self.distance**2 - planar, 0))


def pca_plane(rows, *, seed=0):
    """The plane of the two principal directions through the mean of the path; see `pca.principal`."""
    found = principal(rows, 2, seed=seed)
    return Plane(found.mean, found.directions, found.residual)


def random_plane(params, shapes, *, seed=0):
    """Two random directions around `params` [p], each filter as long as the filter of `params` it changes.

    shapes: of the arrays that `params` consists of, in order. A filter is what leads to one unit: all
    axes but the last. Vectors (biases, scales) stay as they are, as in the source; where there is nothing
    but vectors, each is treated as one filter.
    """
    rng = np.random.default_rng(seed)
    params = np.asarray(params, np.float64)
    if sum(math.prod(shape) for shape in shapes) != len(params):
        raise ValueError(f"shapes {shapes} do not add up to {len(params):,} parameters")
    only_vectors = all(len(shape) < 2 for shape in shapes)
    directions = np.zeros((2, len(params)))
    for direction in directions:
        start = 0
        for shape in shapes:
            stop = start + math.prod(shape)
            if len(shape) >= 2 or only_vectors:
                filters = (-1, shape[-1]) if len(shape) >= 2 else (-1, 1)
                drawn = rng.standard_normal(stop - start).reshape(filters)
                length = np.linalg.norm(params[start:stop].reshape(filters), axis=0)
                drawn *= length / np.linalg.norm(drawn, axis=0)
                direction[start:stop] = drawn.reshape(-1)
            start = stop
    if np.linalg.matrix_rank(directions) < 2:
        raise ValueError("parameters that are zero give no directions of their length; choose another plane")
    return Plane(params, directions)


def through(vectors, rows, *, seed=0):
    """The plane through two or three parameter vectors [2 or 3, p], around their mean.

    The first direction leads from the first to the second; the second is at a right angle towards the third
    or, where there is none, is the direction the path moves in most besides the first.

    Raises:
      ValueError: not two or three vectors, or they are equal or lie on a line.
    """
    vectors = np.asarray(vectors, np.float64)
    if len(vectors) not in (2, 3):
        raise ValueError(f"a plane goes through two or three checkpoints, not {len(vectors)}")
    first = vectors[1] - vectors[0]
    length = np.linalg.norm(first)
    if not length > 0:
        raise ValueError("the first two checkpoints have equal parameters, so no line leads through them")
    first /= length
    if len(vectors) == 2:
        second = principal(rows, 1, seed=seed, without=first).directions[0]
    else:
        second = vectors[2] - vectors[0]
        reach = np.linalg.norm(second)
        second = second - (second @ first) * first
        if not np.linalg.norm(second) > 1e-6 * reach:
            raise ValueError("the three checkpoints lie on a line, so no plane is theirs alone")
    second = second - (second @ first) * first
    second /= np.linalg.norm(second)
    directions = np.stack([first, second])
    directions[1:] = oriented(directions[1:]) if len(vectors) == 2 else directions[1:]
    return Plane(vectors.mean(axis=0), directions)


def project(rows, plane):
    """Projection of a path: one pass over its rows."""
    coordinates, squares = np.empty((len(rows), 2)), np.empty(len(rows))
    origin = plane.origin.astype(rows.dtype)
    # What rounding the origin leaves out, in coordinates.
    rest = (plane.origin - origin.astype(np.float64)) @ plane.directions.T
    narrow = plane.directions.astype(rows.dtype).T
    for start, stop, block in rows.blocks():
        block -= origin
        coordinates[start:stop] = (block @ narrow).astype(np.float64) - rest
        squares[start:stop] = np.einsum("ij,ij->i", block, block, dtype=np.float64)
    gram = plane.gram
    coordinates = np.linalg.solve(gram, coordinates.T).T
    spread = max(float(squares.mean() - _squared_mean(rows, plane.origin)), 0.0)
    along = coordinates.var(axis=0) * np.diag(gram)
    explained = along / spread if spread > 0 else np.full(2, np.nan)
    return Projection(coordinates, np.sqrt(squares), spread, explained)


def _squared_mean(rows, origin):
    """|mean of the rows - origin|^2."""
    sums = np.zeros(rows.size)
    for _, _, block in rows.blocks():
        sums += (block - origin.astype(block.dtype)).sum(axis=0, dtype=np.float64)
    mean = sums / len(rows)
    return float(mean @ mean)
