"""MLflow's SQLite store: runs, metrics, parameters and tags as tables. Source: its
`store/tracking/dbmodels`.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gdlab.interchange.databases import columns, fingerprint, opened
from gdlab.interchange.mlflow_files import NAME, state_of, value_of
from gdlab.interchange.source import Collector, Found, Source, Unreadable

_NEEDED = {
    "runs": ("run_uuid", "name", "status", "start_time", "experiment_id"),
    "metrics": ("key", "value", "timestamp", "run_uuid", "step", "is_nan"),
    "params": ("key", "value", "run_uuid"),
}
_MOST_RUNS = 100_000


def is_one(connection) -> bool:
    """Whether a database is MLflow's."""
    return all(set(needed) <= set(columns(connection, name)) for name, needed in _NEEDED.items())


def sources(root: Path, path: Path, size: int, metrics: Sequence[str]) -> list[Source]:
    """The runs in a database; metrics: patterns of those wanted."""
    with opened(path) as connection:
        rows = connection.execute(
            "SELECT run_uuid, name, experiment_id FROM runs ORDER BY start_time LIMIT ?", (_MOST_RUNS,)
        ).fetchall()
        called = {"experiment_id", "name"} <= set(columns(connection, "experiments"))
        pairs = connection.execute("SELECT experiment_id, name FROM experiments") if called else ()
        experiments = {key: str(name)[:200].replace("/", "_") for key, name in pairs}
    names = Counter(str(name or uuid) for uuid, name, _ in rows)
    found = []
    for uuid, name, experiment in rows:
        said = str(name or uuid)
        own = f"{said}-{str(uuid)[:8]}" if names[said] > 1 else said
        read = partial(_read, path, str(uuid), metrics)
        print_of = partial(fingerprint, path)
        where = experiments.get(experiment, experiment)
        found.append(Source(f"{where}/{own}", NAME, path, read, print_of, size // max(len(rows), 1)))
    return found


def _read(path, uuid, metrics):
    numbers, found = Collector(metrics), Found({}, {}, fingerprint=fingerprint(path))
    with opened(path) as connection:
        row = connection.execute("SELECT status, start_time FROM runs WHERE run_uuid = ?", (uuid,)).fetchone()
        if row is None:
            raise Unreadable(f"has no run {uuid} any more")
        found.state, found.reason = state_of(str(row[0]))
        found.started = row[1] / 1000 if isinstance(row[1], (int, float)) else None
        for key, value in connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (uuid,)):
            found.config[str(key)] = value_of(str(value))
        values = connection.execute(
            "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? "
            "ORDER BY key, timestamp, step",
            (uuid,),
        )
        for key, value, time, step, is_nan in values:
            if not (isinstance(step, int) and isinstance(value, (int, float)) and isinstance(key, str)):
                raise Unreadable(
                    f"run {uuid}: a metric with the step {step!r:.40} and the value {value!r:.40}"
                )
            when = time / 1000 if isinstance(time, (int, float)) else float("nan")
            numbers.add(key, step, float("nan") if is_nan else _unpacked(value), when)
    found.series, found.notes = numbers.series(), numbers.notes()
    return found


def _unpacked(value):
    """MLflow keeps infinities as the largest numbers there are."""
    if abs(value) >= 1.7976931348623157e308:
        return float("inf") if value > 0 else float("-inf")
    return float(value)
