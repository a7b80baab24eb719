"""Datasets are what their formulas say, whatever the seed."""

import numpy as np
import pytest

from gdlab.data import digits, galaxy


def test_galaxy_without_noise_lies_on_its_arms():
    data = galaxy(noise=0.0, n_per_class=50)
    x = data.train["x"]
    # Undo the standardisation: arm points fulfil angle = 2 pi (0.35 t + c / 3) at r = 0.15 + 0.85 t.
    scale, shift = _standardisation(x, data.train["y"])
    points = x * scale + shift
    radius = np.hypot(*points.T)
    t = (radius - 0.15) / 0.85
    angle = np.arctan2(points[:, 1], points[:, 0]) - 2 * np.pi * (0.35 * t + data.train["y"] / 3)
    np.testing.assert_allclose(np.cos(angle), 1.0, atol=1e-9)
    assert np.all((t >= 0) & (t <= 1))


def _standardisation(x, y):
    """scale and shift by which the standardised arms become the arms of the formula with the same draws."""
    t = np.random.default_rng((0, 0)).uniform(size=y.size)
    angle = 2 * np.pi * (0.35 * t + y / 3)
    points = (0.15 + 0.85 * t)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points.std(axis=0), points.mean(axis=0)


def test_galaxy_is_standardised_balanced_and_reproducible():
    data = galaxy(seed=4)
    x, y = data.train["x"], data.train["y"]
    assert x.shape == (1440, 2) and x.dtype == np.float64 and y.dtype == np.int32
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(axis=0), 1, rtol=1e-12)
    assert np.bincount(y).tolist() == [480, 480, 480] and data.n_classes == 3
    np.testing.assert_array_equal(x, galaxy(seed=4).train["x"])
    assert not np.array_equal(x, galaxy(seed=5).train["x"])
    assert not np.array_equal(x, data.test["x"]) and abs(data.test["x"].std() - 1) < 0.05


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_per_class": 0}, ["n_per_class", "0", "at least 1"]),
        ({"n_classes": 1}, ["n_classes", "at least 2"]),
        ({"noise": -1.0}, ["noise", "-1.0"]),
    ],
)
def test_galaxy_refuses(arguments, words):
    with pytest.raises(ValueError) as error:
        galaxy(**arguments)
    assert all(word in str(error.value) for word in words)


def test_digits_are_real_scaled_and_split_by_class():
    data = digits(seed=1)
    x, y = data.train["x"], data.train["y"]
    assert x.dtype == np.float32 and x.shape[1:] == (8, 8, 1) and y.dtype == np.int32
    assert len(x) + len(data.test["x"]) == 1797 and data.classes == tuple("0123456789")
    assert abs(x.mean()) < 1e-5 and abs(x.std() - 1) < 1e-5
    share = np.bincount(data.test["y"]) / (np.bincount(y) + np.bincount(data.test["y"]))
    np.testing.assert_allclose(share, 0.2, atol=0.004)
    images = {image.tobytes() for image in x}
    assert len(images & {image.tobytes() for image in data.test["x"]}) == 0


def test_digits_split_by_seed():
    assert np.array_equal(digits(seed=1).train["y"], digits(seed=1).train["y"])
    assert not np.array_equal(digits(seed=1).train["y"], digits(seed=2).train["y"])
    everything = digits(test_fraction=0)
    assert everything.test is None and len(everything.train["x"]) == 1797
    with pytest.raises(ValueError, match=r"test_fraction = 1\.0"):
        digits(test_fraction=1.0)
