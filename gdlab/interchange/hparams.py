"""Hyper-parameters as TensorBoard's plug-in keeps them. Source: `plugins/hparams/plugin_data.proto`."""

from typing import Any

from gdlab.interchange import wire
from gdlab.interchange.wire import text, varint

_SUCCESS, _FAILURE = 1, 2
_DEPTH = 8


def read(content: bytes) -> tuple[dict[str, Any], float | None, str | None]:
    """(hyper-parameters, when the session began, "finished", "failed" or None) in the plug-in's contents."""
    config: dict[str, Any] = {}
    started = state = None
    for field, kind, begin, stop in wire.fields(content, 0, len(content)):
        if kind != wire.BYTES:
            continue
        if field == 3:
            config, started = _start(content, begin, stop)
        elif field == 4:
            status = next(
                (
                    varint(content, at, end)[0]
                    for part, of, at, end in wire.fields(content, begin, stop)
                    if part == 1 and of == wire.VARINT
                ),
                0,
            )
            state = {_SUCCESS: "finished", _FAILURE: "failed"}.get(status)
    return config, started, state


def _start(data, at, end):
    config, started = {}, None
    for field, kind, begin, stop in wire.fields(data, at, end):
        if field == 1 and kind == wire.BYTES:
            name, value = _entry(data, begin, stop)
            config[name] = value
        elif field == 5 and kind == wire.DOUBLE:
            started = wire.DOUBLE_OF(data, begin)[0]
    return config, started


def _entry(data, at, end, depth=_DEPTH):
    name, value = "", None
    for field, kind, begin, stop in wire.fields(data, at, end):
        if field == 1 and kind == wire.BYTES:
            name = text(data, begin, stop)
        elif field == 2 and kind == wire.BYTES:
            value = _value(data, begin, stop, depth)
    return name, value


def _value(data, at, end, depth):
    """A google.protobuf.Value as Python has it; None beyond the depth."""
    value: Any = None
    for field, kind, begin, stop in wire.fields(data, at, end):
        if field == 2 and kind == wire.DOUBLE:
            value = wire.DOUBLE_OF(data, begin)[0]
        elif field == 3 and kind == wire.BYTES:
            value = text(data, begin, stop)
        elif field == 4 and kind == wire.VARINT:
            value = bool(varint(data, begin, stop)[0])
        elif field in (5, 6) and kind == wire.BYTES and depth:
            parts = [
                (first, last)
                for part, of, first, last in wire.fields(data, begin, stop)
                if part == 1 and of == wire.BYTES
            ]
            if field == 5:
                value = dict(_entry(data, first, last, depth - 1) for first, last in parts)
            else:
                value = [_value(data, first, last, depth - 1) for first, last in parts]
    return value
