"""The commit record: the `zarr.json` of the group, replaced by one rename.

It holds the row count of every array, the generation, the state and the summary of the run, so
whoever reads it once knows a consistent state of all arrays. Rows beyond the counts do not exist.
A resume that cuts rows raises the generation: what was read before may no longer hold.
"""

import json
import os
from typing import NamedTuple

from gdlab.store import files, spec
from gdlab.store.errors import DamagedRun, NewerSchema

SCHEMA = 1
STATES = ("running", "finished", "interrupted", "diverged", "failed")
LOG = "log.zarr"
GROUP = "zarr.json"
_MAX_ARRAYS = 4096
_SUBGROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}
_NUMBERS = (int, float, bool, type(None))
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class Manifest(NamedTuple):
    """layouts and rows by array name; generation; facts: the remaining attributes, plain values."""

    layouts: dict
    rows: dict
    generation: int
    facts: dict


def encode(manifest):
    """The commit record as bytes."""
    arrays = {parent: _SUBGROUP for name in manifest.layouts for parent in parents(name)}
    arrays |= {name: spec.to_document(this, manifest.rows[name]) for name, this in manifest.layouts.items()}
    facts = {"schema": SCHEMA, "generation": manifest.generation, **to_strict(manifest.facts)}
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"gdlab": facts},
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": arrays},
    }
    return json.dumps(document, allow_nan=False).encode()


def decode(document, where):
    """The `Manifest` of a parsed commit record; raises `NewerSchema` or `DamagedRun`."""
    facts = attributes(document, where)
    arrays = (document.get("consolidated_metadata") or {}).get("metadata")
    if not isinstance(arrays, dict):
        raise DamagedRun("the arrays are not listed", where)
    if len(arrays) > _MAX_ARRAYS:
        raise DamagedRun(f"{len(arrays):,} arrays, at most {_MAX_ARRAYS:,} are possible", where)
    layouts, rows = {}, {}
    for name, item in arrays.items():
        if item == _SUBGROUP:
            continue
        layouts[name], rows[name] = spec.from_document(name, item, where)
    facts = from_strict({key: value for key, value in facts.items() if key not in ("schema", "generation")})
    return Manifest(layouts, rows, document["attributes"]["gdlab"]["generation"], facts)


def attributes(document, where):
    """gdlab's own part of a parsed commit record, checked for its schema version and generation."""
    outer = document.get("attributes")
    facts = outer.get("gdlab") if isinstance(outer, dict) else None
    if not isinstance(facts, dict):
        raise DamagedRun("a Zarr group, but not one that gdlab wrote", where)
    schema = facts.get("schema")
    if type(schema) is not int or schema < 1:
        raise DamagedRun(f"schema version {schema!r}", where)
    if schema > SCHEMA:
        raise NewerSchema(
            f"{where} has schema version {schema}, this gdlab reads up to {SCHEMA}: update gdlab"
        )
    generation = facts.get("generation")
    if type(generation) is not int or generation < 0:
        raise DamagedRun(f"generation {generation!r}", where)
    return facts


def read(folder):
    """(Manifest, os.stat_result) of a Zarr group folder; FileNotFoundError where there is none."""
    where = os.path.join(folder, GROUP)
    document, facts = files.read_json(where)
    return decode(document, where), facts


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
    if isinstance(value, dict):
        return {key: to_strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_strict(item) for item in value]
    return value


def from_strict(value):
    """The inverse of `to_strict`."""
    kind = type(value)
    if kind is str:
        return _SPECIAL.get(value, value)
    if kind is dict:
        return {key: item if type(item) in _NUMBERS else from_strict(item) for key, item in value.items()}
    if kind is list:
        return [from_strict(item) for item in value]
    return value
