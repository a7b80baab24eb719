"""Files of a run folder: small ones are replaced whole, large ones are written in place.

The folder may come from a stranger, so reading trusts nothing: a path that leaves the folder
through a link, a file that is no regular file, or one of unexpected size is reported, not opened.
Writing uses `os.pwrite` and `os.replace` alone; a full disk becomes `DiskFull`.
"""

import contextlib
import errno
import json
import os
import re
import stat
import threading

import numpy as np

from gdlab.store.errors import DamagedRun, DiskFull, NotWritable

# A commit record of 4,000 arrays takes about 2 MB; anything much larger was not written by gdlab.
MAX_DOCUMENT_BYTES = 16 << 20
MAX_DEPTH = 64  # of a document's nesting; Python's own limit shows as an error wherever it is met
HOLLOW, MOST_PACKED = 1 << 28, 64  # a file of so many bytes takes a 64th of them on the disk at least
sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@contextlib.contextmanager
def writing(path):
    """Turn the operating system's refusal to write `path` into `DiskFull` or `NotWritable`."""
    try:
        yield
    except OSError as error:
        if isinstance(error, (DiskFull, NotWritable)):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"disk full while writing {path}: the last commit stays valid; free some space, "
                "then commit again or resume the run"
            ) from error
        raise NotWritable(f"cannot write {path}: {error.strerror or error}") from error


def write_all(fd, data, offset):
    """`os.pwrite` until every byte of `data` (bytes-like) is written at `offset`."""
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def replace_file(path, data, fsync=False):
    """Write bytes to `path` so that a reader sees the old or the new content, never a part."""
    replace_in_parts(path, [(0, data)], fsync)


def replace_in_parts(path, parts, fsync=False):
    """As `replace_file`, of [(offset, bytes-like)] with holes of zeros between them."""
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.tmp"
    with writing(path):
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            try:
                for offset, data in parts:
                    write_all(fd, data, offset)
                if fsync:
                    sync_data(fd)
            finally:
                os.close(fd)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        if fsync:
            sync_folder(os.path.dirname(path))


def remove_leftovers(folder):
    """Remove what a killed `replace_file` left in a folder of which the caller holds the lease."""
    for name in os.listdir(folder):
        if name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))


def sync_folder(path):
    """Make renames inside the folder survive a power failure."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_regular(path):
    """File descriptor and `os.stat_result` of a regular file; links and devices are damage."""
    try:
        fd = os.open(path, _OPEN)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{path} does not exist") from error
    except OSError as error:
        what = "a link where a file should be" if error.errno == errno.ELOOP else error.strerror
        raise DamagedRun(what or str(error), path) from error
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        os.close(fd)
        raise DamagedRun("not a regular file", path)
    return fd, facts


def read_small(path, limit=MAX_DOCUMENT_BYTES):
    """All bytes of a document of at most `limit` bytes, and its `os.stat_result`."""
    fd, facts = open_regular(path)
    try:
        if facts.st_size > limit:
            raise DamagedRun(f"{facts.st_size:,} bytes, at most {limit:,} are possible", path)
        data = os.read(fd, facts.st_size + 1)
        while 0 < len(data) < facts.st_size:
            more = os.read(fd, facts.st_size - len(data))
            if not more:
                break
            data += more
    finally:
        os.close(fd)
    return data, facts


def parse_json(data, path):
    """The JSON object in bytes read from `path`: no deeper than MAX_DEPTH, no NaN."""
    if _depth(data) > MAX_DEPTH and _depth(_TEXTS.sub(b"", data)) > MAX_DEPTH:
        raise DamagedRun(f"nested deeper than {MAX_DEPTH}", path)
    try:
        document = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DamagedRun(f"not valid JSON: {error}", path) from error
    if not isinstance(document, dict):
        raise DamagedRun(f"a JSON object was expected, found {type(document).__name__}", path)
    return document


def _depth(data):
    """How deep the brackets are nested, of which those in texts may be some."""
    codes = np.frombuffer(data, np.uint8) & 0xDF  # "[" and "{" become one, "]" and "}" too
    return int(np.cumsum((codes == 0x5B).astype(np.int32) - (codes == 0x5D)).max(initial=0))


def _refuse(word):
    raise ValueError(f"{word} is no JSON")


def no_links(root, path):
    """DamagedRun where `path`, or a folder between it and `root`, is there and a link or a file."""
    for here in _between(root, path):
        try:
            mode = os.lstat(here).st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise DamagedRun(error.strerror or str(error), here) from error
        if not stat.S_ISDIR(mode):
            what = "a link leads out of the run folder" if stat.S_ISLNK(mode) else "not a folder"
            raise DamagedRun(what, here)


def make_folders(root, path):
    """Make `path` and the folders between it and `root`, which is there; DamagedRun where one is a link."""
    no_links(root, path)
    with writing(path):
        for here in _between(root, path):
            with contextlib.suppress(FileExistsError):
                os.mkdir(here)


def unshare(path):
    """Give a file with several names (hard links) one of its own, before it is written in place."""
    try:
        facts = os.lstat(path)
    except OSError:
        return
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink > 1:
        fd, facts = open_regular(path)
        with os.fdopen(fd, "rb") as file:
            replace_file(path, file.read())


def _between(root, path):
    """`path` and the folders between it and `root`, outermost first."""
    parts = os.path.relpath(path, root).split(os.sep)
    return [os.path.join(root, *parts[: i + 1]) for i in range(len(parts)) if parts != [os.curdir]]


def stays_inside(path, folder):
    """Raise `DamagedRun` where `path`, all links followed, lies outside `folder`."""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath((real, root)) != root:
        raise DamagedRun("a link leads out of the run folder", path)


def check_taken(found, path):
    """DamagedRun for a file of holes, which takes nothing on the disk and all of its size in memory.

    Zeros that a file system packs look the same; a file of HOLLOW bytes consists of other values, too.
    """
    taken = 512 * getattr(found, "st_blocks", 0)  # 0: the file system does not tell
    if found.st_size > HOLLOW and 0 < taken < found.st_size // MOST_PACKED:
        raise DamagedRun(f"{found.st_size:,} bytes, of which {taken:,} were written", path)
