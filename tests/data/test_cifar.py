"""CIFAR from small files in its binary format: packed, unpacked, damaged, and foreign."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

from gdlab.data import DataFileError, cifar10, cifar100
from gdlab.data.cifar import CIFAR100_CLASSES

FILES10 = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]


def _rows(seed, n, labels):
    """n rows: the label bytes of `labels` [n, 1 or 2] and random pixels [n, 3, 32, 32]."""
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    rows = np.concatenate([np.asarray(labels, np.uint8), pixels.reshape(n, -1)], axis=1)
    return rows.tobytes(), pixels


def _archive(path, folder, contents):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def ten(tmp_path):
    """Six files of three images each, packed; returns (folder, contents, checksums, pixels by file)."""
    made = {name: _rows(seed, 3, [[seed], [seed + 1], [9]]) for seed, name in enumerate(FILES10)}
    contents = {name: content for name, (content, _) in made.items()}
    _archive(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", contents)
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return tmp_path, contents, checksums, {name: pixels for name, (_, pixels) in made.items()}


@pytest.fixture
def hundred(tmp_path):
    """CIFAR-100 with four and two images, unpacked."""
    folder = tmp_path / "cifar100" / "cifar-100-binary"
    folder.mkdir(parents=True)
    (folder / "train.bin").write_bytes(_rows(0, 4, [[19, 99], [0, 1], [2, 3], [4, 5]])[0])
    (folder / "test.bin").write_bytes(_rows(1, 2, [[6, 7], [8, 9]])[0])
    return tmp_path


def test_the_archive_becomes_a_dataset(ten):
    folder, _, checksums, pixels = ten
    data = cifar10(data_dir=folder, checksums=checksums)
    x = data.train["x"]
    assert x.shape == (15, 32, 32, 3) and x.dtype == np.float32 and x.flags.c_contiguous
    assert data.train["y"].tolist() == [0, 1, 9, 1, 2, 9, 2, 3, 9, 3, 4, 9, 4, 5, 9]
    assert data.test["y"].tolist() == [5, 6, 9] and data.classes[9] == "truck"
    train = np.concatenate([pixels[name] for name in FILES10[:5]]).astype(np.float64)
    mean, deviation = train.mean(axis=(0, 2, 3)), train.std(axis=(0, 2, 3))
    # Pixel (row 4, column 7) of image 4 of the training set, channel by channel, as the format says.
    np.testing.assert_allclose(x[4, 4, 7], (pixels[FILES10[1]][1, :, 4, 7] - mean) / deviation, rtol=1e-5)
    test = (pixels[FILES10[5]].transpose(0, 2, 3, 1) - mean) / deviation
    np.testing.assert_allclose(data.test["x"], test, rtol=1e-4, atol=1e-5)


def test_the_unpacked_folder_gives_the_same(ten):
    folder, contents, checksums, _ = ten
    packed = cifar10(data_dir=folder, checksums=checksums)
    (folder / "cifar-10-batches-bin").mkdir()
    for name, content in contents.items():
        (folder / "cifar-10-batches-bin" / name).write_bytes(content)
    (folder / "cifar-10-binary.tar.gz").unlink()
    unpacked = cifar10(data_dir=folder, checksums=checksums, n_train=4, n_test=1, size=36, enlarge="pad")
    assert unpacked.train["x"].shape == (4, 36, 36, 3) and len(unpacked.test["y"]) == 1
    np.testing.assert_array_equal(cifar10(data_dir=folder, checksums=checksums).train["x"], packed.train["x"])
    (folder / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks data_batch_3\.bin"):
        cifar10(data_dir=folder, checksums=checksums)


def test_fine_and_coarse_labels(hundred):
    fine = cifar100(data_dir=hundred, checksums=None)
    coarse = cifar100(data_dir=hundred, labels="coarse", checksums=None)
    assert fine.train["y"].tolist() == [99, 1, 3, 5] and coarse.train["y"].tolist() == [19, 0, 2, 4]
    assert (fine.n_classes, coarse.n_classes) == (100, 20) and fine.classes[99] == "worm"
    np.testing.assert_array_equal(fine.test["x"], coarse.test["x"])
    assert all(list(names) == sorted(set(names)) for names in CIFAR100_CLASSES.values())
    with pytest.raises(ValueError, match=r"labels = 'both'.*coarse, fine"):
        cifar100(data_dir=hundred, labels="both")


def test_the_published_checksums_are_the_default(ten, hundred):
    with pytest.raises(DataFileError, match=r"data_batch_1\.bin has the wrong content.*cee916563c9f"):
        cifar10(data_dir=ten[0])
    with pytest.raises(DataFileError, match=r"train\.bin has the wrong content.*f31298fc6169"):
        cifar100(data_dir=hundred)


def test_a_missing_folder_names_both_forms(tmp_path, monkeypatch):
    monkeypatch.setenv("GDLAB_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no cifar-10-batches-bin or cifar-10-binary\.tar\.gz in"):
        cifar10()


def test_a_download_asks_for_the_published_archive(ten, monkeypatch):
    monkeypatch.delenv("GDLAB_DATA", raising=False)
    asked = []

    def serve(url, known_hash, fname, path):
        asked.append((url, known_hash))
        return str(ten[0] / fname)

    monkeypatch.setattr("pooch.retrieve", serve)
    assert len(cifar10(checksums=ten[2]).train["y"]) == 15
    assert asked == [
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "md5:c32a1d4ab5d03f1284b67883e8d87530")
    ]


@pytest.mark.parametrize("keep", [100, -2000])
def test_a_cut_archive_is_named(ten, keep):
    file = ten[0] / "cifar-10-binary.tar.gz"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataFileError, match=r"cifar-10-binary\.tar\.gz is (a damaged|not the published)"):
        cifar10(data_dir=ten[0], checksums=None)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:-1], ["data_batch_2.bin", "truncated", "9,218", "3,073"]),
        (lambda content: b"", ["data_batch_2.bin", "truncated"]),
        (lambda content: b"\x0a" + content[1:], ["data_batch_2.bin", "labels reach 10"]),
    ],
)
def test_damaged_contents_are_named(ten, damage, words):
    folder, contents, _, _ = ten
    contents = contents | {"data_batch_2.bin": damage(contents["data_batch_2.bin"])}
    _archive(folder / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", contents)
    with pytest.raises(DataFileError) as error:
        cifar10(data_dir=folder, checksums=None)
    assert all(word in str(error.value) for word in words), error.value


def test_foreign_archives_are_refused_and_nothing_is_unpacked(ten):
    folder, contents, _, _ = ten
    before = sorted(folder.rglob("*"))
    _archive(folder / "cifar-10-binary.tar.gz", "../cifar-10-batches-bin", contents)
    with pytest.raises(DataFileError, match=r"not the published archive: it lacks data_batch_1\.bin"):
        cifar10(data_dir=folder, checksums=None)
    member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
    member.size = 200_000_001
    (folder / "cifar-10-binary.tar.gz").write_bytes(gzip.compress(member.tobuf()))
    with pytest.raises(DataFileError, match="200,000,001 bytes"):
        cifar10(data_dir=folder, checksums=None)
    assert sorted(folder.rglob("*")) == before
