"""MNIST from its four published IDX files, gzip or plain, each proven by its checksum.

An IDX file is a magic number (two zero bytes, the type, the number of axes), the length of every
axis as a big-endian 32-bit integer, and the values. The checksum is that of the decompressed
content: who packed it, and how well, does not matter.

Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gdlab.data.dataset import Dataset, whole_number

# MD5 of the decompressed files, and of the gzip files as the mirrors serve them.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_DOWNLOAD_MD5 = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
ENLARGE = ("bilinear", "pad")


class DataFileError(ValueError):
    """A data file that is there but is not what it should be."""


def mnist(
    *,
    data_dir: str | os.PathLike | None = None,
    size: int = 28,
    enlarge: str = "bilinear",
    n_train: int | None = None,
    n_test: int | None = None,
    checksums: Mapping[str, str] | None = MNIST_MD5,
) -> Dataset:
    """The handwritten digits of MNIST; x float32 [60000, size, size, 1], y int32.

    data_dir   where the four files lie, in it or in its folder `mnist`; None: the environment
               variable GDLAB_DATA, else the user's cache, filled by a download on first use
    size       28 as published, or larger: `enlarge` by "bilinear" interpolation or by a border
               ("pad"; size - 28 even)
    n_train    use the first so many training images only; n_test likewise
    checksums  MD5 of the decompressed content by file name; None accepts any content

    Grey values are shifted and scaled to mean 0 and standard deviation 1 over the training set.

    Raises:
      FileNotFoundError: `data_dir` lacks a file, or the download failed.
      DataFileError: a wrong checksum, a truncated or foreign file.
      ValueError: a wrong size or number.
    """
    if enlarge not in ENLARGE or size < 28 or (enlarge == "pad" and size % 2):
        raise ValueError(
            f"mnist: size = {size!r} with enlarge = {enlarge!r} is not allowed; size must be at least 28 "
            f"(even for 'pad'), enlarge one of {', '.join(ENLARGE)}"
        )
    data_dir = data_dir or os.environ.get("GDLAB_DATA")
    parts = {}
    for prefix, count in (("train", n_train), ("t10k", n_test)):
        images = read_idx(
            _find(f"{prefix}-images-idx3-ubyte", data_dir), _expected(checksums, prefix, "images")
        )
        labels = read_idx(
            _find(f"{prefix}-labels-idx1-ubyte", data_dir), _expected(checksums, prefix, "labels")
        )
        _check_pair(prefix, images, labels)
        count = len(images) if count is None else whole_number(f"mnist: number of {prefix} images", count, 1)
        parts[prefix] = images[:count], labels[:count].astype(np.int32)
    mean, deviation = parts["train"][0].mean(), parts["train"][0].std() or 1.0
    train, test = (
        {"x": _enlarged((x - np.float32(mean)) / np.float32(deviation), size, enlarge)[..., None], "y": y}
        for x, y in parts.values()
    )
    return Dataset("mnist", train, test, tuple(str(digit) for digit in range(10)))


def read_idx(path: str | os.PathLike, md5: str | None = None) -> np.ndarray:
    """The uint8 array in the IDX file `path`, gzip or plain, whose content has the checksum `md5`.

    Raises DataFileError where the checksum differs (it names file, found and expected), where the
    file is cut off, or where it is no IDX file of uint8.
    """
    path = Path(path)
    raw = path.read_bytes()
    try:
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, OSError, zlib.error) as error:
        raise DataFileError(f"{path} is a damaged gzip file ({error}); get it again") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    shape = _shape(path, content)
    expected_bytes, offset = int(np.prod(shape)), 4 + 4 * len(shape)
    if len(content) - offset < expected_bytes:
        raise DataFileError(
            f"{path} is truncated: it announces {expected_bytes:,} values of shape {shape} "
            f"and holds {len(content) - offset:,}; get it again"
        )
    if md5 is not None and found != md5:
        raise DataFileError(f"{path} has the wrong content: its MD5 is {found}, expected {md5}; get it again")
    return np.frombuffer(content, np.uint8, expected_bytes, offset).reshape(shape)


def _shape(path, content):
    axes = content[3] if len(content) >= 4 else 0
    if content[:3] != b"\x00\x00\x08" or not 1 <= axes <= 4:
        raise DataFileError(
            f"{path} is no IDX file of unsigned bytes: it begins with {content[:4].hex(' ')!r}"
        )
    if len(content) < 4 + 4 * axes:
        raise DataFileError(f"{path} is truncated within its header; get it again")
    return tuple(int(length) for length in np.frombuffer(content, ">u4", axes, 4))


def _expected(checksums, prefix, kind):
    if checksums is None:
        return None
    return checksums[f"{prefix}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"]


def _check_pair(prefix, images, labels):
    if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise DataFileError(
            f"mnist: the {prefix} files do not belong together: images {images.shape}, labels {labels.shape}"
        )
    if labels.size and labels.max() > 9:
        raise DataFileError(f"mnist: the {prefix} labels reach {labels.max()}; they must be 0 to 9")


def _find(name, data_dir):
    """The path of the file `name`, plain or gzip, in data_dir; without data_dir in the user's cache."""
    if data_dir is None:
        return _download(name)
    folders = (Path(data_dir), Path(data_dir) / "mnist")
    for folder in folders:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise FileNotFoundError(
        f"mnist: no file {name} or {name}.gz in {folders[0]} or {folders[1]}; set data_dir to the folder "
        "that holds the four IDX files, or to null to download them"
    )


def _download(name):
    import pooch

    folder, failures = pooch.os_cache("gdlab") / "mnist", []
    for mirror in _MIRRORS:
        url = f"{mirror}{name}.gz"
        try:
            return Path(pooch.retrieve(url, f"md5:{_DOWNLOAD_MD5[name]}", fname=f"{name}.gz", path=folder))
        except (OSError, ValueError) as error:
            failures.append(f"{url} ({type(error).__name__}: {error})")
    raise FileNotFoundError(
        f"mnist: {name} is not in the cache {folder} and could not be downloaded: {'; '.join(failures)}. "
        "Without a network, put the four published IDX files into a folder and set data_dir to it"
    )


def _enlarged(images, size, enlarge):
    """images [n, 28, 28] as [n, size, size]."""
    before = images.shape[1]
    if size == before:
        return images
    if enlarge == "pad":
        border = (size - before) // 2
        return np.pad(images, ((0, 0), (border, border), (border, border)), constant_values=images.min())
    # Bilinear with pixel centres at half-integers: one matrix for rows and columns alike.
    centre = np.clip((np.arange(size) + 0.5) * before / size - 0.5, 0, before - 1)
    weights = np.maximum(0, 1 - np.abs(centre[:, None] - np.arange(before))).astype(np.float32)
    return weights @ images @ weights.T
