"""Run folders: written by `RunWriter`, read by `open_run`, listed by `list_runs`; NumPy only, no JAX.

A run is plain Zarr v3 on disk with one commit record, so that a killed writer loses nothing that
was committed, a live reader never sees half a step, and other tools open it as it is.
"""

from gdlab.store.config import IGNORED_KEYS, config_hash
from gdlab.store.derived import Derived
from gdlab.store.errors import (
    BadCursor,
    BadRows,
    ConfigMismatch,
    DamagedRun,
    DiskFull,
    HalfWritten,
    LeaseLost,
    NewerSchema,
    NoFunctions,
    NotARun,
    NotWritable,
    Refused,
    Replaced,
    RunExists,
    RunLocked,
    StoreError,
    UnknownName,
)
from gdlab.store.listing import list_runs
from gdlab.store.packing import pack, unpack
from gdlab.store.reader import Key, Run, open_run
from gdlab.store.spec import ArraySpec
from gdlab.store.writer import RunWriter

__all__ = [
    "IGNORED_KEYS",
    "ArraySpec",
    "BadCursor",
    "BadRows",
    "ConfigMismatch",
    "DamagedRun",
    "Derived",
    "DiskFull",
    "HalfWritten",
    "Key",
    "LeaseLost",
    "NewerSchema",
    "NoFunctions",
    "NotARun",
    "NotWritable",
    "Refused",
    "Replaced",
    "Run",
    "RunExists",
    "RunLocked",
    "RunWriter",
    "StoreError",
    "UnknownName",
    "config_hash",
    "list_runs",
    "open_run",
    "pack",
    "unpack",
]
