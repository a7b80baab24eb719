"""CIFAR-10 and CIFAR-100: 60,000 small colour photographs, from the published binary files.

A binary file is rows of one label byte (CIFAR-100: the coarse label, then the fine one) and 3,072
bytes of 32 x 32 pixels, channel by channel. The Python version of the same data is pickled, and a
pickle runs what its author wrote into it; bytes do not.

Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images; the archives' MD5 are
those of www.cs.toronto.edu/~kriz/cifar.html, the files' SHA-256 those of the torchvision-ruby package.
"""

import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdlab.data.dataset import Dataset
from gdlab.data.files import DataFileError, data_folder, download, find, prove, read_regular
from gdlab.data.fingerprint import digest_of
from gdlab.data.pixels import check_size, image_dataset

SIDE = 32
LABELS = ("coarse", "fine")
CIFAR10_SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
CIFAR100_SHA256 = {
    "train.bin": "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
    "test.bin": "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
}
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_FINE = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
_COARSE = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
household_furniture insects large_carnivores large_man-made_outdoor_things
large_natural_outdoor_scenes large_omnivores_and_herbivores medium_mammals non-insect_invertebrates
people reptiles small_mammals trees vehicles_1 vehicles_2
"""
CIFAR100_CLASSES = {"fine": tuple(_FINE.split()), "coarse": tuple(_COARSE.split())}
_MOST_BYTES = 200_000_000  # a published file has at most 153,700,000
_URL = "https://www.cs.toronto.edu/~kriz/"


class _Source(NamedTuple):
    name: str
    archive: str
    md5: str
    folder: str  # the archive's only folder
    labels: tuple[str, ...]  # the label bytes of a row
    train: tuple[str, ...]
    test: tuple[str, ...]


_CIFAR10 = _Source(
    name="cifar10",
    archive="cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    folder="cifar-10-batches-bin",
    labels=("class",),
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test=("test_batch.bin",),
)
_CIFAR100 = _Source(
    name="cifar100",
    archive="cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    folder="cifar-100-binary",
    labels=LABELS,
    train=("train.bin",),
    test=("test.bin",),
)


def cifar10(
    *,
    data_dir: str | os.PathLike | None = None,
    size: int = 32,
    enlarge: str = "bilinear",
    n_train: int | None = None,
    n_test: int | None = None,
    checksums: Mapping[str, str] | None = CIFAR10_SHA256,
) -> Dataset:
    """The ten classes of CIFAR-10; x float32 [50000, size, size, 3], y int32.

    data_dir   where `cifar-10-binary.tar.gz` or its unpacked folder `cifar-10-batches-bin` lies, in it
               or in its folder `cifar10`; None: the environment variable GDLAB_DATA, else the user's
               cache, filled by a download on first use
    size       32 as published, or larger: `enlarge` by "bilinear" interpolation or by a border
               ("pad"; size even)
    n_train    use the first so many training images only; n_test likewise
    checksums  SHA-256 of the binary files by name; None accepts any content

    Each channel is shifted and scaled to mean 0 and standard deviation 1 over the training set, before images
    are enlarged.

    Raises:
      FileNotFoundError: `data_dir` lacks the files, or the download failed.
      DataFileError: a wrong checksum, a truncated or foreign file.
      ValueError: a wrong size or number.
    """
    check_size("cifar10", size, SIDE, enlarge)
    train, test, digest = _parts(_CIFAR10, data_dir, checksums, "class", len(CIFAR10_CLASSES))
    options: dict[str, Any] = {"size": size, "enlarge": enlarge, "n_train": n_train, "n_test": n_test}
    return image_dataset("cifar10", train, test, CIFAR10_CLASSES, source=digest, **options)


def cifar100(
    *,
    data_dir: str | os.PathLike | None = None,
    labels: str = "fine",
    size: int = 32,
    enlarge: str = "bilinear",
    n_train: int | None = None,
    n_test: int | None = None,
    checksums: Mapping[str, str] | None = CIFAR100_SHA256,
) -> Dataset:
    """The hundred classes of CIFAR-100, or its twenty coarse ones; x float32 [50000, size, size, 3].

    data_dir  where `cifar-100-binary.tar.gz` or its unpacked folder `cifar-100-binary` lies, in it or in
              its folder `cifar100`; None: as for CIFAR-10
    labels    "fine" (100 classes) or "coarse" (20)

    The other arguments, the scaling and the errors are those of `gdlab.data.cifar10`.
    """
    if labels not in LABELS:
        raise ValueError(f"cifar100: labels = {labels!r} is not allowed; allowed: {', '.join(LABELS)}")
    check_size("cifar100", size, SIDE, enlarge)
    classes = CIFAR100_CLASSES[labels]
    train, test, digest = _parts(_CIFAR100, data_dir, checksums, labels, len(classes))
    options: dict[str, Any] = {"size": size, "enlarge": enlarge, "n_train": n_train, "n_test": n_test}
    return image_dataset("cifar100", train, test, classes, source=digest, **options)


def _parts(source, data_dir, checksums, label, n_classes):
    """((images, labels) to train on, (images, labels) to test on, digest of the files)."""
    folder = data_folder(data_dir)
    if folder is None:
        path = download(source.name, source.archive, [f"{_URL}{source.archive}"], source.md5)
    else:
        path = find(source.name, (source.archive,), folder, folders=(source.folder,))
    read = _from_folder if path.is_dir() else _from_archive
    contents = read(source, path)
    for name, content in contents.items():
        prove(f"{path}: {name}", content, None if checksums is None else checksums[name])
    column = source.labels.index(label)
    parts = [
        _joined([_rows(f"{path}: {name}", contents[name], source, column, n_classes) for name in names])
        for names in (source.train, source.test)
    ]
    return (*parts, digest_of(contents))


def _from_folder(source, path: Path):
    contents = {}
    for name in (*source.train, *source.test):
        file = path / name
        if not file.is_file():
            raise FileNotFoundError(f"{source.name}: {path} lacks {name}; unpack {source.archive} again")
        try:
            contents[name] = read_regular(file.resolve(), _MOST_BYTES)
        except OSError as error:
            raise DataFileError(f"{file} is no published file: {error.strerror or error}") from error
    return contents


def _from_archive(source, path: Path):
    """The wanted files by name, read in memory: nothing is unpacked, so no name can lead elsewhere."""
    wanted = {f"{source.folder}/{name}": name for name in (*source.train, *source.test)}
    contents = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = wanted.get(member.name.removeprefix("./"))
                file = archive.extractfile(member) if name and member.isreg() else None
                if name is None or file is None:
                    continue
                if member.size > _MOST_BYTES:
                    raise DataFileError(
                        f"{path} is not the published archive: {name} has {member.size:,} bytes"
                    )
                contents[name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataFileError(f"{path} is a damaged archive ({error}); get it again") from error
    missing = [name for name in wanted.values() if name not in contents]
    if missing:
        raise DataFileError(f"{path} is not the published archive: it lacks {', '.join(missing)}")
    return contents


def _rows(name, content, source, column, n_classes):
    """(images uint8 [n, 32, 32, 3], labels [n]) in the bytes of one file."""
    before = len(source.labels)
    width = before + 3 * SIDE * SIDE
    if not content or len(content) % width:
        raise DataFileError(
            f"{name} is truncated or foreign: its {len(content):,} bytes are no whole rows of {width:,}"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, width)
    labels = rows[:, column]
    if labels.max() >= n_classes:
        raise DataFileError(f"{name}: its labels reach {labels.max()}; they must be 0 to {n_classes - 1}")
    return rows[:, before:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels


def _joined(parts):
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)
