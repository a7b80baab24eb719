"""A run folder as one file that can be passed on, and back: a zip of its regular files.

Chunk files are mostly holes, which a copy over a network fills and a zip does not. What is packed is read
again before the archive takes its name; what is unpacked is checked by the run's own checksums before the
folder takes its name. An archive is a stranger's: names that lead elsewhere, links and what unpacks to more
than it says are refused, and nothing half unpacked stays.
"""

import contextlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from gdlab.messages import counted
from gdlab.store import files, lease
from gdlab.store.errors import DamagedRun, DiskFull, NotARun, NotWritable, RunLocked
from gdlab.store.reader import Run, open_run

MOST_FILES = 1 << 18
MOST_BYTES = 1 << 42  # of all files, holes included
MOST_LISTED = 1 << 26  # bytes of an archive's list of files, which is read as a whole
_BLOCK = 1 << 20
_PAGE = 1 << 12
_LEFT_OUT = {lease.LOCK}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
Share = Callable[[float, str], None]


def pack(run: str | os.PathLike, file: str | os.PathLike, progress: Share | None = None) -> int:
    """Write the run folder `run` into the zip `file`; its size in bytes.

    progress(share in [0, 1], text). Raises NotARun; RunLocked while it is trained; DamagedRun where something
    of it is damaged; NotWritable where `file` is there already or cannot be written; DiskFull.
    """
    found = open_run(run)
    if lease.is_alive(found.path):
        raise RunLocked(f"{found.path} is being trained: pack it when it has ended")
    for damage in found.verify():
        raise damage
    target = Path(file)
    if os.path.lexists(target):
        raise NotWritable(f"{target} is there already: choose another name")
    listed = _regular(found.path)
    beside = target.with_name(f".{target.name[:80]}.{os.getpid()}.part")
    try:
        with files.writing(target):
            _write(found.path, listed, beside, progress)
            _compare(found.path, listed, beside)
            os.rename(beside, target)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(beside)
    return target.stat().st_size


