"""A run of the listing in words: its state, what is wrong with it, and the text that a filter looks into."""

from collections.abc import Mapping

from server.core import hyper


def state(summary) -> str:
    """summary: of the listing, a dict; or the error of a run that cannot be read, which is "damaged"."""
    return (summary.get("state") if isinstance(summary, dict) else None) or "damaged"


def note(summary) -> str:
    """Why it ended, that nothing checks it, or why it cannot be read; "" where there is nothing to say."""
    if not isinstance(summary, dict):
        return str(summary)
    unverified = "" if summary.get("verified", True) else "not verified: recorded without checksums"
    return "; ".join(filter(None, (summary.get("reason"), unverified)))


def searched(name: str, summary, described: Mapping[str, object]) -> str:
    """What a filter looks into: name, state, note and hyper-parameters ("sigma=0.05").

    described: as of `hyper.described`.
    """
    options = (f"{key.rpartition('.')[2]}={hyper.value(leaf)}" for key, leaf in described.items())
    return " ".join([name, state(summary), note(summary), *options])
