"""Which runs an ensemble consists of: those of a folder, those that match a regular expression, or a list.

The address holds the rule and not the names, so that it stays short with a thousand runs and takes in runs
that come later; only runs that were ticked one by one are named.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from server.core import hyper, patterns, run_text

FOLDER, MATCH, RUNS = "ens_folder", "ens_match", "ens_run"
ALL = "."  # the folder that holds everything
MOST_NAMES = 50


class Source(NamedTuple):
    """kind: FOLDER, MATCH or RUNS; value: a folder ("." for all), a pattern, or a tuple of names."""

    kind: str
    value: str | tuple[str, ...]

    @property
    def words(self) -> str:
        """The rule in words."""
        if self.kind == FOLDER:
            return "all runs" if self.value == ALL else f"the runs in {self.value}"
        if self.kind == MATCH:
            return f"the runs that match {self.value}"
        return "the chosen runs"

    def keys(self) -> dict[str, object]:
        """The address's keys that say so."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {FOLDER: None, MATCH: None, RUNS: None} | {self.kind: value}


def read(state, listing) -> Source:
    """What the address asks for; else the runs ticked in the list, else the largest folder of runs."""
    names = state.get_all(RUNS)[:MOST_NAMES]
    if names:
        return Source(RUNS, names)
    for kind in (MATCH, FOLDER):
        if text := state.get(kind, ""):
            return Source(kind, text)
    ticked = state.get_all("run")[:MOST_NAMES]
    if len(ticked) > 1:
        return Source(RUNS, ticked)
    found = {folder: count for folder, count in folders(listing).items() if folder != ALL}
    return Source(FOLDER, max(found, key=lambda folder: found[folder]) if found else ALL)


def folders(listing) -> dict[str, int]:
    """{folder: runs anywhere below it} of the folders with at least two, and "." for all of them."""
    counts: Counter[str] = Counter()
    for name, _ in listing.runs:
        parts = name.split("/")[:-1]
        counts.update("/".join(parts[: i + 1]) for i in range(len(parts)))
    several = {folder: count for folder, count in sorted(counts.items()) if count > 1}
    return several | {ALL: len(listing.runs)}


def members(source: Source, listing) -> tuple[dict[str, Mapping], dict[str, str]]:
    """({name: summary} of the runs, {name: why it cannot be read}). ValueError: a pattern that is none."""
    listed, missing = dict(listing.runs), {}
    if source.kind == RUNS:
        names = [name for name in source.value if name in listed]
        missing = dict.fromkeys((n for n in source.value if n not in listed), "There is no such run here.")
    elif source.kind == FOLDER:
        names = [name for name in listed if source.value == ALL or name.startswith(f"{source.value}/")]
    else:
        names = _matching(str(source.value), listed)
    good = {name: listed[name] for name in names if isinstance(listed[name], dict)}
    return good, missing | {name: str(listed[name]) for name in names if name not in good}


def _matching(pattern: str, listed: Mapping) -> list[str]:
    """The runs that the list's filter would show: it looks into name, state, note and hyper-parameters."""
    names = list(listed)
    texts = [_text(name, listed[name]) for name in names]
    return [name for name, found in zip(names, patterns.matching(pattern, texts), strict=True) if found]


def _text(name: str, summary) -> str:
    recorded = summary.get("hyperparameters", {}) if isinstance(summary, dict) else {}
    return run_text.searched(name, summary, hyper.described(recorded))
