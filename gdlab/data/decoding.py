"""Image files to arrays of bytes, kept in the user's cache where that takes more than a few seconds.

An image is turned as its camera says and laid on a ground where it is transparent, as every viewer shows it.
What a decoder can work around, it does; that is counted and told.
"""

import hashlib
import io
import json
import os
import struct
import tempfile
import time
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gdlab.data.files import DataFileError, cache_folder
from gdlab.data.fingerprint import combined
from gdlab.data.listing import ImageSource
from gdlab.messages import counted

GROUNDS = {"white": 255, "black": 0}
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others run larger, less tried decoders
MOST_PIXELS = 2**26  # of one image
CACHE_SECONDS = 3.0  # what was decoded faster is decoded again
# What a decoder raises of a damaged file; struct.error: of a broken block of facts.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, Warning)
_VERSION = 2  # of the decoding: another one is another cache


class ImageOptions(NamedTuple):
    """size: scaled and cropped to size x size, or None; channels: 1 or 3; background: of GROUNDS, or None:
    transparency is dropped; upright: turned as the file says."""

    size: int | None
    channels: int
    background: str | None
    upright: bool


class Decoded(NamedTuple):
    """images uint8 [n, H, W, channels]; source: digest of their files; notes: what was worked around."""

    images: np.ndarray
    source: str
    notes: tuple[str, ...]


def decoded(source: ImageSource, names: Sequence[str], options: ImageOptions) -> Decoded:
    """The images in the files `names`, in that order.

    Raises DataFileError: names the file that is damaged, foreign, too large or of another size, or says
    how much memory would be needed.
    """
    cached = _cache_file(source, names, options)
    known = _load(cached, len(names))
    if known is not None:
        return known
    begun = time.monotonic()
    first, _ = _decode(source, names[0], source.read(names[0]), options)
    _refuse_too_many(source, len(names), first.nbytes)
    images = np.empty((len(names), *first.shape), np.uint8)
    digests, odd = {}, {}
    for number, name in enumerate(names):
        content = source.read(name)
        digests[name] = hashlib.sha256(content).hexdigest()
        image, warned = _decode(source, name, content, options)
        if warned:
            odd[name] = warned
        if image.shape != first.shape:
            raise DataFileError(
                f"{source.where(name)} is {_by(image)} pixels, {names[0]} is {_by(first)}; "
                "give size=N to bring all images to N x N"
            )
        images[number] = image
    found = Decoded(images, combined(digests), _told(odd))
    if time.monotonic() - begun > CACHE_SECONDS:
        _save(cached, found)
    return found


def _decode(source, name, content, options):
    """(uint8 [H, W, channels] of one file, what Pillow warned of)."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(record=True) as warned:
            # Of damage that it can work around Pillow warns; of an image that would fill the memory, too.
            warnings.simplefilter("always")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width:,} x {image.height:,} pixels are more than {MOST_PIXELS:,}")
            if image.mode[0] in "IF":
                raise ValueError(f"its values ({image.mode}) have more than 8 bits")
            image.load()  # here damage is an error; who reads the notes of a camera only may go on
            image = _turned(image) if options.upright else image
            image = _laid(image, options.background)
            image = image.convert("RGB" if options.channels == 3 else "L")
    except UnidentifiedImageError as error:
        raise DataFileError(
            f"{source.where(name)} is no image that can be read: cannot identify it as {', '.join(FORMATS)}"
        ) from error
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        raise DataFileError(f"{source.where(name)} is no image that can be read: {error}") from error
    if options.size is not None and image.size != (options.size, options.size):
        image = ImageOps.fit(image, (options.size, options.size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(image.height, image.width, options.channels)
    return pixels, str(warned[0].message) if warned else None


def _turned(image):
    """Upright, where the file says how it was held; a broken note of that turns nothing."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGE:
        return image


def _laid(image, background):
    """On its ground, where it has transparency."""
    from PIL import Image

    if background is None or not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, (GROUNDS[background],) * 3 + (255,))
    return Image.alpha_composite(ground, image)


def _told(odd):
    """A sentence about files that were read although something is wrong with them."""
    if not odd:
        return ()
    name, why = next(iter(odd.items()))
    return (
        f"{counted(len(odd), 'file was', 'files were')} read in spite of a warning, {name}: "
        f"{' '.join(why.split())}",
    )


def _refuse_too_many(source, count, nbytes):
    """Float32 takes four bytes for each; twice, since JAX keeps its own copy."""
    if not hasattr(os, "sysconf"):
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = count * nbytes * 8
    if needed > memory:
        raise DataFileError(
            f"images: {counted(count, 'image')} of {source.path} need{'s' * (count == 1)} "
            f"{needed / 2**30:.1f} GiB, and this machine has "
            f"{memory / 2**30:.1f}; give a smaller size=N, or n_train and n_test"
        )


def _by(image):
    return f"{image.shape[1]} x {image.shape[0]}"


def _cache_file(source, names, options):
    """Where the decoded images lie: named after all that they depend on."""
    place = None if source.path.suffix.lower() == ".zip" else str(source.path.resolve())
    facts = [_VERSION, place, list(options), [[name, *source.facts[name]] for name in names]]
    return cache_folder("images") / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}.npz"


def _load(path: Path, count):
    """What is kept in the cache; None where there is nothing, or where it is damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
            images, facts = kept["images"], json.loads(str(kept["facts"]))
            found = Decoded(images, str(facts["source"]), tuple(map(str, facts["notes"])))
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    return found if images.ndim == 4 and images.dtype == np.uint8 and len(images) == count else None


def _save(path: Path, found):
    """Write beside, then rename: who reads finds all of it or nothing. A full disk costs only the time."""
    temporary = None
    facts = json.dumps({"source": found.source, "notes": found.notes})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            temporary = file.name
            np.savez(file, images=found.images, facts=np.array(facts))
        os.replace(temporary, path)
    except OSError:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
