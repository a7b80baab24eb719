"""What a folder holds before anybody reads or writes a run in it.

A run is known by its commit record. Traces of a writer without a commit record are a half-written
run; anything else that is not empty belongs to somebody else and is left alone.
"""

import os

from gdlab.store import config as configs
from gdlab.store import files, lease, manifest
from gdlab.store.chunks import Chunks
from gdlab.store.errors import ConfigMismatch, DamagedRun, HalfWritten, NotARun, RunExists, RunLocked

RUN_FILE = "run.json"
# What a writer leaves before its first commit; Hydra's own log and orbax's folder may lie there too.
_TRACES = (RUN_FILE, lease.LOCK, manifest.LOG, ".hydra")
_HARMLESS = ("checkpoints", "derived")
_FACTS = {
    "state": str,
    "reason": str | None,
    "started": int | float,
    "updated": int | float,
    "seconds": int | float,
    "pyramids": list,
    "summary": dict,
    "status": dict,
    "hyperparameters": dict,
}


def read_manifest(path):
    """(Manifest, os.stat_result) of a run folder; NotARun, HalfWritten, NewerSchema or DamagedRun."""
    log = os.path.join(path, manifest.LOG)
    if os.path.islink(log):
        raise DamagedRun("a link leads out of the run folder", log)
    try:
        found = manifest.read(log)
    except FileNotFoundError:
        raise _explain(path) from None
    _check_facts(found[0], os.path.join(log, manifest.GROUP))
    return found


def check_chunks(path, found, last_only=False):
    """DamagedRun where chunk files of a manifest's committed rows are missing or of the wrong size."""
    chunks = Chunks(os.path.join(path, manifest.LOG), path)
    for name, this in found.layouts.items():
        chunks.check(this, found.rows[name], last_only)


def read_identity(path):
    """The parsed run.json."""
    where = os.path.join(path, RUN_FILE)
    try:
        document, _ = files.read_json(where)
    except FileNotFoundError:
        raise DamagedRun("the run's identity is missing", where) from None
    if not isinstance(document.get("identity"), dict) or not isinstance(document.get("sessions"), list):
        raise DamagedRun("no identity in it", where)
    return document


def check_new(path, config, held=False):
    """Raise where a new run of `config` may not be begun in `path`; silent for empty and half-written.

    held: the caller has the lease itself.
    """
    try:
        read_manifest(path)
    except (NotARun, HalfWritten):
        if os.path.isdir(path) and not _is_free(path):
            raise
        if not held:
            check_lease(path)
        return
    check_config(path, config)
    if not held:
        check_lease(path)
    raise RunExists(f"{path} holds this run already: resume it, or choose another folder")


def check_config(path, config):
    """ConfigMismatch where the run in `path` was trained with another configuration."""
    different = configs.differences(configs.load(path), config)
    if not different:
        return
    lines = [f"  {key}: the folder has {old!r}, asked for {new!r}" for key, old, new in different]
    if any(key == "train.steps" for key, _, _ in different):
        lines.append(
            "  (a run cannot be made longer or shorter afterwards: train.steps is part of what it is)"
        )
    raise ConfigMismatch(
        f"{path} holds a run with another configuration:\n" + "\n".join(lines) + "\n"
        "Choose another folder, or remove that run."
    )


def check_lease(path):
    """RunLocked where a live writer holds the folder."""
    holder = lease.read(os.path.join(path, lease.LOCK))
    if holder is not None and holder.alive:
        raise RunLocked(f"{path} is being written by {holder}: stop that training first")


def _check_facts(found, where):
    """DamagedRun where an attribute of the run is missing or of the wrong kind."""
    facts = found.facts
    for key, kinds in _FACTS.items():
        if not isinstance(facts.get(key), kinds):
            raise DamagedRun(f"among the attributes, {key} is {facts.get(key)!r:.80}", where)
    if facts["state"] not in manifest.STATES:
        raise DamagedRun(f"among the attributes, state is {facts['state']!r:.80}", where)
    if not all(isinstance(name, str) and name in found.layouts for name in facts["pyramids"]):
        raise DamagedRun("among the attributes, pyramids names arrays that do not exist", where)
    for key in ("iterations", "first_loss", "final_loss", "best_loss"):
        if not isinstance(facts["summary"].get(key), int | float | None):
            raise DamagedRun(f"among the attributes, {key} is {facts['summary'][key]!r:.80}", where)


def _explain(path):
    """The error that says why a folder has no commit record."""
    if not os.path.exists(path):
        return NotARun(f"{path} does not exist")
    if not os.path.isdir(path):
        return NotARun(f"{path} is a file; a run is a folder")
    names = _names(path)
    if not names:
        return NotARun(f"{path} is empty: no run was recorded there")
    if not any(name in names for name in _TRACES):
        return NotARun(f"{path} is not a run: it has no {manifest.LOG}")
    if lease.is_alive(path):
        return HalfWritten(f"{path} is being created just now: look again in a moment")
    return HalfWritten(
        f"{path} was never committed: its training ended before the first step; start it again"
    )


def _is_free(path):
    names = [name for name in _names(path) if not name.endswith(".log")]
    return not names or any(name in _TRACES for name in names) or all(name in _HARMLESS for name in names)


def _names(path):
    try:
        return os.listdir(path)
    except OSError as error:
        raise NotARun(f"{path} cannot be read: {error.strerror}") from error
