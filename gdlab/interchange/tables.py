"""Exports of any program: CSV, JSON lines and Parquet with a column of steps, one row a step.

    _step,_timestamp,loss,val/accuracy        a history of Weights & Biases
    run_name,step,loss                         several runs in one file, told apart by a column

An empty cell is a metric that was not written at this step; texts are left out. Where a file holds several
runs, a column that is constant in each of them is a hyper-parameter, unless it is called a loss or an
accuracy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from gdlab.interchange.choosing import is_measure
from gdlab.interchange.documents import plain
from gdlab.interchange.files import fingerprint_once
from gdlab.interchange.readers import READERS, suffix_of
from gdlab.interchange.shapes import shaped
from gdlab.interchange.source import MOST_METRICS, MOST_POINTS, Collector, Found, Source, Unreadable, number
from gdlab.interchange.trackio_database import config_of, time_of
from gdlab.messages import closest

STEPS = (
    "step",
    "_step",
    "global_step",
    "trainer/global_step",
    "iteration",
    "iter",
    "iterations",
    "steps",
    "epoch",
)
TIMES = ("_timestamp", "timestamp", "wall_time", "wall time", "time", "date", "datetime", "created_at")
RUNS = ("run", "run_name", "run_id", "run name", "run_uuid", "name")
_OWN = ("_runtime", "_wandb")  # beginnings of what the exporter itself keeps
_KEYS = ("id", "log_id", "space_id", "run_id", "run_name", "unnamed: 0", "")  # that tell rows apart
_CONFIGS = "_configs"  # behind the name of trackio's export, and its hyper-parameters
_BESIDE = (_CONFIGS, "_system", "_traces", "_alerts")
_MOST_RUNS = 10_000
_MOST_NUMBER = 200  # characters of a number or a time, spaces around it included
_MOST_CONFIGS = 1 << 24  # characters of the hyper-parameters of all runs of a table
_MOST_SETTINGS = 200
_MOST_SORTED = 1 << 20  # rows


def sources(
    root: Path, files: Mapping[Path, int], metrics: Sequence[str], step, run, beside=()
) -> list[Source]:
    """The runs in these files; step, run: names of their columns, None to tell them by their usual names.

    beside: all tables that lie there; what trackio writes beside its export is a part of it.
    """
    found = []
    for path, size in sorted(files.items()):
        ends = [end for end in _BESIDE if path.stem.endswith(end)]
        if any(path.with_name(path.stem.removesuffix(end) + path.suffix) in beside for end in ends):
            continue
        own = path.relative_to(root).with_suffix("").as_posix()
        table = _Table(path, metrics, step, run)
        runs = table.runs()
        for value in runs:
            name = own if value is None else f"{own}/{value or 'unnamed'}"
            kind = suffix_of(path).removeprefix(".")
            found.append(
                Source(name, kind, path, partial(table.read, value), table.fingerprint, size // len(runs))
            )
    return found


class _Table:
    """A file of one run or of several, read once for all of them."""

    def __init__(self, path: Path, metrics: Sequence[str], step: str | None, run: str | None):
        self.path, self._metrics = path, metrics
        self._reader = shaped(READERS[suffix_of(path)], path, STEPS if step is None else (step.lower(),))
        names = self._reader.columns(path)
        self._step = _column(names, step, STEPS, "step", path)
        if self._step is None:
            raise Unreadable(
                f"{path.name}: no column of steps ({', '.join(STEPS[:4])}, ...): import.step=NAME names it"
            )
        self._by = None if run == "none" else _column(names, run, RUNS, "run", path)
        self._time = _column(names, None, TIMES, "time", path)
        self._parts: dict[str | None, _Part] | None = None
        self._beside: tuple[dict[str | None, dict[str, Any]], list[str]] | None = None

    def runs(self) -> list[str | None]:
        """What tells the runs apart, [None] where there is one."""
        if self._by is None:
            return [None]
        found: dict[str | None, None] = {}
        for row in self._reader.rows(self.path):
            found.setdefault(_key(row.get(self._by)), None)
            if len(found) > _MOST_RUNS:
                raise Unreadable(
                    f"{self.path.name}: column {self._by!r} tells more than {_MOST_RUNS:,} runs apart"
                )
        return list(found) or [None]

    def fingerprint(self) -> str:
        """Of the file."""
        return fingerprint_once(self.path)

    def read(self, run: str | None) -> Found:
        """What a run has."""
        if self._parts is None or run not in self._parts:
            self._parts = self._all()
        part = self._parts.pop(run, None)
        if part is None or not part.rows:
            raise Unreadable("it has no row with a step")
        found = Found({}, part.numbers.series(), fingerprint_once(self.path), notes=part.numbers.notes())
        if self._by is not None:
            _set_apart(found, part.settings, part.rows)
        if self._beside is None:
            self._beside = _configs(self.path)
        configs, said = self._beside
        found.config |= configs.get(run, {})
        found.notes += said
        return found

    def _all(self):
        parts: dict[str | None, _Part] = {}
        left = MOST_POINTS
        for count, row in enumerate(self._ordered(), 1):
            run = None if self._by is None else _key(row.get(self._by))
            if run not in parts:
                parts[run] = _Part(Collector(self._metrics), {})
            left -= self._take(row, parts[run], count)
            if left < 0:
                raise Unreadable(f"more than {MOST_POINTS:,} numbers: import.metrics=NAME chooses some")
        return parts

    def _take(self, row, part, count):
        """Takes the cells of a row in; how many there are."""
        step = _step(row.get(self._step), self._step, count)
        if step is None:
            return 0
        part.rows += 1
        when = _seconds(row.get(self._time)) if self._time else float("nan")
        for name, value in row.items():
            if value is None or value == "" or name in (self._step, self._time, self._by):
                continue
            if name.startswith(_OWN) or name.lower() in _KEYS:
                continue
            if (one := number_in(value)) is not None:
                part.numbers.add(name, step, one, when)
            kept = name in part.settings or len(part.settings) < _MOST_SETTINGS
            if self._by is not None and kept and part.settings.setdefault(name, value) != value:
                part.settings[name] = None
        return len(row)

    def _ordered(self):
        """The rows, from the first step on where they were exported from the last one on."""
        rows = self._reader.rows(self.path)
        first = list(islice(rows, 2))
        steps = [one for row in first if (one := number_in(row.get(self._step))) is not None]
        if len(steps) == 2 and steps[1] < steps[0] and self._by is None:
            every = [*first, *islice(rows, _MOST_SORTED)]
            if next(rows, None) is not None:
                raise Unreadable(f"steps that fall, in more than {_MOST_SORTED:,} rows: sort them")
            rows, first = iter(sorted(every, key=lambda row: number_in(row.get(self._step)) or 0.0)), []
        yield from first
        yield from rows


@dataclass
class _Part:
    """A run that is being read: what was constant so far in each column, None where it was not."""

    numbers: Collector
    settings: dict[str, Any]
    rows: int = 0


def _key(value):
    return "" if value is None else str(value)[:200]


def _column(names, asked, usual, option, path):
    """The name of a column: as asked for, else the first usual one that is there, else None."""
    if asked is not None:
        if asked in names:
            return asked
        hint = closest(asked, names)
        more = f"; there is {hint!r}" if hint else ""
        raise Unreadable(f"{path.name} has no column {asked!r} (import.{option}={asked}){more}")
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in usual if name in lower), None)


def _set_apart(found, settings, rows):
    """What is constant in a run of several is a hyper-parameter, and no metric."""
    for name, value in settings.items():
        one = number_in(value)
        there = name in found.series and len(found.series[name].step) == rows and rows > 1
        chosen = value is not None and (one is None or there) and not is_measure(name)
        if chosen and len(found.config) < MOST_METRICS:
            whole = one is not None and abs(one) < 1e15 and one == int(one)
            found.config[name] = plain(value if one is None else int(one) if whole else one)
            found.series.pop(name, None)


def _configs(path):
    """({run: hyper-parameters} of the file that trackio writes beside its export, notes); {} where there is
    none.
    """
    beside = path.with_name(f"{path.stem}{_CONFIGS}{path.suffix}")
    if not beside.is_file() or beside.is_symlink():
        return {}, []
    found, left = {}, _MOST_CONFIGS
    for row in islice(READERS[suffix_of(beside)].rows(beside), _MOST_RUNS):
        left -= sum(len(value) for value in row.values() if isinstance(value, str))
        if left < 0:
            return found, [f"hyper-parameters beyond {_MOST_CONFIGS:,} characters of all runs left out"]
        run = next((row[name] for name in RUNS if name in row), None)
        values = row.get("config")
        own = config_of(values) if isinstance(values, str) else {}
        own |= {
            name: plain(value)
            for name, value in row.items()
            if not name.startswith("_") and name.lower() not in (*_KEYS, "config", "created_at")
        }
        found[_key(run)] = own
    return found, []


def number_in(value: Any) -> float | None:
    """The number in a cell, None for a text and for nothing."""
    if isinstance(value, str):
        text = value.strip() if len(value) <= _MOST_NUMBER else ""  # the same text may be that of every row
        try:
            return float(text) if len(text) < 64 and "_" not in text else None
        except ValueError:
            return {"true": 1.0, "false": 0.0}.get(text.lower())
    return number(value)


def _step(value, column, row):
    found = number_in(value)
    if found is None or found != found:
        return None
    if abs(found) >= 2**63 or found != int(found):
        raise Unreadable(
            f"row {row}: {column}={value!r:.40} is no whole number: import.step=NAME names another column"
        )
    return int(found)


def _seconds(value):
    """Seconds since 1970 of a time as a number, as a number of milliseconds, or as text."""
    found = number_in(value)
    if found is None:
        is_short = isinstance(value, str) and len(value) <= _MOST_NUMBER
        return time_of(value) if is_short else float("nan")
    return found / 1000 if found > 1e11 else found
