"""What the browser's own script and the session tell each other, as properties of one model.

The script (`static/shell.js`) writes `event`, a JSON object {"n", "type", "value"}; the session
writes the rest. Everything that arrives is checked here: an event of another type, or with a value
of another shape, is dropped.
"""

import json
import logging
import re

from bokeh.core.properties import String
from bokeh.model import DataModel

log = logging.getLogger(__name__)

MAX_EVENT = 100_000  # characters
MAX_NAMES = 200
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_FIELD = re.compile(r"[\w. /-]{1,200}")


class Bridge(DataModel):
    """event: from the browser. address: query string; page: the tab; status: JSON {"kind", "text"};
    theme: "light" or "dark"; notice: a message to show; file: JSON {"name", "text"} or
    {"name", "base64"} to save."""

    event = String("")
    address = String("")
    page = String("")
    status = String("")
    theme = String("light")
    notice = String("")
    file = String("")


def read_event(text: str) -> tuple[str, object] | None:
    """(type, value) of a well-formed event, else None."""
    if len(text) > MAX_EVENT:
        return None
    try:
        event = json.loads(text)
        kind, value = event["type"], event.get("value")
        good = _CHECKS[kind](value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        good = False
    if not good:
        log.info("an event from the browser was not understood")
        return None
    return kind, value


def _names(value) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_NAMES
        and all(isinstance(name, str) and 0 < len(name) <= 1000 for name in value)
    )


_CHECKS = {
    "page": lambda value: isinstance(value, str) and len(value) <= 32,
    "open": lambda value: _names(value) and len(value) > 0,
    "theme": lambda value: value in ("light", "dark"),
    "greet": lambda value: value in ("light", "dark"),
    "pause": lambda value: isinstance(value, bool),
    "step": lambda value: value in (-1, 1) and not isinstance(value, bool),
    "log": lambda value: value is None,
    "back": lambda value: value is None,
    "sort": lambda value: (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and bool(_FIELD.fullmatch(value[0]))
        and isinstance(value[1], bool)
    ),
}
