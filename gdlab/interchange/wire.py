"""The wire format of protocol buffers, as far as reading other programs' records needs it.

A message is a sequence of (field number, value), so what is not asked for is stepped over without being
looked at. Nothing is believed: a length that leads out of its message, a number without an end and a kind
that does not exist are `Malformed`. Source: the encoding chapter of the Protocol Buffers documentation.
"""

import struct
from collections.abc import Iterator

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
_SIZES = {DOUBLE: 8, FLOAT: 4}
_MOST_VARINT = 10  # bytes of a number of 64 bits
DOUBLE_OF = struct.Struct("<d").unpack_from
FLOAT_OF = struct.Struct("<f").unpack_from


class Malformed(ValueError):
    """Bytes that are no message of this kind."""


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(the unsigned number that begins at `at`, where it ends)."""
    if at < end and data[at] < 0x80:
        return data[at], at + 1
    value = shift = 0
    for place in range(at, min(end, at + _MOST_VARINT)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place + 1
        shift += 7
    raise Malformed("a number that does not end")


def signed(value: int) -> int:
    """A number as int64 reads it."""
    return value - (1 << 64) if value >> 63 else value


def span(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(begin, end) of a part with its length before it; it lies within the message."""
    length, at = varint(data, at, end)
    if length > end - at:
        raise Malformed(f"a part of {length:,} bytes where {end - at:,} are left")
    return at, at + length


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(field, kind, begin, end) of each field of the message data[at:end].

    A number's value is what `varint` makes of its bytes; a part's bytes are data[begin:end].
    """
    while at < end:
        key, at = varint(data, at, end)
        kind = key & 7
        if kind == BYTES:
            begin, stop = span(data, at, end)
        elif kind == VARINT:
            begin, (_, stop) = at, varint(data, at, end)
        elif kind in _SIZES:
            begin, stop = at, at + _SIZES[kind]
        else:
            raise Malformed(f"a field of kind {kind}")
        if stop > end or key >> 3 == 0:
            raise Malformed("a field that leads out of its message")
        yield key >> 3, kind, begin, stop
        at = stop


def text(data: bytes, begin: int, end: int) -> str:
    """A text, whatever its bytes are."""
    return data[begin:end].decode("utf-8", "replace")
