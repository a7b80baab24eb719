"""TensorBoard's event files: frames of TFRecord around messages, of which the numbers alone are looked at.

A frame is a length, its masked CRC-32C, the message, and its masked CRC-32C. A message without a number is
stepped over unread: a picture, a histogram, a graph. A reader of our own, since TensorBoard's takes a hundred
times longer, keeps a sample of the points, and believes the lengths it reads; the package itself weighs more
than gdlab. Source: TensorFlow's `lib/io/record_writer.h`, `util/event.proto`, `framework/summary.proto`.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gdlab.interchange import wire
from gdlab.interchange.crc32c import are_right, crc, masked
from gdlab.interchange.files import BLOCK, Opened
from gdlab.interchange.source import MOST_NAME, Unreadable
from gdlab.interchange.tensors import number_of
from gdlab.interchange.wire import DOUBLE_OF, FLOAT_OF, Malformed, signed, span, text, varint

MOST_MESSAGE = 1 << 20  # bytes; with more it is no number
MOST_TAGS = 100_000  # whose plug-in is remembered
_HEAD = struct.Struct("<QI")
_HEAD_BYTES, _AROUND = 12, 16
_START = 1  # of a session's states
HPARAMS = "hparams"  # the plug-in that keeps hyper-parameters


class Event(NamedTuple):
    """A message that says something. wall: seconds since 1970; restarted: the training begins at `step`;
    numbers: [(tag, value)]; hparams: contents of the plug-in, as they stand."""

    wall: float
    step: int
    restarted: bool
    numbers: list[tuple[str, float]]
    hparams: list[bytes]


class _Tags(NamedTuple):
    """What is remembered of tags. scalars: {tag: whether its plug-in is of numbers}; plain: {all of a
    summary but the four bytes of its only number, which are its last: tag}, since a loop writes the same a
    thousand times."""

    scalars: dict[str, bool]
    plain: dict[bytes, str]


def events(file: Opened, damage: list[str]) -> Iterator[Event]:
    """The events of a file that say something, up to its end or to the first damage, which is noted.

    Raises Unreadable where not even the first frame is one.
    """
    tags = _Tags({}, {})
    data, begin, skip, first = b"", 0, 0, True
    while True:
        more = file.read(BLOCK)
        left = max(skip - len(more), 0)
        data, skip = data + more[skip:], left
        frames, at, skip, wrong = _frames(data, skip)
        found, bad, what = _checked(data, frames, tags)
        if first and (wrong or what) and not (frames and bad != 0):
            raise Unreadable(f"is no event file: {what or wrong}")
        first = first and not frames
        yield from found
        if what or wrong or not more:
            place = begin + (frames[bad][0] - _HEAD_BYTES if what else at)
            if not (what or wrong) and (skip or at < len(data)):
                wrong = "it ends within a record"
            if what or wrong:
                damage.append(f"{what or wrong}, at byte {place:,}: what stands behind is left out")
            return
        data, begin = data[at:], begin + at


def _frames(data, skip):
    """([(begin, length)] of the whole messages in a block, where the rest begins, bytes behind the block that
    belong to a message too long to be looked at, what is wrong with a length or "")."""
    found, at, end = [], 0, len(data)
    while end - at >= _HEAD_BYTES and not skip:
        length, checksum = _HEAD.unpack_from(data, at)
        if length > MOST_MESSAGE:
            if masked(crc(data[at : at + 8])) != checksum:
                return found, at, 0, "the checksum of a length is another"
            stop = at + _AROUND + length
            at, skip = min(stop, end), max(stop - end, 0)
        elif at + _AROUND + length > end:
            break
        else:
            found.append((at + _HEAD_BYTES, length))
            at += _AROUND + length
    return found, at, skip, ""


def _checked(data, frames, tags):
    """(the events of some frames, the first frame that is damaged, what is wrong with it or "")."""
    places = np.array(frames, np.int64).reshape(-1, 2)
    heads = places[:, 0] - _HEAD_BYTES
    right = are_right(data, heads, np.full(len(heads), 8), _sums(data, heads + 8))
    whole = len(frames) if right.all() else int(np.argmin(right))
    found, members, broken = [], [], None
    for index in range(whole):
        at, length = frames[index]
        try:
            event = _event(data, at, at + length, tags)
        except (Malformed, struct.error, IndexError):
            broken = index
            members.append(index)
            break
        if event is not None:
            found.append(event)
            members.append(index)
    begins, lengths = places[members].T if members else np.empty((2, 0), np.int64)
    right = are_right(data, begins, lengths, _sums(data, begins + lengths))
    if not right.all():
        bad = int(np.argmin(right))
        return found[:bad], members[bad], "the checksum of a record is another"
    if broken is not None:
        return found, broken, "a record that is none"
    return found, whole, "" if whole == len(frames) else "the checksum of a length is another"


def _sums(data, places):
    """The four bytes at each place as a number, little-endian, uint32 [n]."""
    octets = np.frombuffer(data, np.uint8)
    found = np.zeros(len(places), np.uint32)
    for offset in range(4):
        found |= octets[places + offset].astype(np.uint32) << np.uint32(8 * offset)
    return found


def _event(data, at, end, tags):
    """The Event in a message, None where it says nothing; tags: a _Tags."""
    wall, step, restarted, numbers, hparams = 0.0, 0, False, [], []
    while at < end:
        key = data[at]
        if key == 0x09:
            wall, at = DOUBLE_OF(data, at + 1)[0], at + 9
        elif key == 0x10:
            step, at = varint(data, at + 1, end)
        elif key == 0x2A:
            begin, at = span(data, at + 1, end)
            tag = tags.plain.get(data[begin : at - 4])
            if tag is not None:
                numbers.append((tag, FLOAT_OF(data, at - 4)[0]))
            else:
                alone = _summary(data, begin, at, tags, numbers, hparams)
                if alone and at - begin < MOST_NAME and len(tags.plain) < MOST_TAGS:
                    tags.plain[data[begin : at - 4]] = numbers[-1][0]
        else:
            field, kind, begin, at = next(wire.fields(data, at, end))
            if field == 7 and kind == wire.BYTES:
                restarted = _is_start(data, begin, at)
    if at > end:
        raise Malformed("a number that leads out of its message")
    if not (numbers or hparams or restarted):
        return None
    return Event(wall, signed(step), restarted, numbers, hparams)


def _summary(data, at, end, tags, numbers, hparams):
    """Adds what the values of a summary say; whether it is a number alone, whose bytes are the last ones."""
    plain = []
    while at < end:
        if data[at] != 0x0A:
            *_, at = next(wire.fields(data, at, end))
            plain.append(False)
            continue
        begin, at = span(data, at + 1, end)
        plain.append(_value(data, begin, at, tags.scalars, numbers, hparams))
    return plain == [True]


def _value(data, at, end, tags, numbers, hparams):
    name, value, tensor, plugin, last = "", None, None, None, 0
    while at < end:
        key = last = data[at]
        if key == 0x0A:
            begin, at = span(data, at + 1, end)
            name = text(data, begin, at)
        elif key == 0x15:
            value, at = FLOAT_OF(data, at + 1)[0], at + 5
        else:
            field, kind, begin, at = next(wire.fields(data, at, end))
            if field == 8 and kind == wire.BYTES:
                tensor = begin, at
            elif field == 9 and kind == wire.BYTES:
                plugin = _plugin(data, begin, at)
    if at > end:
        raise Malformed("a number that leads out of its message")
    if plugin is not None:
        if plugin[0] == HPARAMS:
            hparams.append(plugin[1])
        elif len(tags) < MOST_TAGS and len(name) <= MOST_NAME:
            tags.setdefault(name, plugin[0] == "scalars")
    if value is not None:
        numbers.append((name, value))
    elif tensor is not None and tags.get(name):
        value = number_of(data, *tensor)
        if value is not None:
            numbers.append((name, value))
    return last == 0x15 and plugin is None and tensor is None


def _plugin(data, at, end):
    """(name of the plug-in, its contents) of a value's metadata, None where they name none."""
    for field, kind, begin, stop in wire.fields(data, at, end):
        if field == 1 and kind == wire.BYTES:
            name, content = "", b""
            for part, of, start, last in wire.fields(data, begin, stop):
                if part == 1 and of == wire.BYTES:
                    name = text(data, start, last)
                elif part == 2 and of == wire.BYTES:
                    content = bytes(data[start:last])
            return name, content
    return None


def _is_start(data, at, end):
    numbers = (
        varint(data, begin, stop)[0]
        for field, kind, begin, stop in wire.fields(data, at, end)
        if field == 1 and kind == wire.VARINT
    )
    return next(numbers, 0) == _START
