"""Points at which the heat equation u_t = a u_xx is asked of a function, and its analytic solution there.

On the rod 0 <= x <= 1, which is held at 0 at both ends, in the time 0 <= t <= 1. The start is a sum of sines,
each of which decays by itself: c sin(k pi x) becomes c exp(-a (k pi)^2 t) sin(k pi x).
"""

from collections.abc import Sequence

import numpy as np

from gdlab.data.dataset import Dataset, whole_number


def heat_points(
    *,
    n_train: int = 1024,
    n_test: int = 1024,
    diffusivity: float = 0.1,
    amplitudes: Sequence[float] = (1.0, 0.0, 0.5),
    seed: int = 0,
) -> Dataset:
    """Points (x, t), drawn uniformly; float64 arrays of n examples, each with a point of every kind.

    x            [n, 2], within the rod: (x, t)
    y            [n, 1], the solution there, which training never sees: by it the error is measured
    diffusivity  [n, 1], a
    initial      [n, 3]: (x, 0) and the temperature there
    boundary     [n, 2]: (0, t) or (1, t), where the temperature is 0

    amplitudes   c of k = 1, 2, ...;  seed  of the draw; the test points are others of the same kind
    Raises ValueError for a wrong number.
    """
    sines = np.asarray(amplitudes, float)
    if not (np.isfinite(diffusivity) and diffusivity > 0):
        raise ValueError(f"heat_points: diffusivity = {diffusivity!r} is not allowed; it must be above 0")
    if sines.ndim != 1 or not len(sines) or not np.isfinite(sines).all():
        raise ValueError(f"heat_points: amplitudes = {sines.tolist()!r}: a list of finite numbers is needed")
    parts: list[dict[str, np.ndarray]] = []
    for part, (name, count) in enumerate((("n_train", n_train), ("n_test", n_test))):
        rng = np.random.default_rng((seed, part))
        count = whole_number(f"heat_points: {name}", count, 1)
        x, start, end = rng.uniform(size=(count, 2)), rng.uniform(size=count), rng.uniform(size=count)
        initial = np.stack([start, 0 * start, temperature(start, 0 * start, diffusivity, sines)], axis=1)
        parts.append({
            "x": x,
            "y": temperature(x[:, 0], x[:, 1], diffusivity, sines)[:, None],
            "diffusivity": np.full((count, 1), diffusivity),
            "initial": initial,
            "boundary": np.stack([rng.integers(2, size=count).astype(float), end], axis=1),
        })  # fmt: skip
    train, test = parts
    return Dataset("heat_points", train, test, classes=())


def temperature(x, t, diffusivity: float, amplitudes) -> np.ndarray:
    """u(x, t) of arrays x and t: sum over k of c_k exp(-a (k pi)^2 t) sin(k pi x)."""
    k = np.pi * np.arange(1, len(amplitudes) + 1)
    x, t = np.asarray(x)[..., None], np.asarray(t)[..., None]
    return (amplitudes * np.exp(-diffusivity * k**2 * t) * np.sin(k * x)).sum(axis=-1)