def unpack(file: str | os.PathLike, folder: str | os.PathLike, progress: Share | None = None) -> Run:
    """Make the run folder `folder` of what `pack` wrote; the Run.

    Raises NotARun where `file` is no such archive; DamagedRun where it is damaged, or names what may not be
    written; NotWritable where `folder` is there already or cannot be written; DiskFull.
    """
    source, target = Path(file), Path(folder)
    if os.path.lexists(target):
        raise NotWritable(f"{target} is there already: choose another folder")
    beside = target.with_name(f".{target.name[:80]}.{os.getpid()}.part")
    fd, _ = files.open_regular(source)
    try:
        with os.fdopen(fd, "rb") as opened, _zip(opened, source) as archive, files.writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(beside, ignore_errors=True)  # of one that was killed
            beside.mkdir()  # never one that is there, which may lead elsewhere
            _extract(archive, source, beside, progress)
        try:
            damaged = open_run(beside).verify()
        except DamagedRun as error:
            damaged = [error]
        except NotARun:
            raise NotARun(f"{source} holds no run") from None
        for damage in damaged:
            raise DamagedRun(damage.what, f"{source}: {os.path.relpath(damage.where, beside)}")
        with files.writing(target):
            os.rename(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return open_run(target)


def _regular(root: Path) -> list[str]:
    """The regular files of a folder, by name below it, sorted; links and pipes are no part of a run."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if name not in _LEFT_OUT and stat.S_ISREG(os.lstat(path).st_mode):
                found.append(os.path.relpath(path, root))
    return sorted(found)


def _write(root, listed, beside, progress):
    with zipfile.ZipFile(beside, "x", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for number, name in enumerate(listed):
            if progress is not None:
                progress(number / len(listed), name)
            fd, facts = files.open_regular(os.path.join(root, name))
            entry = zipfile.ZipInfo(PurePosixPath(*Path(name).parts).as_posix())
            _name(entry, root)
            entry.compress_type, entry.file_size = zipfile.ZIP_DEFLATED, facts.st_size
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            with os.fdopen(fd, "rb") as source, archive.open(entry, "w") as into:
                shutil.copyfileobj(source, into, _BLOCK)


def _compare(root, listed, beside):
    """Every byte of the archive is that of its file."""
    with zipfile.ZipFile(beside) as archive:
        for name, entry in zip(listed, archive.infolist(), strict=True):
            fd, _ = files.open_regular(os.path.join(root, name))
            with os.fdopen(fd, "rb") as one, archive.open(entry) as other:
                while True:
                    here, there = one.read(_BLOCK), other.read(_BLOCK)
                    if here != there:
                        raise DamagedRun("it changed while it was packed", os.path.join(root, name))
                    if not here:
                        break


@contextlib.contextmanager
def _zip(opened, source):
    _check_list(opened, source)
    try:
        with zipfile.ZipFile(opened) as archive:
            yield archive
    # NotImplementedError: a method of packing that is unknown; RuntimeError: a file that asks for a password.
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise NotARun(f"{source} is no packed run, or is damaged: {error}") from None
    except zlib.error as error:
        raise DamagedRun(f"it does not unpack: {error}", source) from None


def _check_list(opened, source):
    """Refuse an archive whose list of files is longer than a run's can be: an entry takes half a kilobyte of
    memory. Source: PKWARE, APPNOTE 6.3.10, sections 4.3.14 to 4.3.16."""
    size = opened.seek(0, os.SEEK_END)
    start = max(0, size - (1 << 16) - 98)
    opened.seek(start)
    tail = opened.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or len(tail) < end + 22:
        return  # no archive, which is said where it is opened
    listed = int.from_bytes(tail[end + 12 : end + 16], "little")
    if listed == 0xFFFFFFFF and (large := tail.rfind(b"PK\6\6", 0, end)) >= 0:
        listed = int.from_bytes(tail[large + 40 : large + 48], "little")
    opened.seek(0)
    if listed > MOST_LISTED:
        raise DamagedRun(f"a list of files of {listed:,} bytes, at most {MOST_LISTED:,} are possible", source)


def _extract(archive, source, beside, progress):
    entries = archive.infolist()
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise DamagedRun(f"more than {MOST_FILES:,} files or {MOST_BYTES:,} bytes", source)
    if any(entry.compress_type not in _METHODS for entry in entries):
        # LZMA's header chooses how much memory unpacking takes; errors of bzip2's are those of a full disk.
        raise DamagedRun("it is packed by another method than deflate", source)
    full, free = sum(one.file_size for one in entries if one.file_size >= files.HOLLOW), _free(beside)
    if full > free:
        raise DiskFull(f"{source} unpacks to {full:,} bytes or more, of which there are {free:,} left")
    names = [_name(entry, source) for entry in entries]
    if len(set(names)) < len(names):
        raise DamagedRun("two files have one name", source)
    for number, (entry, name) in enumerate(zip(entries, names, strict=True)):
        if progress is not None:
            progress(number / len(entries), name)
        path = beside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as packed:
            _fill(packed, path, entry.file_size, f"{source}: {name}")


def _free(folder) -> int:
    return shutil.disk_usage(folder).free


def _name(entry, source) -> str:
    """The name of an entry, where it is that of a regular file below the folder."""
    path, kind = PurePosixPath(entry.filename), stat.S_IFMT(entry.external_attr >> 16)
    parts = entry.filename.split("/")
    plain = all(part not in ("", ".", "..") and "\\" not in part and "\0" not in part for part in parts)
    plain &= not any("\ud800" <= letter <= "\udfff" for letter in entry.filename)  # bytes that are no text
    if path.is_absolute() or not plain or kind not in (0, stat.S_IFREG) or parts[-1] in _LEFT_OUT:
        raise DamagedRun(f"{entry.filename[:200]!r} is no file of a run", source)
    return str(path)


def _fill(packed, path, size, where):
    """Unpack one file, its empty pages as holes unless it is so large that holes would be distrusted."""
    sparse, left = size < files.HOLLOW, size
    with open(path, "xb") as into:
        while data := packed.read(_BLOCK):
            left -= len(data)
            if left < 0:
                break
            for at in range(0, len(data), _PAGE if sparse else _BLOCK):
                part = data[at : at + (_PAGE if sparse else _BLOCK)]
                if sparse and part.count(0) == len(part):
                    into.seek(len(part), os.SEEK_CUR)
                else:
                    into.write(part)
        into.truncate(size)
    if left:
        raise DamagedRun("it unpacks to another size than the archive says", where)


def said(size: int) -> str:
    """A size in words."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else counted(size, "byte")
