"""Which image files a folder or a zip holds, and their bytes; the same for both."""

import os
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

from gdlab.data.files import DataFileError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MOST_BYTES = 2**26  # of one image file
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError)


class ImageSource:
    """An opened folder or zip.

    path   it
    names  of its image files below `path`, with "/", sorted
    facts  {name: what changes when the file changes}, for a cache
    """

    def __init__(self, path: Path, facts: dict[str, tuple], read):
        self.path = path
        self.facts = facts
        self.names = sorted(facts)
        self._read = read

    def where(self, name: str) -> str:
        """The file's name for an error."""
        return f"{self.path}: {name}"

    def read(self, name: str) -> bytes:
        """The bytes of a file; raises DataFileError where it is damaged or too large to be an image."""
        try:
            return self._read(name)
        except (*_DAMAGE, NotImplementedError, RuntimeError) as error:  # unknown packing, or a password
            raise DataFileError(f"{self.where(name)} cannot be read: {error}") from error


@contextmanager
def open_source(place: Path):
    """The ImageSource at `place`, a folder, a zip, or a folder whose only content of use is one zip.

    Raises FileNotFoundError where there is nothing, DataFileError where a zip is damaged or unsafe.
    """
    if not place.exists():
        raise FileNotFoundError(f"images: there is no {place}; set data_dir (and path) to a folder or zip")
    if place.is_dir():
        facts = dict(_in_folder(place))
        zips = sorted(place.glob("*.zip"))
        if facts or len(zips) != 1:
            _refuse_none(place, facts)
            yield ImageSource(place, facts, lambda name: _read_file(place / name))
            return
        place = zips[0]
    try:
        archive = zipfile.ZipFile(place)
    except _DAMAGE as error:
        raise DataFileError(f"{place} is no zip, or a damaged one: {error}") from error
    with archive:
        members = {info.filename: info for info in archive.infolist() if _is_image(info.filename)}
        for name in members:
            _refuse_unsafe(place, name)
        _refuse_none(place, members)
        facts = {name: (info.CRC, info.file_size) for name, info in members.items()}
        yield ImageSource(place, facts, lambda name: _read_member(archive, members[name]))


def _in_folder(folder):
    for top, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in files:
            name = (Path(top) / file).relative_to(folder).as_posix()
            if _is_image(name):
                status = (folder / name).stat()
                yield name, (status.st_mtime_ns, status.st_size)


def _is_image(name):
    # Split by hand: a dataset has many names, and path objects would cost more than reading the zip.
    parts = name.split("/")
    hidden = any(part.startswith(".") and part != ".." for part in parts) or "__MACOSX" in parts
    return os.path.splitext(name)[1].lower() in SUFFIXES and not hidden


def _refuse_unsafe(place, name):
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
        raise DataFileError(f"{place} has an unsafe name: {name!r}; it must lead into the zip's folders")


def _refuse_none(place, found):
    if not found:
        raise FileNotFoundError(f"images: no image file in {place}; looked for {', '.join(SUFFIXES)}")


def _read_file(path):
    _refuse_large(path.stat().st_size)
    return path.read_bytes()


def _read_member(archive, info):
    _refuse_large(info.file_size)
    return archive.read(info)


def _refuse_large(size):
    if size > MOST_BYTES:
        raise OSError(f"it has {size:,} bytes, and an image may have {MOST_BYTES:,}")
