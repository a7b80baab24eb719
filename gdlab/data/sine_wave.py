"""A sinusoid with noise: one number in, one number out, the smallest regression there is."""

import numpy as np

from gdlab.data.dataset import Dataset, whole_number


def sinusoid(
    *, n_train: int = 256, n_test: int = 256, periods: float = 2.0, noise: float = 0.05, seed: int = 0
):
    """Points of y = sin(pi periods x) with x uniform in (-1, 1); x and y float64 [n, 1].

    periods  of the sinusoid within (-1, 1);  noise  standard deviation of what is added to the training y;
    the test points have none, so that the error on them can reach 0. Raises ValueError for a wrong number.
    """
    if not (np.isfinite(noise) and noise >= 0 and np.isfinite(periods)):
        raise ValueError(f"sinusoid: noise = {noise!r}, periods = {periods!r}: noise >= 0, both finite")
    parts: list[dict[str, np.ndarray]] = []
    for part, (name, count, width) in enumerate((("n_train", n_train, noise), ("n_test", n_test, 0.0))):
        rng = np.random.default_rng((seed, part))
        x = rng.uniform(-1, 1, (whole_number(f"sinusoid: {name}", count, 1), 1))
        y = np.sin(np.pi * periods * x) + width * rng.standard_normal(x.shape)
        parts.append({"x": x, "y": y})
    train, test = parts
    return Dataset("sinusoid", train, test, classes=())
