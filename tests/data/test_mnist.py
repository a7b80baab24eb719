"""MNIST: small files made in its format, each way they can be wrong, and the real ones where they are."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from gdlab.data import DataFileError, mnist, read_idx

REAL = Path(os.environ.get("GDLAB_DATA", Path(__file__).parents[3] / "shared" / "data"))
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
    """Four valid files, two of them gzip; returns (folder, checksums)."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (6, 28, 28)),
        np.arange(6),
        rng.integers(0, 256, (4, 28, 28)),
        np.arange(4),
    ]
    checksums = {}
    for number, (name, array) in enumerate(zip(NAMES, arrays, strict=True)):
        content = _idx(array)
        checksums[name] = hashlib.md5(content).hexdigest()
        packed = number % 2 == 0
        (tmp_path / f"{name}{'.gz' if packed else ''}").write_bytes(
            gzip.compress(content) if packed else content
        )
    return tmp_path, checksums


def _images(folder):
    return read_idx(folder / f"{NAMES[0]}.gz").astype(np.float64)


def test_files_become_a_dataset(folder):
    path, checksums = folder
    data = mnist(data_dir=path, checksums=checksums)
    x = data.train["x"]
    assert x.shape == (6, 28, 28, 1) and x.dtype == np.float32 and data.train["y"].dtype == np.int32
    assert data.train["y"].tolist() == list(range(6)) and data.test["x"].shape == (4, 28, 28, 1)
    images = _images(path)
    np.testing.assert_allclose(x[..., 0], (images - images.mean()) / images.std(), rtol=1e-5, atol=1e-6)
    assert data.classes == tuple("0123456789")


def test_the_folder_above_and_parts(folder, tmp_path):
    path, checksums = folder
    (tmp_path / "above" / "mnist").mkdir(parents=True)
    for file in path.glob("*ubyte*"):
        file.rename(tmp_path / "above" / "mnist" / file.name)
    data = mnist(data_dir=tmp_path / "above", n_train=3, n_test=1, checksums=checksums)
    assert len(data.train["x"]) == len(data.train["y"]) == 3 and len(data.test["y"]) == 1


def test_padding_and_enlarging(folder):
    path, checksums = folder
    plain = mnist(data_dir=path, checksums=checksums).train["x"]
    padded = mnist(data_dir=path, size=32, enlarge="pad", checksums=checksums).train["x"]
    np.testing.assert_array_equal(padded[:, 2:30, 2:30], plain)
    assert np.all(padded[:, :2] == plain.min())
    bilinear = mnist(data_dir=path, size=32, checksums=checksums).train["x"][0, :, :, 0]
    centre = np.clip((np.arange(32) + 0.5) * 28 / 32 - 0.5, 0, 27)
    rows = np.array([np.interp(centre, np.arange(28), row) for row in plain[0, :, :, 0]])
    expected = np.array([np.interp(centre, np.arange(28), column) for column in rows.T]).T
    np.testing.assert_allclose(bilinear, expected, atol=1e-5)


def test_a_missing_file_is_named(folder):
    path, checksums = folder
    (path / NAMES[3]).unlink()
    with pytest.raises(FileNotFoundError) as error:
        mnist(data_dir=path, checksums=checksums)
    assert (
        NAMES[3] in str(error.value)
        and str(path / "mnist") in str(error.value)
        and "data_dir" in str(error.value)
    )


def test_a_wrong_checksum_names_file_found_and_expected(folder):
    path, checksums = folder
    found, expected = checksums[NAMES[1]], "0" * 32
    with pytest.raises(DataFileError) as error:
        mnist(data_dir=path, checksums=checksums | {NAMES[1]: expected})
    assert all(part in str(error.value) for part in (NAMES[1], found, expected))


def test_the_published_checksums_are_the_default(folder):
    with pytest.raises(DataFileError, match="6bbc9ace898e44ae57da46a324031adb"):
        mnist(data_dir=folder[0])
    assert len(mnist(data_dir=folder[0], checksums=None).train["x"]) == 6


DAMAGE = [
    (lambda content: content[:-100], ["truncated", "784", "684"]),
    (lambda content: content[:10], ["truncated", "header"]),
    (lambda content: b"", ["no IDX file"]),
    (lambda content: b"<html>not found</html>", ["no IDX file", "3c 68 74 6d"]),
    (lambda content: gzip.compress(content)[:-20], ["damaged gzip"]),
    (lambda content: b"\x1f\x8b" + content, ["damaged gzip"]),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGE)
