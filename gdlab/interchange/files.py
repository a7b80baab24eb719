"""Files of other programs, read as data: regular files alone, no links, each with a bound and a
fingerprint.
"""

import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from gdlab.interchange.source import Unreadable
from gdlab.store import files
from gdlab.store.errors import DamagedRun

MOST_DEPTH, MOST_ENTRIES = 16, 1 << 20  # of a folder that is searched
BLOCK = 4 << 20  # bytes


class Opened:
    """A regular file, read in blocks from its beginning; a context manager.

    size: bytes when it was opened, and no more are read; fingerprint: of the bytes read so far.
    """

    def __init__(self, path: Path):
        try:
            self._fd, facts = files.open_regular(os.fspath(path))
        except FileNotFoundError:
            raise Unreadable("is not there") from None
        except DamagedRun as error:
            raise Unreadable(error.what) from None
        self.size, self._at = facts.st_size, 0
        self._digest = hashlib.sha256()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what was read, and how much that was."""
        return f"{self._digest.hexdigest()[:32]}-{self._at}"

    def read(self, count: int = BLOCK) -> bytes:
        """The next bytes, at most so many; b"" at the end."""
        try:
            data = os.pread(self._fd, min(count, self.size - self._at), self._at)
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from None
        self._at += len(data)
        self._digest.update(data)
        return data

    def drain(self) -> None:
        """Reads on to the end, for the fingerprint."""
        while self.read():
            pass

    def whole(self, most: int) -> bytes:
        """All of its bytes; Unreadable where these are more than `most`."""
        if self.size > most:
            raise Unreadable(f"{self.size:,} bytes, where at most {most:,} are read")
        parts = []
        while part := self.read():
            parts.append(part)
        return b"".join(parts)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        os.close(self._fd)


def content(path: Path, most: int) -> bytes:
    """All bytes of a regular file of at most `most` bytes; Unreadable for anything else."""
    with Opened(path) as file:
        return file.whole(most)


class Entry:
    """A folder with the regular files in it, by name. links: how many entries were no files or folders."""

    def __init__(self, path: Path):
        self.path, self.files, self.folders, self.links = path, {}, [], 0
        with os.scandir(path) as entries:
            for item in entries:
                if item.is_file(follow_symlinks=False):
                    self.files[item.name] = item.stat(follow_symlinks=False).st_size
                elif item.is_dir(follow_symlinks=False):
                    self.folders.append(item.name)
                else:
                    self.links += 1
                if len(self.files) + len(self.folders) > MOST_ENTRIES:
                    raise Unreadable(f"{path} has more than {MOST_ENTRIES:,} entries")


def walk(root: Path, refused: list[tuple[str, str]] | None = None, depth: int = 0) -> Iterator[Entry]:
    """Every folder from `root` down, in the order of their names; hidden ones and links are not entered.

    refused: takes [(folder, why)] of those that cannot be read; None: the first one raises Unreadable.
    """
    try:
        entry = Entry(root)
    except OSError as error:
        if refused is None:
            raise Unreadable(f"{root} cannot be read: {error.strerror}") from None
        refused.append((str(root), error.strerror or str(error)))
        return
    yield entry
    for name in sorted(entry.folders) if depth < MOST_DEPTH else ():
        if not name.startswith("."):
            yield from walk(root / name, refused, depth + 1)


def joined(fingerprints) -> str:
    """One fingerprint of several."""
    parts = list(fingerprints)
    return parts[0] if len(parts) == 1 else hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def fingerprint(path: Path) -> str:
    """The fingerprint of a whole file."""
    with Opened(path) as file:
        file.drain()
        return file.fingerprint


def fingerprint_once(path: Path) -> str:
    """The fingerprint of a file that several runs are read from, taken again when it has changed."""
    facts = os.lstat(path)
    return _fingerprint(path, facts.st_ino, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def _fingerprint(path, *state):
    del state
    return fingerprint(path)
