"""The IDX format of MNIST and its successors: four files, gzip or plain, each proven by its checksum.

An IDX file is a magic number (two zero bytes, the type, the number of axes), the length of every
axis as a big-endian 32-bit integer, and the values.

Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits.
"""

import gzip
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdlab.data.dataset import Dataset
from gdlab.data.files import DataFileError, data_folder, download, find, prove, read_regular
from gdlab.data.fingerprint import digest_of
from gdlab.data.pixels import check_size, image_dataset

SIDE = 28
_MOST_BYTES = 1 << 30


class IdxSource(NamedTuple):
    """Four published files: what they are called, where they are served, and their checksums.

    mirrors     addresses of folders that serve `<file>.gz`
    gzip_md5    MD5 of each `<file>.gz` as served, by file
    by_content  whether the checksums a caller gives are those of the decompressed content, so that
                it does not matter who packed it; else those of the gzip files as published
    """

    name: str
    classes: Sequence[str]
    mirrors: Sequence[str]
    gzip_md5: Mapping[str, str]
    by_content: bool


def idx_dataset(
    source: IdxSource,
    *,
    data_dir: str | os.PathLike | None,
    size: int,
    enlarge: str,
    n_train: int | None,
    n_test: int | None,
    checksums: Mapping[str, str] | None,
) -> Dataset:
    """The dataset in four IDX files of 28 x 28 pixels; arguments as `gdlab.data.mnist` describes them."""
    check_size(source.name, size, SIDE, enlarge)
    folder = data_folder(data_dir)
    parts, contents = [], {}
    for prefix in ("train", "t10k"):
        arrays = []
        for name in (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"):
            path = _path(source, name, folder)
            expected = None if checksums is None else checksums[name]
            arrays.append(read_idx(path, expected, packed=not source.by_content))
            contents[name] = arrays[-1].tobytes()
        images, labels = arrays
        _check_pair(source, prefix, images, labels)
        parts.append((images[..., None], labels))
    options: dict[str, Any] = {"size": size, "enlarge": enlarge, "n_train": n_train, "n_test": n_test}
    options["source"] = digest_of(contents)
    train, test = parts
    return image_dataset(source.name, train, test, source.classes, **options)


def read_idx(path: str | os.PathLike, md5: str | None = None, *, packed: bool = False) -> np.ndarray:
    """The uint8 array in the IDX file `path`, gzip or plain.

    md5 is the checksum of the content, or, where `packed`, of the gzip file itself; None accepts any.
    Raises DataFileError where the checksum differs (it names file, found and expected), where the
    file is cut off, or where it is no IDX file of uint8.
    """
    path = Path(path)
    try:
        raw = read_regular(path.resolve(), _MOST_BYTES)
    except OSError as error:
        raise DataFileError(f"{path} cannot be read: {error.strerror or error}") from error
    if packed:
        prove(path, raw, md5)
    try:
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, OSError, zlib.error) as error:
        raise DataFileError(f"{path} is a damaged gzip file ({error}); get it again") from error
    shape = _shape(path, content)
    expected_bytes, offset = int(np.prod(shape)), 4 + 4 * len(shape)
    if len(content) - offset < expected_bytes:
        raise DataFileError(
            f"{path} is truncated: it announces {expected_bytes:,} values of shape {shape} "
            f"and holds {len(content) - offset:,}; get it again"
        )
    if not packed:
        prove(path, content, md5)
    return np.frombuffer(content, np.uint8, expected_bytes, offset).reshape(shape)


def _path(source, name, folder):
    if folder is None:
        urls = [f"{mirror}{name}.gz" for mirror in source.mirrors]
        return download(source.name, f"{name}.gz", urls, source.gzip_md5[name])
    plain, packed = name, f"{name}.gz"
    # Unpacked by some programs, "-" before "idx" becomes ".".
    names = (plain, packed) if source.by_content else (packed, plain)
    return find(source.name, (*names, *(other.replace("-idx", ".idx") for other in names)), folder)


def _shape(path, content):
    axes = content[3] if len(content) >= 4 else 0
    if content[:3] != b"\x00\x00\x08" or not 1 <= axes <= 4:
        raise DataFileError(
            f"{path} is no IDX file of unsigned bytes: it begins with {content[:4].hex(' ')!r}"
        )
    if len(content) < 4 + 4 * axes:
        raise DataFileError(f"{path} is truncated within its header; get it again")
    return tuple(int(length) for length in np.frombuffer(content, ">u4", axes, 4))


def _check_pair(source, prefix, images, labels):
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or labels.shape != images.shape[:1]:
        raise DataFileError(
            f"{source.name}: the {prefix} files do not belong together: "
            f"images {images.shape}, labels {labels.shape}"
        )
    if labels.size and labels.max() >= len(source.classes):
        raise DataFileError(
            f"{source.name}: the {prefix} labels reach {labels.max()}; "
            f"they must be 0 to {len(source.classes) - 1}"
        )
