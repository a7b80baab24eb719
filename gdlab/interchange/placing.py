"""A run that was read, written as a run folder: whole or not at all, and no second time.

A new run is written beside its place under a hidden name and renamed when it is whole. Where the place holds
the run of the same source, only what has been added to the source since is added; where the source has become
another, the run is made anew.
"""

import glob
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from gdlab import __version__
from gdlab.interchange.rows import Arrays
from gdlab.interchange.source import Source
from gdlab.store import RunWriter, StoreError, open_run
from gdlab.store.effects import CONFIG, IMPORTED, RECORDER
from gdlab.store.folder import read_identity
from gdlab.store.reader import Run

MOST_NOTE, MOST_NOTES = 300, 12
_PARTS = 3  # of a source's path that are kept: enough to know it, and not where somebody's files lie


def origin(source: Source, root: Path, fingerprint: str, options: dict[str, Any]) -> dict[str, Any]:
    """What the identity of a run says of where its numbers come from."""
    place = source.place.resolve()
    return {
        "format": source.format,
        "source": "/".join(place.parts[-_PARTS:]),
        "name": source.name,
        "fingerprint": fingerprint,
        "options": options,
    }


def recorded_origin(folder: Path) -> dict[str, Any] | None:
    """The origin of the run in a folder as it was last imported; None where it holds none that was.

    Raises StoreError for a run that is damaged.
    """
    if not folder.is_dir() or not (folder / "run.json").exists():
        return None
    document = read_identity(os.fspath(folder))
    latest = [document["identity"], *document["sessions"]][-1]
    found = latest.get(IMPORTED)
    return found if isinstance(found, dict) else None


def is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two origins are the same source, of whatever contents."""
    return all(one.get(key) == other.get(key) for key in ("format", "source", "name"))


def is_whole(folder: Path, fingerprint: str) -> bool:
    """Whether an import of a source with this fingerprint into the folder came to its end: the last commit
    says so."""
    try:
        return open_run(folder).summary()["status"].get(IMPORTED) == fingerprint
    except StoreError:
        return False


def create(folder: Path, config: dict, state: str, reason: str | None, made: Arrays, facts: dict) -> None:
    """Write a run into a new folder."""
    beside = folder.parent / f".{folder.name[:80]}.{os.getpid()}.part"
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    shutil.rmtree(beside, ignore_errors=True)
    try:
        config = {RECORDER: 1, CONFIG: config}
        writer = RunWriter.create(beside, config=config, identity=_identity(facts), arrays=made.specs)
        _fill(writer, made, made.rows, state, reason, facts)
        os.rename(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def renew(folder: Path, config: dict, state: str, reason: str | None, made: Arrays, facts: dict) -> str:
    """Bring the run in a folder up to what was read now; "already there", "extended" or "made anew"."""
    added = _added(folder, config, made)
    if added is None:
        old = folder.parent / f".{folder.name[:80]}.{os.getpid()}.old"
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
        try:
            create(folder, config, state, reason, made, facts)
        except BaseException:
            os.rename(old, folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
        return "made anew"
    run, before = open_run(folder), recorded_origin(folder) or {}
    alike = not any(map(len, added.values())) and (run.state, run.reason) == (state, reason)
    if alike and is_whole(folder, before.get("fingerprint", "")):  # others in its file have changed
        return "already there"
    config = {RECORDER: 1, CONFIG: config}
    writer = RunWriter.resume(folder, config=config, identity=_identity(facts))
    there = writer.cursors()
    for name, spec in made.specs.items():
        if name not in there:
            writer.add_array(name, spec)
    _fill(writer, made, added, state, reason, facts)
    return "extended"


def _clear(folder):
    """Remove what imports of this run that were killed have left beside its place."""
    for path in folder.parent.glob(f".{glob.escape(folder.name[:80])}.*"):
        *_, pid, kind = path.name.split(".")
        if kind in ("part", "old") and pid.isdecimal() and not _lives(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _fill(writer, made, rows, state, reason, facts):
    with writer:
        if made.started is not None or made.seconds:
            writer.dated(time.time() if made.started is None else made.started, made.seconds)
        writer.append({name: part for name, part in rows.items() if len(part)})
        notes = [note[:MOST_NOTE] for note in made.notes[:MOST_NOTES]]
        if len(made.notes) > MOST_NOTES:
            notes.append(f"{len(made.notes) - MOST_NOTES:,} more notes")
        writer.commit(notes=" · ".join(notes))
        writer.set_status(state, reason)
        writer.commit(**{IMPORTED: facts["fingerprint"]})


def _added(folder, config, made):
    """{array: rows behind those in the folder}; None where these are others than the first ones read now."""
    try:
        run: Run = open_run(folder)
        if run.config.get(CONFIG) != config:
            return None
        there = [name for name in run.arrays if name in made.specs]
        if len(there) != len(run.arrays):
            return None
        added = {}
        for name, rows in made.rows.items():
            old = run.array(name) if name in run.arrays else rows[:0]
            new = np.asarray(rows[: len(old)])
            if new.shape != old.shape or not np.array_equal(new, old, equal_nan=old.dtype.kind == "f"):
                return None
            added[name] = rows[len(old) :]
    except StoreError:
        return None
    return added


def _identity(facts):
    return {"gdlab": __version__, "recorder": True, IMPORTED: facts}
