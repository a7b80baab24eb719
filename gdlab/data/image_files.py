"""Images of one's own: a folder or a zip of image files, the folders' names are the classes.

    train/cat/1.png  train/dog/7.png  test/cat/3.png ...     or     cat/1.png  dog/7.png ...

Such a folder may come from anywhere. Nothing of a zip is unpacked, a name never becomes a path that is
written, sizes are read before pixels, and the first file that is no image is named.
"""

import os
import re
from pathlib import Path

import numpy as np

from gdlab.data.dataset import Dataset, stratified, whole_number
from gdlab.data.decoding import GROUNDS, ImageOptions, decoded
from gdlab.data.files import DataFileError, data_folder
from gdlab.data.listing import ImageSource, open_source
from gdlab.data.pixels import image_dataset

# What folders are called that hold a part of the data and not a class.
_PART = re.compile(r"(train|training|test|testing|val|valid|validation|eval|dev)[-_]?\d*")
TRAIN, TESTS = "train", ("test", "val")  # of val, its images are used where there is no test


def images(
    *,
    data_dir: str | os.PathLike | None = None,
    path: str | None = None,
    size: int | None = None,
    channels: int = 3,
    background: str | None = "white",
    upright: bool = True,
    test_fraction: float = 0.2,
    seed: int = 0,
    n_train: int | None = None,
    n_test: int | None = None,
) -> Dataset:
    """Image files as a dataset; x float32 [n, height, width, channels], y int32 [n].

    data_dir       where they lie: a folder, a zip, or a folder with one zip; None: the environment
                   variable GDLAB_DATA
    path           the folder or zip within `data_dir`; None: `data_dir` itself
    size           scale and crop (centred) to size x size; None: all images must have one size
    channels       3: colour, 1: grey
    background     what transparent images are laid on: "white" or "black"; None: transparency is dropped
    upright        turn images as their cameras noted in them
    test_fraction  share of each class that is kept for testing where there is no folder `test` or `val`
                   beside `train`; 0 keeps none (test is None)
    seed           of that split, and of the order in which the examples stand
    n_train        use the first so many training images of that order only; n_test likewise

    Classes are numbered in the order of their names. Each channel is shifted and scaled to mean 0 and
    standard deviation 1 over the training set. What takes seconds to decode is kept in the user's cache.
    The dataset's `notes` say what was left out (links, other formats, folders without images).

    Raises:
      FileNotFoundError: there is no such folder or zip, or no image in it.
      DataFileError: a damaged, unsafe or foreign file, images of different sizes, an unknown layout.
      ValueError: a wrong number.
    """
    if not 0 <= test_fraction < 1:
        raise ValueError(f"images: test_fraction = {test_fraction!r} is not allowed; it must be in [0, 1)")
    if channels not in (1, 3):
        raise ValueError(f"images: channels = {channels!r} is not allowed; allowed: 1, 3")
    if background is not None and background not in GROUNDS:
        allowed = ", ".join((*GROUNDS, "null"))
        raise ValueError(f"images: background = {background!r} is not allowed; allowed: {allowed}")
    if size is not None:
        whole_number("images: size", size, 1)
    with open_source(_place(data_dir, path)) as source:
        parts = _parts(source)
        classes = sorted({label for label, _ in parts[TRAIN]})
        train, test = _split(source, parts, classes, test_fraction, np.random.default_rng(seed))
        options = ImageOptions(size, channels, background, upright)
        first = [
            part if count is None else part[: whole_number(f"images: {name}", count, 1)]
            for name, part, count in (("n_train", train, n_train), ("n_test", test, n_test))
        ]
        found = decoded(source, [name for part in first for _, name in part], options)
    labels = np.array([label for part in first for label, _ in part], np.int32)
    n = len(first[0])
    arrays = found.images
    rest = (arrays[n:], labels[n:]) if first[1] else None
    notes = [f"images: {note}" for note in (*source.notes, *found.notes)]
    train_part = (arrays[:n], labels[:n])
    return image_dataset(source.path.stem, train_part, rest, classes, source=found.source, notes=notes)


def _place(data_dir, path) -> Path:
    folder = data_folder(data_dir)
    if folder is None:
        raise FileNotFoundError("images: set data_dir to a folder or zip of images")
    return folder if path is None else folder / path


def _parts(source: ImageSource):
    """{"train", "test", "val": [(class, name of the file)]}."""
    split = {name: tuple(name.split("/")) for name in source.names}
    # An archive often has one folder around everything.
    while len({parts[0] for parts in split.values()}) == 1 and min(map(len, split.values())) > 2:
        split = {name: parts[1:] for name, parts in split.items()}
    depths = {len(parts) for parts in split.values()}
    found: dict[str, list[tuple[str, str]]] = {}
    if depths == {2} and all(_PART.fullmatch(parts[0].lower()) for parts in split.values()):
        without = ", ".join(sorted({parts[0] for parts in split.values()}))
        raise DataFileError(
            f"images: {source.path}: the files in {without} lie in no folders of classes: "
            f"{_examples(split)}; "
            "needed: train/CLASS/FILE and test/CLASS/FILE, or CLASS/FILE with other names than these"
        )
    if depths == {2}:
        found[TRAIN] = [(parts[0], name) for name, parts in split.items()]
    elif depths == {3} and TRAIN in (tops := {parts[0] for parts in split.values()}) <= {TRAIN, *TESTS}:
        for top in tops:
            found[top] = [(parts[1], name) for name, parts in split.items() if parts[0] == top]
    else:
        raise DataFileError(
            f"images: {source.path} is laid out in an unknown way, with {_examples(split)}; "
            "needed: CLASS/FILE, or train/CLASS/FILE and test/CLASS/FILE"
        )
    return found


def _examples(split):
    """One file's name for each of up to three depths."""
    by_depth = {len(parts): name for name, parts in sorted(split.items(), reverse=True)}
    return ", ".join(repr(by_depth[depth]) for depth in sorted(by_depth)[:3])


def _split(source, parts, classes, test_fraction, rng):
    """(train, test): lists of (label, name of the file), in the order drawn."""
    number = {name: label for label, name in enumerate(classes)}
    test_name = next((name for name in TESTS if name in parts), None)
    train = [(number[label], name) for label, name in parts[TRAIN]]
    if test_name is None:
        held_out = stratified(np.array([label for label, _ in train]), test_fraction, rng)
        test = [example for example, out in zip(train, held_out, strict=True) if out]
        train = [example for example, out in zip(train, held_out, strict=True) if not out]
    else:
        strange = sorted({label for label, _ in parts[test_name]} - set(classes))
        if strange:
            raise DataFileError(
                f"images: {source.path} has classes in {test_name} alone: {', '.join(strange)}"
            )
        test = [(number[label], name) for label, name in parts[test_name]]
    return [[part[i] for i in rng.permutation(len(part))] for part in (train, test)]
