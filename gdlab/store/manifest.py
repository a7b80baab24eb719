"""The commit record: the `zarr.json` of the group, replaced by one rename.

It holds the row count of every array, the generation, the state and the summary of the run, so
whoever reads it once knows a consistent state of all arrays. Rows beyond the counts do not exist.
A resume that cuts rows raises the generation: what was read before may no longer hold. The run's id, drawn
when it was created, and the session's, drawn at every resume, tell a run from another one under its name.

Schema 1 had neither ids nor checksums; such records are read, and become schema 2 when they are resumed.
"""

import json
import os
import re
import secrets
from typing import NamedTuple

from gdlab.store import checksums, files, spec
from gdlab.store.errors import DamagedRun, NewerSchema

SCHEMA = 2
LOG = "log.zarr"
GROUP = "zarr.json"
_MAX_ARRAYS = 4096
_MAX_GENERATION = 1 << 48
_ID_BYTES = 16
_ID = re.compile(r"[0-9a-f]{1,64}")
_HEX = re.compile(r"[0-9a-f]*")
_OWN = ("schema", "generation", "id", "session", "sums", "checksum")
_SUBGROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}
_NUMBERS = (int, float, bool, type(None))
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_LIKE_SPECIAL = re.compile(r"\\*(?:NaN|-?Infinity)")
_ESCAPED = re.compile(r"\\+(?:NaN|-?Infinity)")


class Manifest(NamedTuple):
    """layouts and rows by array name; generation; facts: the remaining attributes, plain values.

    id, session: of the run and of its latest session; None before schema 2. sums: {array: the checksums of
    its chunks' committed rows, DIGITS characters each}; None where nothing says them.
    """

    layouts: dict
    rows: dict
    generation: int
    facts: dict
    id: str | None = None
    session: str | None = None
    sums: dict | None = None

    @property
    def mark(self):
        """What is another whenever rows that were read may no longer hold."""
        return _mark({**self.facts, "id": self.id, "session": self.session, "generation": self.generation})


def encode(manifest):
    """The commit record as bytes."""
    arrays = {parent: _SUBGROUP for name in manifest.layouts for parent in parents(name)}
    arrays |= {name: spec.to_document(this, manifest.rows[name]) for name, this in manifest.layouts.items()}
    own = {"schema": SCHEMA, "id": manifest.id, "session": manifest.session}
    facts = {**own, "generation": manifest.generation, **to_strict(manifest.facts)}
    if manifest.sums is not None:
        facts["sums"] = manifest.sums
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": arrays},
        "attributes": {"gdlab": checksums.placed(facts)},
    }
    return checksums.sealed(document)


def decode(data, where):
    """The `Manifest` of a commit record's bytes; raises `NewerSchema` or `DamagedRun`."""
    document, facts = _parsed(data, where)
    arrays = document.get("consolidated_metadata")
    arrays = arrays.get("metadata") if isinstance(arrays, dict) else None
    if not isinstance(arrays, dict):
        raise DamagedRun("the arrays are not listed", where)
    if len(arrays) > _MAX_ARRAYS:
        raise DamagedRun(f"{len(arrays):,} arrays, at most {_MAX_ARRAYS:,} are possible", where)
    layouts, rows = {}, {}
    for name, item in arrays.items():
        if item == _SUBGROUP:
            continue
        layouts[name], rows[name] = spec.from_document(name, item, where)
    rest = from_strict({key: value for key, value in facts.items() if key not in _OWN})
    ids = facts.get("id"), facts.get("session")
    return Manifest(layouts, rows, facts["generation"], rest, *ids, _sums(facts, layouts, rows, where))


