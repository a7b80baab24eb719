"""Regular expressions that come from an address or a reader: in time linear in the text, on the server.

Python's `re` and the browser's RegExp try one way after the other, and `(.|.)*!` keeps either busy for
longer than anyone waits; RE2 follows all ways at once. It has no look-around and no back-references.
"""

import time
from collections.abc import Sequence

import re2

from gdlab.messages import counted
from server.core.faults import Refused

MOST_PATTERN = 200  # characters
MOST_TEXT = 10_000  # characters of a text that are looked at
PATIENCE = 1.0  # s for all texts

_OPTIONS = re2.Options()
_OPTIONS.case_sensitive = False
_OPTIONS.log_errors = False


def matching(pattern: str, texts: Sequence[str]) -> list[bool]:
    """Whether the pattern is found anywhere in each text, in whatever case of letters.

    Raises ValueError where it is too long, no regular expression, or takes longer than PATIENCE.
    """
    if len(pattern) > MOST_PATTERN:
        raise Refused(f"A pattern may have {MOST_PATTERN} characters; this one has {len(pattern):,}")
    try:
        expression = re2.compile(_encoded(pattern), _OPTIONS)
    except re2.error as error:
        raise Refused(_reason(error)) from None
    until, found = time.monotonic() + PATIENCE, []
    for text in texts:
        found.append(expression.search(_encoded(text[:MOST_TEXT])) is not None)
        if time.monotonic() > until:
            raise Refused(f"Searching {counted(len(texts), 'run')} for it takes longer than {PATIENCE:g} s")
    return found


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _reason(error: Exception) -> str:
    """RE2's own words, and what to do without what it lacks."""
    words = error.args[0] if error.args else ""
    words = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    if "perl operator" in words or "escape sequence" in words:
        words += ", which is not searched for here: look-around and back-references can take for ever"
    elif "too large" in words or "repetition size" in words:
        words += "; repeat fewer times"
    return f"Not a regular expression ({words})"
