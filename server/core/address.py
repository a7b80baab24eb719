"""What a page shows is written in its address: reload and share reproduce it.

The address is a stranger's input. Keys and values are checked when they are read (length, UTF-8,
no control characters), and `get` returns a value only when it has the default's type and lies
within what the caller allows; anything else falls back to the default. Writing is left to a
function that is handed in, so that nothing here knows of a browser.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, urlencode

MAX_KEYS = 64
MAX_VALUES = 256
MAX_LENGTH = 2000
MOST_ADDRESS = 8000  # characters; it comes back in the header that opens the websocket

_KEY = re.compile(r"[a-z][a-z0-9_]{0,31}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UrlState:
    """Validated key-value pairs of a page's address.

    arguments: as `session_context.request.arguments` gives them, {key: [bytes, ...]}.
    write: called with the new query string ("?page=descent&run=a") after every change.
    """

    def __init__(self, arguments: Mapping[str, Iterable[bytes]], write: Callable[[str], None] | None = None):
        self._write = write or (lambda query: None)
        self._values: dict[str, tuple[str, ...]] = {}
        for key, raw in list(arguments.items())[:MAX_KEYS]:
            values = tuple(text for text in map(_text, list(raw)[:MAX_VALUES]) if text is not None)
            if values and _KEY.fullmatch(key):
                self._values[key] = values

    def get(self, key: str, default=None, *, choices=None, low=-math.inf, high=math.inf):
        """The value of `key`, of the default's type (str where it is None), else the default.

        choices: the values allowed; low, high: the closed range of a number, which must be finite.
        """
        if key not in self._values:
            return default
        value = _convert(self._values[key][-1], default)
        if value is None or (choices is not None and value not in choices):
            return default
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not low <= value <= high:
            return default
        return value

    def get_all(self, key: str) -> tuple[str, ...]:
        """Every value of a key that may be repeated, in order, without repetitions."""
        return tuple(dict.fromkeys(self._values.get(key, ())))

    def set(self, key: str, value) -> None:
        """Sets a value, or several (list or tuple of str); None removes the key."""
        self.update({key: value})

    def update(self, values: Mapping[str, object]) -> None:
        """Sets several keys and writes the address once; unchanged values write nothing."""
        before = dict(self._values)
        for key, value in values.items():
            if not _KEY.fullmatch(key):
                raise ValueError(f"URL key {key!r} must be lower case letters, digits and '_', at most 32")
            texts = _texts(value)
            if texts:
                self._values[key] = texts
            else:
                self._values.pop(key, None)
        if self._values != before:
            self._write(self.query())

    def keep(self, keys: Iterable[str]) -> None:
        """Drops every key but these: the address of another page begins."""
        wanted = set(keys)
        self.update({key: None for key in list(self._values) if key not in wanted})

    def query(self) -> str:
        """The query string, "" or beginning with "?"."""
        pairs = [(key, value) for key, values in self._values.items() for value in values]
        return "?" + urlencode(pairs, quote_via=quote, safe="/:,") if pairs else ""


def _text(raw: bytes) -> str | None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if len(text) > MAX_LENGTH or _CONTROL.search(text) else text


def _texts(value) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, bool):
        return ("1" if value else "0",)
    if isinstance(value, float):
        return (repr(float(value)),)
    if isinstance(value, (list, tuple)):
        return tuple(str(item) for item in value)
    return (str(value),)


def _convert(text: str, default):
    """`text` as the default's type; None where it is not one."""
    if default is None or isinstance(default, str):
        return text
    if isinstance(default, bool):
        return {"1": True, "0": False}.get(text)
    try:
        number = type(default)(text)
        return number if math.isfinite(number) else None
    except (ValueError, OverflowError):
        return None
