"""A folder of files that is written once and read as a whole by some library: a checkpoint, say.

Before anybody opens it, every entry is looked at: regular files and folders only, as a named pipe would hang
its reader for ever and a link leads elsewhere. Where it lists its files' checksums, they have to be those.
"""

import os
import stat
import zlib
from pathlib import Path

from gdlab.store import checksums, files
from gdlab.store.errors import DamagedRun

SUMS = "checksums.json"
_MAX_FILES, _MAX_DEPTH = 100_000, 16
_BLOCK = 1 << 20


def write_sums(folder):
    """Leave the sizes and checksums of all files of `folder` in it; raises DiskFull and NotWritable."""
    listed = {name: [size, _crc(Path(folder) / name)] for name, size in _walk(folder, "", 0)}
    listed.pop(SUMS, None)
    document = checksums.placed({"files": listed})
    files.replace_file(os.path.join(folder, SUMS), checksums.sealed(document))


def check(folder, limit):
    """Whether the files of `folder` are those that were listed in it; False where none were listed.

    limit: bytes that all of them may have together. DamagedRun names the file that is missing, too large, of
    another kind or other than it was written.
    """
    found = dict(_walk(folder, "", 0))
    if not found:
        raise DamagedRun("nothing is in it", folder)
    total = sum(found.values())
    if total > limit:
        raise DamagedRun(f"its files have {total:,} bytes, at most {limit:,} are possible", folder)
    if not os.path.lexists(os.path.join(folder, SUMS)):
        return False
    for name, (size, recorded) in _listed(os.path.join(folder, SUMS)).items():
        where = os.path.join(folder, name)
        if name not in found:
            raise DamagedRun("the file is missing", where)
        if found[name] != size:
            raise DamagedRun(f"{found[name]:,} bytes, {size:,} were written", where)
        if _crc(where) != recorded:
            raise DamagedRun(f"not what was written: its checksum is not {recorded}", where)
    return True


def _listed(where):
    data, _ = files.read_small(where)
    sealed = checksums.is_sealed(data, where)
    listed = files.parse_json(data, where).get("files")
    if not sealed or not isinstance(listed, dict):
        raise DamagedRun("no list of checksums", where)
    for pair in listed.values():
        if not (isinstance(pair, list) and [type(item) for item in pair] == [int, str]):
            raise DamagedRun("no list of checksums", where)
    return listed


def _walk(folder, name, depth):
    """[(name, size)] of all files below; DamagedRun where something is neither a file nor a folder."""
    found = []
    here = os.path.join(folder, name) if name else os.fspath(folder)
    try:
        if not stat.S_ISDIR(os.lstat(here).st_mode):
            raise DamagedRun("a link or a file where a folder should be", here)
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda item: item.name):
                inner = f"{name}/{entry.name}" if name else entry.name
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(facts.st_mode) and depth < _MAX_DEPTH:
                    found += _walk(folder, inner, depth + 1)
                elif stat.S_ISREG(facts.st_mode):
                    found.append((inner, facts.st_size))
                else:
                    raise DamagedRun("not a regular file", entry.path)
                if len(found) > _MAX_FILES:
                    raise DamagedRun(f"more than {_MAX_FILES:,} files", folder)
    except OSError as error:
        raise DamagedRun(error.strerror or str(error), here) from error
    return found


def _crc(path):
    fd, _ = files.open_regular(path)
    value = 0
    try:
        while block := os.read(fd, _BLOCK):
            value = zlib.crc32(block, value)
    except OSError as error:
        raise DamagedRun(error.strerror or str(error), path) from error
    finally:
        os.close(fd)
    return checksums.to_text(value)
