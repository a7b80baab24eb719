"""Scikit-learn's handwritten digits: 1,797 real images of 8 x 8, small enough to train in seconds.

Source: Alpaydin, Kaynak 1998, Optical Recognition of Handwritten Digits, UCI; shipped with scikit-learn.
"""

import numpy as np

from gdlab.data.dataset import Dataset, stratified


def digits(*, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """The digits 0 to 9; x float32 [n, 8, 8, 1], y int32 [n].

    Grey values are shifted and scaled to mean 0 and standard deviation 1 over the training set.
    `test_fraction` of each class, chosen by `seed`, is kept for testing; 0 keeps none (test is None).
    Raises ValueError where `test_fraction` is not in [0, 1), ModuleNotFoundError without scikit-learn.
    """
    if not 0 <= test_fraction < 1:
        raise ValueError(f"digits: test_fraction = {test_fraction!r} is not allowed; it must be in [0, 1)")
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "dataset=digits comes with scikit-learn, which is not installed", name=error.name
        ) from None

    bunch = load_digits()
    x, y = bunch.images[..., None], bunch.target.astype(np.int32)
    held_out = stratified(y, test_fraction, np.random.default_rng(seed))
    mean, deviation = x[~held_out].mean(), x[~held_out].std()
    x = ((x - mean) / deviation).astype(np.float32)
    test = {"x": x[held_out], "y": y[held_out]} if held_out.any() else None
    return Dataset(
        name="digits",
        train={"x": x[~held_out], "y": y[~held_out]},
        test=test,
        classes=tuple(str(name) for name in bunch.target_names),
    )
