"""An array of a run: what its rows are, and how Zarr v3 describes it.

Arrays grow along axis 0. A chunk is a fixed number of rows, stored uncompressed in one file
(`c.<k>.0...`) that has its full length from the start (the part not yet written is a hole in the
file), so rows are written in place and read by memory map.
"""

import math
import re
from typing import Any, NamedTuple

import numpy as np

from gdlab.store.errors import DamagedRun

# Large enough for few files, small enough that the last, mostly empty chunk is cheap to copy.
CHUNK_BYTES = 4 << 20
_MAX_CHUNK_BYTES = 1 << 40
_MAX_ROWS = 1 << 48
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}){0,5}")
_DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}
_WORDS = {dtype: name for name, dtype in _DTYPES.items()}  # dtype.name takes 10 us
# Arrays that share their rows' meaning share the dimension's name, as xarray wants it.
_ROW_DIMENSIONS = {
    "scalars": "iteration",
    "ls_end": "iteration",
    "segments": "iteration",
    "ls_eval": "evaluation",
    "path": "point",
    "path_step": "point",
}


class ArraySpec(NamedTuple):
    """Element type (NumPy name or dtype), shape of one row, names of the columns (last axis of a row).

    dims: names of all dimensions, rows first; by default known arrays share theirs ("iteration"),
    others get names of their own.
    """

    dtype: Any = "f8"
    row_shape: tuple = ()
    columns: tuple | None = None
    dims: tuple | None = None


class Layout(NamedTuple):
    """An `ArraySpec` made definite: name, element type, row shape, rows per chunk, names."""

    name: str
    dtype: np.dtype
    row_shape: tuple
    chunk_rows: int
    columns: tuple
    dims: tuple

    @property
    def row_bytes(self):
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.row_shape)

    @property
    def chunk_bytes(self):
        """Bytes of every chunk file, the last one too."""
        return self.chunk_rows * self.row_bytes

    @property
    def chunk_shape(self):
        """Shape of a chunk: its rows, then the shape of a row."""
        return (self.chunk_rows, *self.row_shape)

    def chunk_name(self, index):
        """File name of the chunk that holds rows index * chunk_rows and on."""
        return ".".join(["c", str(index), *("0" for _ in self.row_shape)])


def valid_name(name):
    """True for names that stay inside the folder: letters, digits, `_.-`, parts joined by `/`."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def layout(name, spec, chunk_bytes=CHUNK_BYTES):
    """The `Layout` of an array; ValueError says what of name or spec is not allowed."""
    if not valid_name(name):
        raise ValueError(f"array name {name!r}: letters, digits, '_', '.', '-' and '/' between parts only")
    spec = ArraySpec(*spec)
    dtype = np.dtype(spec.dtype)
    if dtype.name not in _DTYPES:
        raise ValueError(
            f"array '{name}': element type {dtype} cannot be stored; allowed: {', '.join(_DTYPES)}"
        )
    row_shape = tuple(int(n) for n in spec.row_shape)
    if any(n < 1 for n in row_shape):
        raise ValueError(f"array '{name}': every axis of a row needs at least one element, got {row_shape}")
    columns = tuple(spec.columns or ())
    if columns and (not row_shape or len(columns) != row_shape[-1] or len(set(columns)) != len(columns)):
        raise ValueError(f"array '{name}': {len(columns)} distinct columns for rows of shape {row_shape}")
    row_bytes = dtype.itemsize * math.prod(row_shape)
    chunk_rows = 1 << max(0, (chunk_bytes // row_bytes).bit_length() - 1)
    dims = tuple(spec.dims or _default_dims(name, row_shape))
    if len(dims) != 1 + len(row_shape):
        raise ValueError(f"array '{name}': {len(dims)} dimension names for {1 + len(row_shape)} axes")
    return Layout(name, _DTYPES[dtype.name], row_shape, chunk_rows, columns, dims)


def to_document(this, rows):
    """The Zarr v3 metadata of the array with `rows` rows."""
    wide = this.dtype.itemsize > 1
    kind = this.dtype.kind
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [rows, *this.row_shape],
        "data_type": _WORDS[this.dtype],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(this.chunk_shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": {"f": "NaN", "b": False}.get(kind, 0),
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}} if wide else {"name": "bytes"}],
        "attributes": {"columns": list(this.columns)} if this.columns else {},
        "dimension_names": list(this.dims),
        "storage_transformers": [],
    }


def from_document(name, document, where):
    """(Layout, rows) of Zarr v3 metadata written by `to_document`; anything else is `DamagedRun`."""
    try:
        if not valid_name(name):
            raise ValueError("not a name that gdlab writes")
        shape = [_count(n, _MAX_ROWS) for n in document["shape"]]
        chunk = [_count(n, _MAX_ROWS) for n in document["chunk_grid"]["configuration"]["chunk_shape"]]
        rows, row_shape = shape[0], tuple(shape[1:])
        columns = tuple(document.get("attributes", {}).get("columns", ()))
        dims = tuple(document["dimension_names"])
        this = Layout(name, _DTYPES[document["data_type"]], row_shape, chunk[0], columns, dims)
        if not 0 < this.chunk_bytes <= _MAX_CHUNK_BYTES:
            raise ValueError(f"chunks of {this.chunk_bytes:,} bytes")
        if columns and (not row_shape or len(columns) != row_shape[-1]):
            raise ValueError(f"{len(columns)} column names for rows of shape {row_shape}")
        if not all(isinstance(word, str) for word in columns + dims) or chunk[1:] != shape[1:]:
            raise ValueError("chunks or names are not as gdlab writes them")
        if to_document(this, rows) != document:
            raise ValueError("not the layout that gdlab writes")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DamagedRun(f"array '{name}' is described wrongly: {error}", where) from error
    return this, rows


def _count(value, limit):
    if type(value) is not int or not 0 <= value <= limit:
        raise ValueError(f"{value!r} where a number of rows or elements should be")
    return value


def _default_dims(name, row_shape):
    rows = _ROW_DIMENSIONS.get(name, f"{name}_row")
    return (rows, *(f"{name}_{axis}" for axis in ("column", "axis2", "axis3", "axis4")[: len(row_shape)]))
