"""Image files to arrays of bytes, kept in the user's cache where that takes more than a few seconds."""

import hashlib
import io
import json
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gdlab.data.files import DataFileError, cache_folder
from gdlab.data.listing import ImageSource

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others run larger, less tried decoders
MOST_PIXELS = 2**26  # of one image
CACHE_SECONDS = 3.0  # what was decoded faster is decoded again
_VERSION = 1  # of the decoding: another one is another cache


class ImageOptions(NamedTuple):
    """size: scaled and cropped to size x size, or None; channels: 1 or 3."""

    size: int | None
    channels: int


def decoded(source: ImageSource, names: Sequence[str], options: ImageOptions) -> np.ndarray:
    """The images uint8 [n, H, W, channels] in the files `names`, in that order.

    Raises DataFileError: names the file that is damaged, foreign, too large or of another size, or says
    how much memory would be needed.
    """
    cached = _cache_file(source, names, options)
    known = _load(cached, len(names))
    if known is not None:
        return known
    begun = time.monotonic()
    first = _decode(source, names[0], options)
    _refuse_too_many(source, len(names), first.nbytes)
    images = np.empty((len(names), *first.shape), np.uint8)
    for number, name in enumerate(names):
        image = _decode(source, name, options)
        if image.shape != first.shape:
            raise DataFileError(
                f"{source.where(name)} is {_by(image)} pixels, {names[0]} is {_by(first)}; "
                "give size=N to bring all images to N x N"
            )
        images[number] = image
    if time.monotonic() - begun > CACHE_SECONDS:
        _save(cached, images)
    return images


def _decode(source, name, options):
    """uint8 [H, W, channels] of one file."""
    from PIL import Image, ImageOps

    content = source.read(name)
    try:
        with warnings.catch_warnings():
            # Pillow warns of images that would fill the memory, and of damage that it can work around.
            warnings.simplefilter("error")
            image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width:,} x {image.height:,} pixels are more than {MOST_PIXELS:,}")
            if image.mode[0] in "IF":
                raise ValueError(f"its values ({image.mode}) have more than 8 bits")
            image = image.convert("RGB" if options.channels == 3 else "L")
    except (OSError, SyntaxError, ValueError, EOFError, Warning, Image.DecompressionBombError) as error:
        raise DataFileError(f"{source.where(name)} is no image that can be read: {error}") from error
    if options.size is not None and image.size != (options.size, options.size):
        image = ImageOps.fit(image, (options.size, options.size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, options.channels)


def _refuse_too_many(source, count, nbytes):
    """Float32 takes four bytes for each; twice, since JAX keeps its own copy."""
    if not hasattr(os, "sysconf"):
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = count * nbytes * 8
    if needed > memory:
        raise DataFileError(
            f"images: {count:,} images of {source.path} need {needed / 2**30:.1f} GiB, and this machine has "
            f"{memory / 2**30:.1f}; give a smaller size=N, or n_train and n_test"
        )


def _by(image):
    return f"{image.shape[1]} x {image.shape[0]}"


def _cache_file(source, names, options):
    """Where the decoded images lie: named after all that they depend on."""
    place = None if source.path.suffix.lower() == ".zip" else str(source.path.resolve())
    facts = [_VERSION, place, list(options), [[name, *source.facts[name]] for name in names]]
    return cache_folder("images") / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}.npy"


def _load(path: Path, count):
    """The array in the cache; None where there is none, or where it is damaged."""
    try:
        images = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return images if images.ndim == 4 and images.dtype == np.uint8 and len(images) == count else None


def _save(path: Path, images):
    """Write beside, then rename: who reads finds all of it or nothing. A full disk costs only the time."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            temporary = file.name
            np.save(file, images, allow_pickle=False)
        os.replace(temporary, path)
    except OSError:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
