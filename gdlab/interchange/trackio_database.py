"""trackio's SQLite files, one a project: a row of `metrics` is a step of a run with its numbers as JSON.

Source: trackio's `sqlite_storage.py`. Older files have no `run_id`; runs are then told apart by their names.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from gdlab.interchange.databases import MOST_NAME, bounded, columns, connected, fingerprint, lying
from gdlab.interchange.documents import loads
from gdlab.interchange.source import Collector, Found, Source, Unreadable, flat_numbers

NAME = "trackio"
_NEEDED = ("run_name", "step", "metrics", "timestamp")
_MOST_RUNS = 100_000


def is_one(connection) -> bool:
    """Whether a database is trackio's."""
    return set(_NEEDED) <= set(columns(connection, "metrics"))


def sources(root: Path, path: Path, size: int, metrics: Sequence[str]) -> list[Source]:
    """The runs in a database; metrics: patterns of those wanted."""
    with connected(path) as connection:
        key = "run_id" if "run_id" in columns(connection, "metrics") else "run_name"
        rows = connection.execute(
            f"SELECT {bounded(key)}, SUBSTR(MAX(run_name), 1, {MOST_NAME}) FROM metrics GROUP BY {key} "
            "ORDER BY MIN(id) LIMIT ?",
            (_MOST_RUNS,),
        ).fetchall()
    names = Counter(str(name) for _, name in rows)
    found = []
    for run, name in rows:
        said = str(name)
        own = f"{said}-{str(run)[:8]}" if names[said] > 1 else said
        read, print_of = partial(_read, path, key, run, metrics), partial(fingerprint, path)
        found.append(Source(f"{path.stem}/{own}", NAME, path, read, print_of, size // max(len(rows), 1)))
    return found


def time_of(value: str) -> float:
    """Seconds since 1970 of a time as text, NaN where it is none."""
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return float("nan")


def _read(path, key, run, metrics):
    numbers, found = Collector(metrics), Found({}, {}, fingerprint=fingerprint(path))
    with connected(path) as connection:
        if {key, "config"} <= set(columns(connection, "configs")):
            row = connection.execute(f"SELECT config FROM configs WHERE {key} = ?", (run,)).fetchone()
            found.config = config_of(row[0]) if row else {}
        values = connection.execute(
            f"SELECT step, metrics, timestamp FROM metrics WHERE {key} = ? ORDER BY id", (run,)
        )
        left = lying(path)
        for step, document, time in values:
            left -= len(document) if isinstance(document, (str, bytes)) else 0
            if left < 0:
                raise Unreadable("has rows that share their bytes: no program writes it so")
            if not isinstance(step, int):
                raise Unreadable(f"a step that is none: {step!r:.40}")
            try:
                items = loads(document)
            except (ValueError, AttributeError, TypeError) as error:
                raise Unreadable(f"step {step}: numbers that are no JSON: {str(error)[:80]}") from None
            when = time_of(time)
            for name, value in flat_numbers(items) if isinstance(items, dict) else ():
                numbers.add(name, step, value, when)
    found.series, found.notes = numbers.series(), numbers.notes()
    return found


def config_of(document: str) -> dict:
    """The configuration in a row, trackio's own entries left out."""
    try:
        found = loads(document)
    except (ValueError, AttributeError, TypeError):
        return {}
    return {k: v for k, v in found.items() if not k.startswith("_")} if isinstance(found, dict) else {}
