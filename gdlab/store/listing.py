"""All runs under a folder in one pass that reads one small file per run."""

import logging
import os

from gdlab.store import lease, manifest
from gdlab.store.errors import DamagedRun, NotARun, StoreError
from gdlab.store.folder import RUN_FILE, check_chunks, read_manifest
from gdlab.store.reader import open_run
from gdlab.store.summary import summary

log = logging.getLogger(__name__)

_MAX_DEPTH = 16
_TRACES = (manifest.LOG, RUN_FILE, lease.LOCK)


def list_runs(root: str | os.PathLike) -> list[tuple[str, dict | StoreError]]:
    """[(name, summary dict or StoreError)], sorted by name; a run that cannot be read is its error.

    name: path relative to root with "/" between parts, "." replaced by the folder's own name. Sweeps
    may be nested; links to folders and hidden folders are not followed. No array is read: of
    each, only the last chunk file's size is looked at (`open_run` looks at all). NotARun where root does
    not exist.
    """
    root = os.path.abspath(root)
    if not os.path.isdir(root):
        raise NotARun(f"{root} is not a folder of runs")
    found = []
    _visit(root, "", found, 0)
    return sorted(found, key=lambda pair: pair[0])


def _visit(path, name, found, depth):
    entry = _read(path, name or os.path.basename(path))
    if entry is not None:
        found.append(entry)
        return
    try:
        with os.scandir(path) as entries:
            folders = [item for item in entries if item.is_dir(follow_symlinks=False)]
    except OSError as error:
        found.append((name, StoreError(f"{path} cannot be read: {error.strerror}")))
        return
    if depth < _MAX_DEPTH:
        for item in folders:
            if not item.name.startswith("."):
                _visit(item.path, f"{name}/{item.name}" if name else item.name, found, depth + 1)


def _read(path, name):
    """(name, summary or error) where the folder is a run, else None."""
    if not any(os.path.lexists(os.path.join(path, trace)) for trace in _TRACES):
        return None
    try:
        found, _ = read_manifest(path)
        check_chunks(path, found, last_only=True)
        return name, summary(path, name, found)
    except DamagedRun:
        return name, _second_look(path, name)
    except StoreError as error:
        return name, error
    except Exception as error:  # a fault of ours: it must not take the others' rows down with it
        log.exception("listing %s", path)
        return name, StoreError(f"{path} cannot be read: {type(error).__name__}: {str(error)[:200]}")


def _second_look(path, name):
    # A resume may have removed cut rows between the two looks; `open_run` notices that.
    try:
        return open_run(path, name).summary()
    except StoreError as error:
        return error
