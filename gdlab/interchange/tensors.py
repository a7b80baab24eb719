"""The one number in a TensorProto, as TensorFlow 2 writes scalars. Source: `framework/tensor.proto`."""

import struct

import numpy as np

from gdlab.interchange import wire
from gdlab.interchange.wire import Malformed, signed, varint

# {number of the type: how its bytes are read}
_CONTENT = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", 19: "<f2", 22:
    "<u4", 23: "<u8",
}  # fmt: skip
_BFLOAT16, _HALF = 14, 19
_FLOATS, _DOUBLES, _INTEGERS, _HALVES = 5, 6, (7, 10, 11, 16, 17), 13


def number_of(data: bytes, at: int, end: int) -> float | None:
    """The number in the TensorProto data[at:end]; None where it holds another count of them, or none."""
    kind, content, found, size = 0, None, [], 1
    for field, wired, begin, stop in wire.fields(data, at, end):
        if field == 1 and wired == wire.VARINT:
            kind = varint(data, begin, stop)[0]
        elif field == 2 and wired == wire.BYTES:
            size *= _elements(data, begin, stop)
        elif field == 4 and wired == wire.BYTES:
            content = begin, stop
        elif field in (_FLOATS, _DOUBLES, _HALVES, *_INTEGERS):
            if stop - begin > 64:  # more than one number
                return None
            found += _values(data, field, wired, begin, stop)
    if size != 1:
        return None
    if content is not None:
        return _of_bytes(data[content[0] : content[1]], kind)
    if len(found) > 1:
        return None
    value = found[0] if found else 0  # a field with the value 0 is not written
    return _of_half(value, kind) if kind in (_HALF, _BFLOAT16) else float(value)


def _of_bytes(data, kind):
    if kind == _BFLOAT16 and len(data) == 2:
        return _of_half(int.from_bytes(data, "little"), kind)
    dtype = np.dtype(_CONTENT[kind]) if kind in _CONTENT else None
    if dtype is None or len(data) != dtype.itemsize:
        return None
    return float(np.frombuffer(data, dtype)[0])


def _of_half(bits, kind):
    """A number of 16 bits."""
    bits &= 0xFFFF
    if kind == _BFLOAT16:
        return struct.unpack("<f", struct.pack("<I", bits << 16))[0]
    return float(np.array(bits, np.uint16).view(np.float16))


def _elements(data, at, end):
    """How many numbers a TensorShapeProto speaks of."""
    size = 1
    for field, kind, begin, stop in wire.fields(data, at, end):
        if field == 2 and kind == wire.BYTES:
            for part, wired, start, last in wire.fields(data, begin, stop):
                if part == 1 and wired == wire.VARINT:
                    size *= varint(data, start, last)[0]
    return size


def _values(data, field, wired, at, end):
    """The numbers of a field, packed or one by one."""
    if field in (_FLOATS, _DOUBLES):
        layout = struct.Struct("<f" if field == _FLOATS else "<d")
        if (end - at) % layout.size:
            raise Malformed("half a number")
        return [layout.unpack_from(data, place)[0] for place in range(at, end, layout.size)]
    found = []
    while at < end:
        value, at = varint(data, at, end)
        found.append(signed(value) if field in (7, 10) else value)
        if wired == wire.VARINT:
            break
    return found
