"""From a point of the picture to a parameter vector: one formula, five choices of weights.

    theta(g) = sum_i w_i(g) (theta_i + M (g - p_i))

over the path points i and one centre, with weights that sum to one; p_i are coordinates on the plane.
For `averaged` the second term may be left out, as in the thesis.

Source: Kuchta 2023, section 6.4, equations 6.1 to 6.6.
"""

from typing import NamedTuple

import numpy as np

METHODS = ("pca", "sampled", "sampled_pca", "averaged", "averaged_nd")
DISTANCES = ("euclidean", "manhattan", "mahalanobis")
BEHIND = ("plane", "y")


class Geometry(NamedTuple):
    """What weights depend on.

    coordinates [n, 2] of the path; centre [2]; gram [2, 2] of the directions; covariance [2, 2] of the
    coordinates; off_plane: lengths [n] of (theta_i - theta_C) at right angles to the plane, or None while
    not needed; off_variance:
    variance per direction off the plane (for the Mahalanobis distance).
    """

    coordinates: np.ndarray
    centre: np.ndarray
    gram: np.ndarray
    covariance: np.ndarray
    off_plane: np.ndarray | None
    off_variance: float


def extreme_points(coordinates):
    """Positions of the path points furthest left, right, down and up: [4]."""
    (x, y) = np.asarray(coordinates).T
    return np.array([x.argmin(), x.argmax(), y.argmin(), y.argmax()])


def weights(method, points, geometry, *, distance="euclidean", temperature=1.0, behind="plane", nd=None):
    """Weights [G, n + 1] of the path points and, last, of the centre; rows sum to one.

    Args:
      method: one of METHODS.
      points: of the picture, [G, 2].
      distance: one of DISTANCES.
      temperature: of the softmax of `averaged`, > 0; towards 0 it becomes `sampled`.
      behind: which points lie behind the path, where the centre has no weight: "plane", those with
        (p_C - p_P) . (g - p_P) < 0, or "y", the same product of the y coordinates alone.
      nd: distances in R^p [G, n] to be used by `averaged_nd`; None: from the geometry.
    """
    out = np.zeros((len(points), len(geometry.coordinates) + 1))
    if method == "pca":
        out[:, -1] = 1
        return out
    if method == "averaged_nd":
        near = off_plane_distances(points, geometry, distance) if nd is None else nd
        out[:, :-1] = softmax(-near / temperature)
        return out
    near = planar_distances(points, geometry.coordinates, geometry, distance)
    if method == "averaged":
        out[:, :-1] = softmax(-near / temperature)
        return out
    nearest = near.argmin(axis=1)
    row = np.arange(len(points))
    if method == "sampled":
        out[row, nearest] = 1
        return out
    to_path = near[row, nearest]
    to_centre = planar_distances(points, geometry.centre[None], geometry, distance)[:, 0]
    there = geometry.coordinates[nearest]
    towards, offset = geometry.centre - there, points - there
    side = towards[:, 1] * offset[:, 1] if behind == "y" else _inner(towards, offset, geometry.gram)
    both = to_path + to_centre
    share = np.divide(to_path, both, out=np.zeros_like(both), where=both > 0)
    out[:, -1] = np.where(side < 0, 0.0, share)
    out[row, nearest] = 1 - out[:, -1]
    return out


def planar_distances(points, others, geometry, distance="euclidean"):
    """Distances on the plane [G, n] between points [G, 2] and others [n, 2].

    "euclidean" in units of parameter space; "manhattan" along the plane's two directions; "mahalanobis"
    in standard deviations of the path.
    """
    gap = np.asarray(points)[:, None, :] - np.asarray(others)[None, :, :]
    if distance == "manhattan":
        return np.abs(gap) @ np.sqrt(np.diag(geometry.gram))
    if distance == "mahalanobis":
        return np.sqrt(np.maximum(_inner(gap, gap, np.linalg.inv(geometry.covariance)), 0))
    return np.sqrt(np.maximum(_inner(gap, gap, geometry.gram), 0))


def off_plane_distances(points, geometry, distance="euclidean"):
    """Distances in R^p [G, n] from the plane's points theta_C + M (g - p_C) to the path points.

    "mahalanobis" with the covariance of probabilistic PCA, which is the path's own on the plane and the same
    in all p - 2 directions off it (Tipping, Bishop 1999, equation 8). "manhattan" needs the parameters
    themselves: `manhattan_nd`.
    """
    if distance == "manhattan":
        raise ValueError("Manhattan distances in R^p need the parameters: use manhattan_nd")
    if geometry.off_plane is None:
        raise ValueError("distances in R^p need the geometry's off_plane")
    planar = planar_distances(points, geometry.coordinates, geometry, distance)
    off = geometry.off_plane**2
    if distance == "mahalanobis":
        off = off / geometry.off_variance if geometry.off_variance > 0 else np.zeros_like(off)
    return np.sqrt(planar**2 + off[None])


def manhattan_nd(points, rows, centre, centre_coordinates, directions):
    """Manhattan distances in R^p [G, n] from theta_C + M (g - p_C) to the rows of a path, streamed."""
    from scipy.spatial.distance import cdist

    theta = centre + (np.asarray(points) - centre_coordinates) @ directions
    out = np.empty((len(theta), len(rows)))
    for start, stop, block in rows.blocks():
        out[:, start:stop] = cdist(theta, block, "cityblock")
    return out


def parameters(weight, points, rows, geometry, plane, centre, *, offset=True):
    """theta [G, p] of points [G, 2] with these weights [G, n + 1], one pass over the rows that have weight.

    centre: theta_C [p]. offset: with the term M (g - p_i). The rows' dtype; sums run over differences from
    the plane's origin, so that rounding is small against the path.
    """
    dtype = rows.dtype
    origin = plane.origin.astype(dtype)
    out = np.zeros((len(points), rows.size), dtype)
    path = weight[:, :-1]
    used = np.flatnonzero(path.any(axis=0))
    if len(used) <= len(points):
        out += path[:, used].astype(dtype) @ (rows.at(used) - origin)
    else:
        for start, stop, block in rows.blocks():
            block -= origin
            out += path[:, start:stop].astype(dtype) @ block
    out += np.outer(weight[:, -1], centre - plane.origin).astype(dtype)
    if offset:
        shift = points - weight @ np.concatenate([geometry.coordinates, geometry.centre[None]])
        out += (shift @ plane.directions).astype(dtype)
    return out + origin


def softmax(scores):
    """exp(scores) normalised over the last axis, without overflow."""
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)


def _inner(a, b, matrix):
    return np.einsum("...i,ij,...j->...", a, matrix, b)
