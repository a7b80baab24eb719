"""Fashion-MNIST from files made in its format, and the scaling that all image datasets share."""

import gzip
import hashlib

import numpy as np
import pytest

from gdlab.data import DataFileError, fashion_mnist
from gdlab.data.pixels import channel_statistics, check_size, enlarged, image_dataset

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _idx(array):
    lengths = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + lengths + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    """Four gzip files in tmp_path/fashion_mnist; returns (tmp_path, checksums of the gzip files)."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (6, 28, 28)),
        np.arange(6),
        rng.integers(0, 256, (4, 28, 28)),
        np.arange(4) + 6,
    ]
    (tmp_path / "fashion_mnist").mkdir()
    checksums = {}
    for name, array in zip(NAMES, arrays, strict=True):
        packed = gzip.compress(_idx(array))
        (tmp_path / "fashion_mnist" / f"{name}.gz").write_bytes(packed)
        checksums[name] = hashlib.md5(packed).hexdigest()
    return tmp_path, checksums


def test_files_become_a_dataset(folder):
    path, checksums = folder
    data = fashion_mnist(data_dir=path, size=32, enlarge="pad", n_test=3, checksums=checksums)
    assert data.name == "fashion_mnist" and data.n_classes == 10 and data.classes[9] == "Ankle boot"
    assert data.train["x"].shape == (6, 32, 32, 1) and data.test["y"].tolist() == [6, 7, 8]
    inner = data.train["x"][:, 2:30, 2:30]
    np.testing.assert_allclose([inner.mean(), inner.std()], [0, 1], atol=1e-5)


def test_only_the_published_gzip_files_are_accepted(folder):
    path, checksums = folder
    with pytest.raises(DataFileError, match="8d4fb7e6c68d591d4c3dfef9ec88bf0d"):
        fashion_mnist(data_dir=path)
    file = path / "fashion_mnist" / f"{NAMES[1]}.gz"
    content = gzip.decompress(file.read_bytes())
    file.unlink()
    file.with_suffix("").write_bytes(content)
    with pytest.raises(DataFileError, match=f"{NAMES[1]} has the wrong content"):
        fashion_mnist(data_dir=path, checksums=checksums)
    assert len(fashion_mnist(data_dir=path, checksums=None).train["y"]) == 6


def test_a_download_is_checked_with_the_published_checksums(monkeypatch, tmp_path, folder):
    monkeypatch.delenv("GDLAB_DATA", raising=False)
    asked = {}

    def serve(url, known_hash, fname, path):
        asked[fname] = known_hash
        if url.startswith("https"):
            raise ConnectionError("try the other one")
        return str(folder[0] / "fashion_mnist" / fname)

    monkeypatch.setattr("pooch.retrieve", serve)
    assert len(fashion_mnist(checksums=folder[1]).test["x"]) == 4
    assert asked[f"{NAMES[3]}.gz"] == "md5:bb300cfdad3c16e7a12a480ee83cd310"


@pytest.mark.parametrize("shape", [(7, 5, 4, 3), (1, 1, 1, 1), (3, 700, 600, 1)])
def test_channel_statistics_against_numpy(shape):
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    mean, deviation = channel_statistics(images)
    flat = images.reshape(-1, shape[-1]).astype(np.float64)
    np.testing.assert_allclose(mean, flat.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(deviation, flat.std(axis=0) if len(flat) > 1 else [1], rtol=1e-7)


def test_each_channel_is_enlarged_like_a_picture_of_its_own():
    images = np.random.default_rng(2).standard_normal((2, 6, 6, 3)).astype(np.float32)
    for how in ("bilinear", "pad"):
        together = enlarged(images, 10, how)
        assert together.shape == (2, 10, 10, 3) and together.flags.c_contiguous
        for channel in range(3):
            alone = enlarged(images[..., [channel]], 10, how)
            np.testing.assert_allclose(together[..., [channel]], alone, rtol=1e-5, atol=1e-6)
    # Bilinear interpolation between pixel centres leaves a straight ramp straight, inside.
    ramp = np.broadcast_to(np.arange(6.0)[:, None, None], (1, 6, 6, 1)).astype(np.float32)
    np.testing.assert_allclose(np.diff(enlarged(ramp, 12, "bilinear")[0, 1:-1, 5, 0]), 0.5, rtol=1e-5)


@pytest.mark.parametrize("size", [31, 32.0, True, "32"])
def test_wrong_sizes_are_refused(size):
    with pytest.raises(ValueError, match="at least 32"):
        check_size("cifar10", size, 32, "bilinear")


def test_mean_and_deviation_are_those_of_the_published_pixels():
    """What is enlarged afterwards has others, as the documentation says."""
    images = np.random.default_rng(1).integers(0, 256, (40, 28, 28, 1)).astype(np.uint8)
    labels = np.zeros(40, int)
    plain, wide, framed = (
        image_dataset("some", (images, labels), None, ("a",), size=size, enlarge=how).train["x"].astype(float)
        for size, how in ((28, "bilinear"), (32, "bilinear"), (32, "pad"))
    )
    assert plain.mean() == pytest.approx(0, abs=1e-6) and plain.std() == pytest.approx(1, rel=1e-6)
    assert wide.std() < 0.95 and abs(wide.mean()) < 0.05
    assert framed.mean() == pytest.approx(plain.min() * (1 - 28**2 / 32**2), rel=1e-5)
