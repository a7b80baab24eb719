"""MLflow's SQLite store: runs, metrics, parameters and tags as tables. Source: its
`store/tracking/dbmodels`.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gdlab.interchange.databases import bounded, columns, connected, fingerprint
from gdlab.interchange.mlflow_files import NAME, state_of, value_of
from gdlab.interchange.source import MOST_NAME, Collector, Found, Source, Unreadable

_NEEDED = {
    "runs": ("run_uuid", "name", "status", "start_time", "experiment_id"),
    "metrics": ("key", "value", "timestamp", "run_uuid", "step", "is_nan"),
    "params": ("key", "value", "run_uuid"),
}
_MOST_RUNS = 100_000
_MOST_TEXT = 10_000  # characters of a parameter, of which no more are kept
_MOST_TEXTS = 1 << 20  # of all parameters of a run


def is_one(connection) -> bool:
    """Whether a database is MLflow's."""
    return all(set(needed) <= set(columns(connection, name)) for name, needed in _NEEDED.items())


def sources(root: Path, path: Path, size: int, metrics: Sequence[str]) -> list[Source]:
    """The runs in a database; metrics: patterns of those wanted."""
    with connected(path) as connection:
        rows = connection.execute(
            f"SELECT {bounded('run_uuid')}, {bounded('name')}, {bounded('experiment_id')} FROM runs "
            f"ORDER BY {bounded('start_time')} LIMIT ?",
            (_MOST_RUNS,),
        ).fetchall()
        called = {"experiment_id", "name"} <= set(columns(connection, "experiments"))
        pairs = f"SELECT {bounded('experiment_id')}, {bounded('name')} FROM experiments LIMIT {_MOST_RUNS}"
        named = connection.execute(pairs) if called else ()
        experiments = {key: str(name).replace("/", "_") for key, name in named}
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
    with connected(path) as connection:
        asked = f"SELECT {bounded('status')}, {bounded('start_time')} FROM runs WHERE run_uuid = ?"
        row = connection.execute(asked, (uuid,)).fetchone()
        if row is None:
            raise Unreadable(f"has no run {uuid} any more")
        found.state, found.reason = state_of(str(row[0]))
        found.started = row[1] / 1000 if isinstance(row[1], (int, float)) else None
        found.config, said = _params(connection, uuid)
        for key, value, time, step, is_nan in _metrics(connection, uuid):
            if not (isinstance(step, int) and isinstance(value, (int, float)) and isinstance(key, str)):
                raise Unreadable(
                    f"run {uuid}: a metric with the step {step!r:.40} and the value {value!r:.40}"
                )
            when = time / 1000 if isinstance(time, (int, float)) else float("nan")
            numbers.add(key, step, float("nan") if is_nan else _unpacked(value), when)
    found.series, found.notes = numbers.series(), numbers.notes() + said
    return found


def _params(connection, uuid):
    """({name: parameter}, notes) of a run."""
    found, left = {}, _MOST_TEXTS
    asked = (
        f"SELECT {bounded('key', MOST_NAME)}, {bounded('value', _MOST_TEXT)} FROM params WHERE run_uuid = ?"
    )
    for key, value in connection.execute(asked, (uuid,)):
        left -= len(str(key)) + len(str(value))
        if left < 0:
            return found, [f"parameters beyond {_MOST_TEXTS:,} characters left out"]
        found[str(key)] = value_of(str(value))
    return found, []


def _metrics(connection, uuid):
    """Rows of the numbers of a run, from the first one on; a name that is too long stays too long."""
    key = bounded("key", MOST_NAME + 1)
    rest = ", ".join(map(bounded, ("value", "timestamp", "step", "is_nan")))
    asked = f"SELECT {key}, {rest} FROM metrics WHERE run_uuid = ? ORDER BY 1, 3, 4"
    return connection.execute(asked, (uuid,))


def _unpacked(value):
    """MLflow keeps infinities as the largest numbers there are."""
    if abs(value) >= 1.7976931348623157e308:
        return float("inf") if value > 0 else float("-inf")
    return float(value)
