"""What lies below a path, and in which format: event files, W&B, MLflow, trackio, or tables.

A folder is searched by the names of its files. Where it holds records of one program, tables beside these are
left alone; where it holds those of several, the format has to be said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gdlab.interchange import (
    mlflow_database,
    mlflow_files,
    tables,
    tensorboard,
    trackio_database,
    wandb_files,
)
from gdlab.interchange.databases import SUFFIXES, connected
from gdlab.interchange.files import walk
from gdlab.interchange.readers import suffix_of
from gdlab.interchange.source import STRANGE, Source, Unreadable, why
from gdlab.messages import closest, counted

TABLES = ("csv", "jsonl", "parquet")
FORMATS = (tensorboard.NAME, wandb_files.NAME, mlflow_files.NAME, trackio_database.NAME, *TABLES)


@dataclass
class Searched:
    """sources: the runs found; skipped: [(place, why)]; left: in words, what lies there and was not asked
    for.
    """

    sources: list[Source] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@dataclass
class _Lying:
    """What lies below a path, by what it may be."""

    events: dict[Path, dict[str, int]] = field(default_factory=dict)
    wandb: dict[Path, dict[str, int]] = field(default_factory=dict)
    mlflow: list[Path] = field(default_factory=list)
    databases: dict[Path, int] = field(default_factory=dict)
    tables: dict[Path, int] = field(default_factory=dict)
    links: int = 0


def search(root: Path, format: str | None, metrics: Sequence[str] = (), step=None, run=None) -> Searched:
    """The runs below `root`, a file or a folder.

    Args:
      format: one of FORMATS, None: as what is there.
      metrics, step, run: as of `gdlab.interchange.import_runs`.

    Raises:
      Unreadable: there is nothing, or records of several programs; the message says what would be right.
    """
    if format is not None and format not in FORMATS:
        hint = closest(format, FORMATS)
        raise Unreadable(
            f"format={format}: allowed: {', '.join(FORMATS)}." + (f" Did you mean {hint!r}?" if hint else "")
        )
    found = Searched()
    lying = _lying(root, found.skipped)
    root = root if root.is_dir() else root.parent
    kinds = _kinds(root, lying, found, metrics)
    there = [name for name, members in kinds.items() if members]
    by_table = {
        kind: {p: n for p, n in lying.tables.items() if suffix_of(p) == f".{kind}"} for kind in TABLES
    }
    if format is None and len(there) > 1:
        raise Unreadable(f"{root} holds records of {' and '.join(there)}: format=NAME says which are meant")
    if format in TABLES or (format is None and not there):
        chosen = lying.tables if format is None else by_table[format]
        _of_tables(root, chosen, found, metrics, step, run)
    else:
        found.sources = kinds[format or there[0]]
        if lying.tables and format is None:
            found.left.append(
                f"{counted(len(lying.tables), 'table')} left alone (format=csv, jsonl or parquet)"
            )
    if lying.links:
        found.left.append(
            f"{counted(lying.links, 'entry', 'entries')} left out: links, pipes and devices are not read"
        )
    if not found.sources and not found.skipped:
        raise Unreadable(_nothing(root, format))
    return found


def _nothing(root, format):
    what = f"{format} " if format else ""
    return (
        f"{root}: no {what}record is there; read are event files (*tfevents*), *.wandb, mlruns, *.db, *.csv, "
        "*.jsonl, *.parquet"
    )


def _kinds(root, lying, found, metrics) -> dict[str, list[Source]]:
    """{format: runs} of the records of other programs."""
    kinds: dict[str, list[Source]] = {
        tensorboard.NAME: tensorboard.sources(root, lying.events, metrics),
        wandb_files.NAME: wandb_files.sources(root, lying.wandb, metrics),
        mlflow_files.NAME: mlflow_files.sources(root, lying.mlflow, metrics),
        trackio_database.NAME: [],
    }
    for path, size in sorted(lying.databases.items()):
        try:
            with connected(path) as connection:
                module: Any = mlflow_database if mlflow_database.is_one(connection) else None
                module = (
                    trackio_database if module is None and trackio_database.is_one(connection) else module
                )
            if module is None:
                raise Unreadable("is a database of another program")
            kinds[module.NAME] += module.sources(root, path, size, metrics)
        except (*STRANGE, OSError) as error:
            found.skipped.append((str(path), why(error)))
    return kinds


def _of_tables(root, files, found, metrics, step, run):
    for path, size in sorted(files.items()):
        try:
            found.sources += tables.sources(root, {path: size}, metrics, step, run, beside=files)
        except (*STRANGE, OSError) as error:
            found.skipped.append((str(path), why(error)))


def _lying(root, refused) -> _Lying:
    lying = _Lying()
    if not root.is_dir():
        if not root.exists():
            raise Unreadable(f"{root} does not exist")
        _sort(lying, root.parent, {root.name: root.lstat().st_size})
        return lying
    artifacts = set()
    for entry in walk(root, refused):
        lying.links += entry.links
        if mlflow_files.is_run(entry):
            lying.mlflow.append(entry.path)
            artifacts.add(entry.path)
        elif not any(parent in artifacts for parent in entry.path.parents):
            _sort(lying, entry.path, entry.files)
    return lying


def _sort(lying, folder, files):
    for name, size in files.items():
        path = folder / name
        if tensorboard.is_event_file(name):
            lying.events.setdefault(folder, {})[name] = size
        elif name.endswith(wandb_files.SUFFIX):
            lying.wandb.setdefault(folder, {})[name] = size
        elif path.suffix.lower() in SUFFIXES:
            lying.databases[path] = size
        elif suffix_of(path):
            lying.tables[path] = size