def _sums(facts, layouts, rows, where):
    """The checksums of a commit record, of which every chunk with committed rows has one."""
    sums = facts.get("sums")
    if facts["schema"] == 1 or sums is None:
        return None
    if not isinstance(sums, dict) or sums.keys() != layouts.keys():
        raise DamagedRun("the checksums are of other arrays", where)
    for name, this in layouts.items():
        wanted = checksums.DIGITS * -(-rows[name] // this.chunk_rows)
        if not isinstance(sums[name], str) or len(sums[name]) != wanted or not _HEX.fullmatch(sums[name]):
            raise DamagedRun(f"the checksums of '{name}' are not those of {rows[name]:,} rows", where)
    return sums


def read_mark(where):
    """(`Manifest.mark`, os.stat_result) of a commit record, of which nothing else is looked at."""
    data, stat = files.read_small(where)
    return _mark(_parsed(data, where)[1]), stat


def _mark(facts):
    # Runs of schema 1 have no id; no two began at the same time.
    return facts.get("id"), facts.get("session"), facts["generation"], facts.get("started")


def _parsed(data, where):
    """(document, gdlab's own part of it) of a commit record, with its checksum and its version checked."""
    sealed = checksums.is_sealed(data, where)
    document = files.parse_json(data, where)
    outer = document.get("attributes")
    facts = outer.get("gdlab") if isinstance(outer, dict) else None
    if not isinstance(facts, dict):
        raise DamagedRun("a Zarr group, but not one that gdlab wrote", where)
    schema = facts.get("schema")
    if type(schema) is not int or schema < 1:
        raise DamagedRun(f"schema version {schema!r:.80}", where)
    if schema > SCHEMA:
        raise NewerSchema(
            f"{where} has schema version {schema}, this gdlab reads up to {SCHEMA}: update gdlab"
        )
    if schema > 1 and not sealed:
        raise DamagedRun("its checksum is missing", where)
    generation = facts.get("generation")
    if type(generation) is not int or not 0 <= generation < _MAX_GENERATION:
        raise DamagedRun(f"generation {generation!r:.80}", where)
    if schema > 1 and not (_is_id(facts.get("id")) and _is_id(facts.get("session"))):
        raise DamagedRun("ids of run and session are missing", where)
    return document, facts


def _is_id(value):
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def new_id():
    """A random id, of a run or of a session."""
    return secrets.token_hex(_ID_BYTES)


def read(folder):
    """(Manifest, os.stat_result) of a Zarr group folder; FileNotFoundError where there is none."""
    where = os.path.join(folder, GROUP)
    data, facts = files.read_small(where)
    return decode(data, where), facts


def write(folder, manifest, fsync=False):
    """Publish the manifest by one rename."""
    files.replace_file(os.path.join(folder, GROUP), encode(manifest), fsync)


def parents(name):
    """The groups that contain an array: "a/b/c" -> ["a", "a/b"]."""
    parts = name.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


def write_array(folder, this, rows):
    """The array's own metadata, for tools that open it without the group."""
    for parent in parents(this.name):
        files.replace_file(os.path.join(folder, parent, GROUP), json.dumps(_SUBGROUP).encode())
    data = json.dumps(spec.to_document(this, rows), allow_nan=False).encode()
    files.replace_file(os.path.join(folder, this.name, GROUP), data)


def to_strict(value):
    """JSON has no NaN: non-finite numbers become strings, as in Zarr's fill values."""
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, float) and value in (_SPECIAL["Infinity"], _SPECIAL["-Infinity"]):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str) and _LIKE_SPECIAL.fullmatch(value):  # a text that reads like one of these
        return "\\" + value
    if isinstance(value, dict):
        return {key: to_strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_strict(item) for item in value]
    return value


def from_strict(value):
    """The inverse of `to_strict`."""
    kind = type(value)
    if kind is str:
        return value[1:] if _ESCAPED.fullmatch(value) else _SPECIAL.get(value, value)
    if kind is dict:
        return {key: item if type(item) in _NUMBERS else from_strict(item) for key, item in value.items()}
    if kind is list:
        return [from_strict(item) for item in value]
    return value
