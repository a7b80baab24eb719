"""A galaxy in the plane: spiral arms, one class each, that no straight line takes apart.

Becker et al. 2019 (section 3.2) use three arms of 480 points; how theirs are made is not published.
Here an arm winds about a third of a turn, which three thresholded numbers can still tell apart.
"""

import numpy as np

from gdlab.data.dataset import Dataset, whole_number


def galaxy(
    *, n_per_class: int = 480, n_classes: int = 3, turns: float = 0.35, noise: float = 0.06, seed: int = 0
) -> Dataset:
    """Points of spiral arms, standardised; x float64 [n_classes * n_per_class, 2], sorted by class.

    A point of arm c lies at radius r = 0.15 + 0.85 t and angle 2 pi (turns t + c / n_classes), with
    t uniform in (0, 1) and Gaussian noise of standard deviation `noise` on both coordinates. Both
    coordinates are then shifted and scaled to mean 0 and standard deviation 1 over the training set.
    The test set is as large, drawn afresh and scaled alike. Raises ValueError for a wrong number.
    """
    whole_number("galaxy: n_per_class", n_per_class, 1)
    whole_number("galaxy: n_classes", n_classes, 2)
    if not (np.isfinite(noise) and noise >= 0 and np.isfinite(turns)):
        raise ValueError(f"galaxy: noise = {noise!r}, turns = {turns!r}: noise must be >= 0, both finite")
    y = np.repeat(np.arange(n_classes, dtype=np.int32), n_per_class)
    train, test = (
        _points(np.random.default_rng((seed, part)), y, n_classes, turns, noise) for part in (0, 1)
    )
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return Dataset(
        name="galaxy",
        train={"x": (train - mean) / deviation, "y": y},
        test={"x": (test - mean) / deviation, "y": y.copy()},
        classes=tuple(f"arm {c}" for c in range(n_classes)),
    )


def _points(rng, y, n_classes, turns, noise):
    t = rng.uniform(size=y.size)
    angle = 2 * np.pi * (turns * t + y / n_classes)
    radius = 0.15 + 0.85 * t
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + noise * rng.standard_normal(points.shape)
