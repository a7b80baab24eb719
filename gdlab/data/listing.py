"""Which image files a folder or a zip holds, and their bytes; the same for both.

What is no image, no regular file, or a link is left out and counted: a link may lead anywhere, a pipe or a
device never ends. A folder of a class that would vanish that way is named.
"""

import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from gdlab.data.files import DataFileError, read_regular
from gdlab.messages import counted

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MOST_BYTES = 2**26  # of one image file
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
_ODD = (
    NotImplementedError,
    RuntimeError,
    ValueError,
    IndexError,
    struct.error,
)  # unknown packing, a password
_LINK, _SPECIAL, _OTHER = "link", "pipe or device", "file of another format"
_MANY = {_LINK: "links", _SPECIAL: "pipes or devices", _OTHER: "files of other formats"}
_NAMED = 3  # of what was left out, so many are named


class ImageSource:
    """An opened folder or zip.

    path   it
    names  of its image files below `path`, with "/", sorted
    facts  {name: what changes when the file changes}, for a cache
    notes  sentences about what was left out
    """

    def __init__(self, path: Path, facts: dict[str, tuple], read, notes: Sequence[str] = ()):
        self.path = path
        self.facts = facts
        self.names = sorted(facts)
        self.notes = tuple(notes)
        self._read = read

    def where(self, name: str) -> str:
        """The file's name for an error."""
        return f"{self.path}: {name}"

    def read(self, name: str) -> bytes:
        """The bytes of a file; raises DataFileError where it is damaged or too large to be an image."""
        try:
            return self._read(name)
        except (*_DAMAGE, *_ODD) as error:
            raise DataFileError(f"{self.where(name)} cannot be read: {error}") from error


class _LeftOut:
    """What is not taken: {kind: names}, and the folders that hold no image."""

    def __init__(self):
        self.names: dict[str, list[str]] = {_LINK: [], _SPECIAL: [], _OTHER: []}
        self.folders: set[str] = set()

    def add(self, kind, name):
        """One file or link more."""
        self.names[kind].append(name)

    def notes(self, images):
        """Sentences; images: names of the image files that are taken."""
        said = []
        for kind, names in self.names.items():
            if names:
                more = _endings(names) if kind == _OTHER else _some(names)
                said.append(f"{counted(len(names), kind, _MANY[kind])} ({more})")
        full = {parent for name in images for parent in _parents(name)}
        bare = sorted(name for name in self.folders - full if not {*_parents(name)} & (self.folders - full))
        if bare:
            said.append(f"{counted(len(bare), 'folder')} without images ({_some(bare)})")
        return [f"left out: {', '.join(said)}"] if said else []


@contextmanager
def open_source(place: Path):
    """The ImageSource at `place`, a folder, a zip, or a folder whose only content of use is one zip.

    Raises FileNotFoundError where there is nothing, DataFileError where a zip is damaged or unsafe.
    """
    if not place.exists():
        raise FileNotFoundError(f"images: there is no {place}; set data_dir (and path) to a folder or zip")
    if place.is_dir():
        left = _LeftOut()
        facts = dict(_in_folder(place, left))
        zips = sorted(path for path in place.glob("*.zip") if path.is_file())
        if facts or len(zips) != 1:
            notes = left.notes(facts)
            _refuse_none(place, facts, notes)
            yield ImageSource(place, facts, lambda name: read_regular(place / name, MOST_BYTES), notes)
            return
        place = zips[0]
    if not place.is_file():
        raise DataFileError(f"{place} is neither a folder nor a file; set data_dir to a folder or zip")
    try:
        archive = zipfile.ZipFile(place)
    except (*_DAMAGE, *_ODD) as error:
        raise DataFileError(f"{place} is no zip, or a damaged one: {error}") from error
    with archive:
        left = _LeftOut()
        members = dict(_in_archive(place, archive, left))
        notes = left.notes(members)
        _refuse_none(place, members, notes)
        facts = {name: (info.CRC, info.file_size) for name, info in members.items()}
        yield ImageSource(place, facts, lambda name: _read_member(archive, members[name]), notes)


def _in_folder(folder, left):
    for top, folders, files in os.walk(folder, followlinks=False):
        below = "" if top == str(folder) else f"{Path(top).relative_to(folder).as_posix()}/"
        links = [name for name in folders if os.path.islink(os.path.join(top, name))]
        folders[:] = sorted(name for name in folders if not _hides(name) and name not in links)
        left.folders |= {f"{below}{name}" for name in folders}
        for name in sorted(links):
            left.add(_LINK, f"{below}{name}")
        for file in sorted(files):
            name = f"{below}{file}"
            if _hides(file):
                continue
            status = os.lstat(os.path.join(top, file))
            kind = _kind(name, status.st_mode)
            if kind is None:
                yield name, (status.st_mtime_ns, status.st_size)
            else:
                left.add(kind, name)


def _in_archive(place, archive, left):
    for info in archive.infolist():
        name, mode = info.filename, info.external_attr >> 16
        if any(_hides(part) for part in name.split("/") if part not in ("", "..")):
            continue
        if info.is_dir():
            left.folders.add(name.rstrip("/"))
            continue
        kind = _kind(name, mode if stat.S_IFMT(mode) else stat.S_IFREG)
        if kind is None:
            _refuse_unsafe(place, name)
            yield name, info
        else:
            left.add(kind, name)
        left.folders |= {*_parents(name)}


def _kind(name, mode):
    """Why a file is left out, None where it is taken."""
    if stat.S_ISLNK(mode):
        return _LINK
    if not stat.S_ISREG(mode):
        return _SPECIAL
    return None if os.path.splitext(name)[1].lower() in SUFFIXES else _OTHER


def _hides(part):
    return part.startswith(".") or part in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _parents(name):
    """The folders around a file or folder: "a/b/c" -> "a", "a/b"."""
    parts = name.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _some(names):
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more


def _endings(names):
    counts = Counter(os.path.splitext(name)[1].lower() or os.path.basename(name) for name in names)
    return ", ".join(f"{count:,} {ending}" for ending, count in counts.most_common(_NAMED))


def _refuse_unsafe(place, name):
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or re.search(r"\\|[\x00-\x1f]", name) or ":" in parts[0]:
        raise DataFileError(f"{place} has an unsafe name: {name!r}; it must lead into the zip's folders")


def _refuse_none(place, found, notes):
    if not found:
        more = f"; {'; '.join(notes)}" if notes else ""
        raise FileNotFoundError(f"images: no image file in {place}; looked for {', '.join(SUFFIXES)}{more}")


def _read_member(archive, info):
    if info.file_size > MOST_BYTES:
        raise OSError(f"it has {info.file_size:,} bytes, and an image may have {MOST_BYTES:,}")
    return archive.read(info)
