"""A seal for every row that is derived from a run: it finds damage, and tells own results from others'.

Of SEAL bytes, four are the checksum of the row's values, the rest a keyed digest of them. The key is the
user's own: random, made when first needed and kept outside every run folder, so a folder that comes from
elsewhere cannot hold rows with this machine's seal.
"""

import functools
import hashlib
import os
import secrets
import stat
from pathlib import Path

import numpy as np

from gdlab.store import checksums

_CHECK, _DIGEST, _KEY_BYTES = 4, 16, 32
SEAL = _CHECK + _DIGEST


def seals(context, numbers, rows):
    """Seals [n, SEAL] of rows [n], bytes each, by their row numbers [n]; context: bytes that say of what."""
    checks = np.array(_checks(context, numbers, rows), "<u4").view(np.uint8).reshape(-1, _CHECK)
    return np.concatenate([checks, _digests(context, numbers, rows)], axis=1)


def whole(context, numbers, rows, found):
    """Mask [n]: where the seals `found` [n, SEAL] have the checksums of the rows."""
    kept = np.ascontiguousarray(found[:, :_CHECK]).view("<u4").reshape(-1)
    return kept == np.array(_checks(context, numbers, rows), np.uint32)


def own(context, numbers, rows, found):
    """Mask [n]: where the seals were made with this user's key, of these rows."""
    return (_digests(context, numbers, rows) == found[:, _CHECK:]).all(axis=1)


def _checks(context, numbers, rows):
    return [
        checksums.crc(row, checksums.crc(_place(context, n))) for n, row in zip(numbers, rows, strict=True)
    ]


def _digests(context, numbers, rows):
    key, out = own_key(), bytearray()
    for number, row in zip(numbers, rows, strict=True):
        digest = hashlib.blake2b(_place(context, number), key=key, digest_size=_DIGEST)
        digest.update(row)
        out += digest.digest()
    return np.frombuffer(bytes(out), np.uint8).reshape(-1, _DIGEST)


def _place(context, number):
    return b"%s %d " % (context, number)


@functools.cache
def own_key():
    """This user's key, made where there is none yet; where it cannot be kept, one for this process alone."""
    path = _key_file()
    try:
        return _read(path)
    except OSError:
        pass
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(key)
        try:
            os.link(temporary, path)  # unlike a rename it never replaces the key of a process that was faster
        finally:
            os.unlink(temporary)
        return _read(path)
    except OSError:
        try:
            return _read(path)
        except OSError:
            return key


def _key_file():
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(home) / "gdlab" / "derived.key"


def _read(path):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != _KEY_BYTES:
            raise OSError(f"{path} is no key")
        return file.read(_KEY_BYTES)
