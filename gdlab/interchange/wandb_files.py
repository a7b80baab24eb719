"""Weights & Biases' own files of a run, `run-ID.wandb`: messages in the log format of LevelDB.

The history becomes metrics, the configuration hyper-parameters; what else is in it (output, code, system
statistics, files) is stepped over unread. Source: LevelDB's `doc/log_format.md`, whose checksum is the
CRC-32 of zlib here; wandb's `proto/wandb_internal.proto`.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gdlab.interchange import wire
from gdlab.interchange.documents import loads
from gdlab.interchange.files import Opened, fingerprint
from gdlab.interchange.source import Collector, Found, Source, Unreadable, flat_numbers, number
from gdlab.interchange.wire import Malformed, signed, text, varint

NAME = "wandb"
SUFFIX = ".wandb"
MOST_MESSAGE = 16 << 20  # bytes: a step with thousands of numbers
_IDENT, _BLOCK = b":W&B\xe1\xbe", 32768
_HEAD = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_REST = "what stands behind is left out"
_HISTORY, _CONFIG, _RUN, _EXIT = 2, 5, 17, 18


def sources(root: Path, folders: Mapping[Path, Mapping[str, int]], metrics: Sequence[str]) -> list[Source]:
    """The runs below `root`; folders: {folder: {file of a run: bytes}}; metrics: patterns of those wanted."""
    found = []
    for folder in sorted(folders):
        for name, size in sorted(folders[folder].items()):
            path = folder / name
            # "wandb/offline-run-20260101_120000-id/run-id.wandb" is the run of its folder.
            alone = len(folders[folder]) == 1 and folder != root
            said = (folder if alone else path.with_suffix("")).relative_to(root).as_posix()
            found.append(
                Source(said, NAME, path, partial(_read, path, metrics), partial(fingerprint, path), size)
            )
    return found


def _read(path, metrics):
    numbers, found = Collector(metrics), Found({}, {}, state="interrupted", reason="it has no end")
    with Opened(path) as file:
        for message in _messages(file, found.damage):
            try:
                _take(message, numbers, found)
            except (Malformed, IndexError, struct.error) as error:
                found.damage.append(f"{path.name}: a message that is none: {error}")
                break
        file.drain()
        found.fingerprint = file.fingerprint
    found.series, found.notes = numbers.series(), numbers.notes()
    return found


def _messages(file, damage) -> Iterator[bytes]:
    """The messages of a file up to its end or to the first damage, which is noted."""
    message: bytearray | None = bytearray()  # None: longer than is read
    at, first = 0, True
    while block := file.read(_BLOCK):
        place = 0
        if first:
            if block[: len(_IDENT)] != _IDENT:
                raise Unreadable("is no file of Weights & Biases: its first bytes are others")
            place, first = len(_IDENT) + 1, False
        while len(block) - place >= _HEAD.size:
            checksum, length, kind = _HEAD.unpack_from(block, place)
            begin, end = place + _HEAD.size, place + _HEAD.size + length
            if not (checksum or length or kind):  # space that was not written to
                break
            if end > len(block):
                damage.append("it ends within a record" if len(block) < _BLOCK else _wrong(at + place))
                return
            if zlib.crc32(block[begin:end], zlib.crc32(bytes((kind,)))) != checksum:
                damage.append(_wrong(at + place))
                return
            if kind == _MIDDLE and not length:
                damage.append(f"an empty part within a record, at byte {at + place:,}: {_REST}")
                return
            if kind in (_FULL, _FIRST):
                message = bytearray()
            if message is not None:
                message += block[begin:end]
                message = None if len(message) > MOST_MESSAGE else message
            if message is not None and kind in (_FULL, _LAST):
                yield bytes(message)
            place = end
        at += len(block)
    if first:
        raise Unreadable("is empty")


def _wrong(place):
    return f"the checksum of a record is another, at byte {place:,}: {_REST}"


def _take(message, numbers, found):
    for field, kind, begin, end in wire.fields(message, 0, len(message)):
        if kind != wire.BYTES:
            continue
        if field == _HISTORY:
            _history(message, begin, end, numbers)
        elif field == _CONFIG:
            found.config |= _items(message, begin, end)
        elif field == _RUN:
            _run(message, begin, end, found)
        elif field == _EXIT:
            code = next(
                (varint(message, a, b)[0] for n, _, a, b in wire.fields(message, begin, end) if n == 1), 0
            )
            found.state = "failed" if code else "finished"
            found.reason = f"exit code {signed(code)}" if code else None


def _history(data, at, end, numbers):
    """Adds the numbers of one step; the step itself, and the time, stand among them."""
    items: dict[str, Any] = {}
    step = None
    for field, kind, begin, stop in wire.fields(data, at, end):
        if field == 1 and kind == wire.BYTES:
            key, value = _item(data, begin, stop)
            items[key] = value
        elif field == 2 and kind == wire.BYTES:
            step = next(
                (signed(varint(data, a, b)[0]) for n, _, a, b in wire.fields(data, begin, stop) if n == 1), 0
            )
    step = items.get("_step", step)
    if type(step) is not int:
        return
    when = number(items.get("_timestamp"))
    time = float("nan") if when is None else when
    for name, value in flat_numbers({k: v for k, v in items.items() if not k.startswith("_")}):
        numbers.add(name, step, value, time)


def _items(data, at, end):
    """{key: value} of the updates of a configuration, wandb's own left out."""
    found: dict[str, Any] = {}
    for field, kind, begin, stop in wire.fields(data, at, end):
        if field == 1 and kind == wire.BYTES:
            key, value = _item(data, begin, stop)
            if key and not key.startswith("_wandb"):
                found[key] = value
    return found


def _item(data, at, end):
    """(key, value) of an item; parts of a nested key have "/" between them."""
    key, nested, value = "", [], None
    for field, kind, begin, stop in wire.fields(data, at, end):
        if kind != wire.BYTES:
            continue
        if field == 1:
            key = text(data, begin, stop)
        elif field == 2:
            nested.append(text(data, begin, stop))
        elif field == 16:
            try:
                value = loads(data[begin:stop])
            except (ValueError, json.JSONDecodeError):
                value = None
    return key or "/".join(nested), value


def _run(data, at, end, found):
    for field, kind, begin, stop in wire.fields(data, at, end):
        if kind != wire.BYTES:
            continue
        if field == 4:
            found.config |= _items(data, begin, stop)
        elif field == 17:  # google.protobuf.Timestamp
            seconds = next(
                (varint(data, a, b)[0] for n, _, a, b in wire.fields(data, begin, stop) if n == 1), 0
            )
            found.started = float(signed(seconds)) or None
