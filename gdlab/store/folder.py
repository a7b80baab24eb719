"""What a folder holds before anybody reads or writes a run in it.

A run is known by its commit record. Traces of a writer without a commit record are a half-written
run; anything else that is not empty belongs to somebody else and is left alone.
"""

import contextlib
import hashlib
import json
import os

from gdlab.store import checksums, files, lease, manifest, schema
from gdlab.store import config as configs
from gdlab.store.chunks import Chunks
from gdlab.store.errors import ConfigMismatch, DamagedRun, HalfWritten, NotARun, RunExists, RunLocked

RUN_FILE = "run.json"
# What a writer leaves before its first commit; Hydra's own log and orbax's folder may lie there too.
_TRACES = (RUN_FILE, lease.LOCK, manifest.LOG, ".hydra")
_HARMLESS = ("checkpoints", "derived")


def read_manifest(path):
    """(Manifest, os.stat_result) of a run folder; NotARun, HalfWritten, NewerSchema or DamagedRun."""
    log = os.path.join(path, manifest.LOG)
    if os.path.islink(log):
        raise DamagedRun("a link leads out of the run folder", log)
    try:
        found = manifest.read(log)
    except FileNotFoundError:
        error = _explain(path)
        # The first commit may have come between the two looks, with rows behind it.
        if not (isinstance(error, DamagedRun) and os.path.lexists(os.path.join(log, manifest.GROUP))):
            try:
                raise error from None
            finally:
                del error  # with its traceback it would hold what all its callers hold
        found = manifest.read(log)
    schema.check_facts(found[0], os.path.join(log, manifest.GROUP))
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
        data, _ = files.read_small(where)
    except FileNotFoundError:
        raise DamagedRun(
            "the run's identity is missing: put it back from a copy, or remove the folder to train anew",
            where,
        ) from None
    sealed = checksums.is_sealed(data, where)
    document = files.parse_json(data, where)
    if not sealed and document.get("schema") != 1:
        raise DamagedRun("its checksum is missing", where)
    schema.check_document(document, where)
    return document


def write_identity(path, document):
    """Replace run.json."""
    kept = {key: value for key, value in document.items() if key != "checksum"}
    document = checksums.placed(manifest.to_strict({**kept, "schema": manifest.SCHEMA}))
    files.replace_file(os.path.join(path, RUN_FILE), checksums.sealed(document, indent=1))


def add_to_identity(path, facts):
    """Add {name: plain value} to what run.json says of the run's identity; for the holder of its lease."""
    document = read_identity(path)
    identity = {**document["identity"], **configs.plain(facts, "identity")}
    write_identity(path, {**document, "identity": identity})


def id_of(path, found):
    """The id of a run: as its commit record has it, or, of schema 1, a hash of what it was created with."""
    if found.id is not None:
        return found.id
    try:
        document = read_identity(path)
        facts = [document["created"], document["config_hash"]]
    except DamagedRun:
        facts = [found.facts["started"]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def load_config(path, found=None):
    """The configuration that a run folder was trained with last; arguments and errors as `load_stages`."""
    return load_stages(path, found)[-1][1]


def load_stages(path, found=None):
    """[(first iteration, configuration)] of a run folder, oldest first: one, unless the run was extended.

    found: the run's Manifest, where it was read already. DamagedRun where they are not what was recorded.
    """
    found = read_manifest(path)[0] if found is None else found
    recorded = found.facts.get("config_hash")
    if recorded is None:  # of schema 1: in run.json alone
        with contextlib.suppress(DamagedRun):
            recorded = read_identity(path)["config_hash"]
    stages = configs.load_stages(path, recorded, lambda: read_identity(path).get("changes", []))
    ends = [*(first for first, _ in stages), found.rows.get("scalars", 0)]
    if ends != sorted(ends):
        where = os.path.join(path, RUN_FILE)
        raise DamagedRun(f"changes from the iterations {ends[1:-1]} on, of {ends[-1]} recorded ones", where)
    return stages


def check_new(path, config, held=False):
    """Raise where a new run of `config` may not be begun in `path`; silent for empty and half-written.

    held: the caller has the lease itself.
    """
    try:
        found, _ = read_manifest(path)
    except (NotARun, HalfWritten):
        if os.path.isdir(path) and not _is_free(path):
            raise
        if not held:
            check_lease(path)
        return
    check_config(path, config, found)
    if not held:
        check_lease(path)
    raise RunExists(f"{path} holds this run already: resume it, or choose another folder")


def check_config(path, config, found=None):
    """ConfigMismatch where the run in `path` was trained with another configuration; found: its Manifest."""
    different = configs.differences(load_config(path, found), config)
    if not different:
        return
    lines = [f"  {key}: the folder has {old!r}, asked for {new!r}" for key, old, new in different]
    if any(key == "train.steps" for key, _, _ in different):
        lines.append(
            "  (a finished run is trained on by: python -m gdlab task=extend run=FOLDER train.steps=N)"
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
    if _holds_rows(path):
        return DamagedRun(
            "the commit record is gone, while recorded rows or states are there: put it back from a copy, or "
            "remove the folder to train anew",
            os.path.join(path, manifest.LOG, manifest.GROUP),
        )
    if lease.is_alive(path):
        return HalfWritten(f"{path} is being created just now: look again in a moment")
    return HalfWritten(
        f"{path} was never committed: its training ended before the first step; start it again"
    )


def _holds_rows(path):
    """Whether there are files that no writer makes before its first commit."""
    for name in ("checkpoints", "derived"):
        with contextlib.suppress(OSError):
            if os.listdir(os.path.join(path, name)):
                return True
    log = os.path.join(path, manifest.LOG)
    return any(name.startswith("c.") for _, _, names in os.walk(log) for name in names)


def _is_free(path):
    names = [name for name in _names(path) if not name.endswith(".log")]
    return not names or any(name in _TRACES for name in names) or all(name in _HARMLESS for name in names)


def _names(path):
    try:
        return os.listdir(path)
    except OSError as error:
        raise NotARun(f"{path} cannot be read: {error.strerror}") from error
