"""A path, a plane through it and a centre: what every method needs to put parameters at a grid point."""

import numpy as np

from gdlab.analysis.surfaces import grid, weights
from gdlab.analysis.surfaces.plane import Plane, pca_plane, project, random_plane, through

RANDOM_REACH = 1.0  # half-range of a plane of random directions: as long as the filters themselves


class Surroundings:
    """The plane of a path and the parameters around it.

    Args:
      rows: Rows of the path, all finite, at least 2.
      plane: "pca", "random" (around the last point) or "checkpoints".
      shapes: of the arrays that parameters consist of (for random directions).
      vectors: the checkpoints [2 or 3, p]. centre: "extremes", "mean" or "thesis", for "pca" alone.

    Attributes: rows, plane (a Plane), projection, geometry (weights.Geometry), centre [p], x and y.

    Raises ValueError where the path spans no plane.
    """

    def __init__(self, rows, *, plane, shapes, vectors=None, centre="extremes", resolution=17, seed=0):
        self.rows = rows
        if plane == "pca":
            self.plane = pca_plane(rows, seed=seed)
        elif plane == "random":
            self.plane = random_plane(rows.at([len(rows) - 1])[0], shapes, seed=seed)
        else:
            self.plane = through(vectors, rows, seed=seed)
        self.projection = project(rows, self.plane)
        self.half_range = RANDOM_REACH if plane == "random" else None
        self.x, self.y = (
            grid.lines(axis, resolution, half_range=self.half_range) for axis in self.projection.coordinates.T
        )
        self.centre, coordinates = self._centre(centre if plane == "pca" else "mean")
        self.geometry = self._geometry(coordinates)

    def parameters(
        self, points, *, method, offset=False, distance="euclidean", temperature=1.0, behind="plane"
    ):
        """theta [G, p] of points [G, 2]; the options as in `weights.weights`.

        offset: with the term M (g - p_i), for the averages; the other methods always have it.
        """
        nd = None
        if method == "averaged_nd":
            self._measure_off_plane()
            if distance == "manhattan":
                nd = weights.manhattan_nd(
                    points, self.rows, self.centre, self.geometry.centre, self.plane.directions
                )
        weight = weights.weights(
            method, points, self.geometry, distance=distance, temperature=temperature, behind=behind, nd=nd
        )
        moved = offset or method in ("pca", "sampled", "sampled_pca")
        return weights.parameters(
            weight, points, self.rows, self.geometry, self.plane, self.centre, offset=moved
        )

    def _centre(self, name):
        """(theta_C [p], its coordinates [2])."""
        if name == "mean":
            # Also of the other planes: their own origin.
            return self.plane.origin, np.zeros(2)
        path = self.projection.coordinates
        extreme = weights.extreme_points(path)
        theta = self.rows.at(extreme).astype(np.float64).mean(axis=0)
        if name == "thesis":
            return theta, (path.min(axis=0) + path.max(axis=0)) / 2
        return theta, path[extreme].mean(axis=0)

    def _geometry(self, centre):
        found, gram, count = self.projection, self.plane.gram, len(self.rows)
        covariance = np.cov(found.coordinates.T)
        # Of all p - 2 directions off the plane, also where the path is too short to move in each of them.
        free = self.rows.size - 2
        on_plane = float(np.sum(gram * covariance)) * (count - 1) / count
        rest = max(found.variance - on_plane, 0.0) * count / (count - 1)
        return weights.Geometry(
            found.coordinates, centre, gram, covariance, None, rest / free if free > 0 else 0.0
        )

    def _measure_off_plane(self):
        if self.geometry.off_plane is None:
            from_centre = project(self.rows, Plane(self.centre, self.plane.directions))
            self.geometry = self.geometry._replace(off_plane=from_centre.off_plane(self.geometry.gram))