def test_damaged_files_are_named(tmp_path, damage, words):
    file = tmp_path / "images"
    file.write_bytes(damage(_idx(np.ones((1, 28, 28)))))
    with pytest.raises(DataFileError) as error:
        read_idx(file)
    assert all(word in str(error.value) for word in ("images", *words)), error.value


def test_files_that_do_not_belong_together(folder):
    path, _ = folder
    (path / NAMES[1]).write_bytes(_idx(np.arange(5)))
    with pytest.raises(DataFileError, match=r"train files do not belong together.*\(6, 28, 28\).*\(5,\)"):
        mnist(data_dir=path, checksums=None)
    (path / NAMES[1]).write_bytes(_idx(np.full(6, 11)))
    with pytest.raises(DataFileError, match="reach 11"):
        mnist(data_dir=path, checksums=None)


@pytest.mark.parametrize("arguments", [{"size": 20}, {"enlarge": "stretch"}, {"size": 31, "enlarge": "pad"}])
def test_wrong_sizes_are_refused(folder, arguments):
    with pytest.raises(ValueError, match="bilinear, pad"):
        mnist(data_dir=folder[0], checksums=None, **arguments)


def test_without_a_folder_or_a_network_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("GDLAB_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)

    def refuse(url, known_hash, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr("pooch.retrieve", refuse)
    with pytest.raises(FileNotFoundError) as error:
        mnist()
    assert all(part in str(error.value) for part in (NAMES[0], str(tmp_path), "no route to host", "data_dir"))


def test_a_download_goes_to_the_cache_and_is_checked(monkeypatch, tmp_path, folder):
    monkeypatch.delenv("GDLAB_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    source, checksums = folder
    asked = []

    def serve(url, known_hash, fname, path):
        asked.append(known_hash)
        name = fname.removesuffix(".gz")
        return next(str(file) for file in (source / name, source / fname) if file.exists())

    monkeypatch.setattr("pooch.retrieve", serve)
    assert len(mnist(checksums=checksums).train["x"]) == 6
    assert len(set(asked)) == 4 and all(value.startswith("md5:") for value in asked)
    with pytest.raises(DataFileError, match="wrong content"):
        mnist()


@pytest.mark.skipif(not (REAL / "mnist").is_dir(), reason="the real files are not here: set GDLAB_DATA")
def test_the_real_files():
    data = mnist(data_dir=REAL)
    x, y = data.train["x"], data.train["y"]
    assert x.shape == (60000, 28, 28, 1) and data.test["x"].shape == (10000, 28, 28, 1)
    assert y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    # The published mean 0.1307 and standard deviation 0.3081 of grey values in [0, 1].
    np.testing.assert_allclose([x.min(), x.max()], [-0.1307 / 0.3081, (1 - 0.1307) / 0.3081], rtol=1e-3)


@pytest.mark.parametrize("around", [False, True])
def test_files_as_other_programs_unpack_them(folder, around):
    """`train-images.idx3-ubyte`, and a folder where a file is expected with the file in it."""
    path, checksums = folder
    for name in NAMES:
        (file,) = path.glob(f"{name}*")
        if around:
            (path / "kept").mkdir(exist_ok=True)
            file = file.rename(path / "kept" / file.name)
            (path / file.name).mkdir()
            file.rename(path / file.name / file.name)
        else:
            file.rename(path / file.name.replace("-idx", ".idx"))
    assert len(mnist(data_dir=path, checksums=checksums).train["y"]) == 6


def test_a_folder_or_pipe_where_a_file_is_expected(folder):
    path, checksums = folder
    for make in (Path.mkdir, os.mkfifo):
        for file in path.glob(f"{NAMES[1]}*"):
            file.unlink() if not file.is_dir() else file.rmdir()
        make(path / NAMES[1])
        with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte is no file"):
            mnist(data_dir=path, checksums=checksums)
    with pytest.raises(FileNotFoundError, match="is a file; set data_dir to the folder"):
        mnist(data_dir=path / f"{NAMES[0]}.gz", checksums=checksums)
    with pytest.raises(DataFileError, match="cannot be read"):
        read_idx(path)
