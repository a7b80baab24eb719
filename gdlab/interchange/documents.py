"""JSON and YAML of strangers: bounded in size and depth, numbers that no float holds as infinities."""

import json
from typing import Any

MOST_DEPTH = 40


def loads(data: bytes | str) -> Any:
    """The value of a JSON text, NaN and Infinity allowed. ValueError for anything else."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    if _depth(text) > MOST_DEPTH:
        raise ValueError(f"nested deeper than {MOST_DEPTH}")
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _integer(digits):
    return int(digits) if len(digits) < 400 else float(digits)


def _depth(text):
    """An upper bound of how deep the brackets are nested."""
    if text.count("[") + text.count("{") <= MOST_DEPTH:
        return 0
    deepest = depth = 0
    quoted = escaped = False
    for letter in text:
        if quoted:
            if escaped:
                escaped = False
            elif letter == "\\":
                escaped = True
            elif letter == '"':
                quoted = False
        elif letter == '"':
            quoted = True
        elif letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth -= 1
    return deepest


def plain(value: Any, depth: int = 12) -> Any:
    """A value as a configuration holds it: dict, list, text, number, bool, None; anything else as its text,
    and what lies deeper as "..."."""
    if value is None or isinstance(value, (bool, str)):
        return value if not isinstance(value, str) else _text(value)
    if isinstance(value, (int, float)):
        return value if not isinstance(value, int) or abs(value).bit_length() < 1024 else float("inf")
    if depth == 0:
        return "..."
    if isinstance(value, dict):
        return {_text(str(key)): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth - 1) for item in value[:1000]]
    return _text(str(value))


def _text(value):
    return value[:10_000].encode("utf-8", "replace").decode()
