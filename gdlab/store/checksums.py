"""Checksums find damage: a flipped bit is a perfectly good number, and nothing else would tell.

CRC-32 as zlib has it, as eight hexadecimal digits: quick beside what is done with the bytes, and in the
standard library, so whoever reads a run can check it. It finds accidents, not authors.

A document (JSON) keeps the sum of its own bytes up to that sum as its last entry, so that it can be
checked before it is parsed.
"""

import json
import re
import zlib

from gdlab.store.errors import DamagedRun

DIGITS = 8  # of a checksum as text
_KEY = "checksum"
_LAST = re.compile(rb'[0-9a-f]{8}"[\s}]*\Z')


def crc(data, before=0):
    """The checksum of bytes-like `data` that follow bytes with the checksum `before`: an int below 2**32."""
    return zlib.crc32(data, before)


def to_text(value):
    """A checksum as it is kept."""
    return f"{value:08x}"


def placed(document):
    """`document` with the place for its checksum, which has to be the last entry of the last object."""
    return {**document, _KEY: "0" * DIGITS}


def sealed(document, indent=None):
    """A document made by `placed`, or one whose last object was, as bytes that hold their own checksum."""
    data = json.dumps(document, indent=indent, allow_nan=False).encode()
    at = data.rindex(b'"' + b"0" * DIGITS + b'"') + 1
    return data[:at] + to_text(crc(data[:at])).encode() + data[at + DIGITS :]


def is_sealed(data, where):
    """Whether a document holds a checksum; DamagedRun where it does and it is not that of its bytes."""
    opening = f'"{_KEY}": "'.encode()
    at = data.rfind(opening)
    if at < 0 or not _LAST.match(data, at + len(opening)):
        return False
    at += len(opening)
    found = to_text(crc(data[:at])).encode()
    if found != data[at : at + DIGITS]:
        raise DamagedRun(
            f"its checksum is {found.decode()}, {data[at : at + DIGITS].decode()} was recorded", where
        )
    return True
