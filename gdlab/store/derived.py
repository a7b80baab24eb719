"""What was computed from a run is kept beside it, row by row, and not computed again.

A cache is a Zarr group of its own, named by a hash of everything its values depend on; another
generation, other parameters or a new version of the computation give another name. Rows may be
filled in any order by any process; a row counts as done only after its values are on disk, since
NaN is a valid value. A cache that is damaged is removed: it can be computed again.
"""

import hashlib
import json
import os
import shutil

import numpy as np

from gdlab.store import config as configs
from gdlab.store import files, manifest
from gdlab.store.errors import BadRows, DamagedRun, NewerSchema, Replaced, UnknownName, nearest
from gdlab.store.spec import ArraySpec, layout

FOLDER = "derived"
_CHUNK_BYTES = 1 << 20
_DONE = "done"


class Derived:
    """The cache of one computation over a run's rows.

    kind: what was computed; parameters: every option it depends on (plain values); rows: how many
    there are, None where they go on growing; arrays: {name: ArraySpec} of the values; version: to be
    changed with the computation's code. Nothing is written before the first `write`.
    """

    def __init__(self, run, kind, parameters, rows, arrays, version="1"):
        if _DONE in arrays:
            raise ValueError(f"'{_DONE}' is the name of the mask; call the array something else")
        self.rows = rows
        self._layouts = {name: layout(name, item, _CHUNK_BYTES) for name, item in arrays.items()}
        self._mask = layout(_DONE, ArraySpec("u1", dims=("row",)), _CHUNK_BYTES)
        self._facts = {
            "kind": str(kind),
            "parameters": configs.plain(parameters, "parameters"),
            "version": str(version),
        }
        self._run, self._of = run, run.key
        shapes = {name: [str(x) for x in this] for name, this in self._layouts.items()}
        # The session of a run that was recorded before sessions had ids is "": its results keep their name.
        which = list(run.key) if run.key.session else run.generation
        key = json.dumps([self._facts, which, shapes], sort_keys=True)
        self._root = os.fspath(run.path)
        name = f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.zarr"
        self.path = os.path.join(self._root, FOLDER, name)
        self._written = self._load()

    def done(self, start, stop):
        """Mask [stop - start]: True where a row's values are there."""
        self._check_range(start, stop)
        try:
            files.stays_inside(self.path, self._root)
            mask = self._read(self._mask, start, stop).astype(bool)
            self._check_files(mask, start)
        except DamagedRun:
            self.discard()
            mask = np.zeros(stop - start, bool)
        return mask

    def read(self, start, stop):
        """{name: values [stop - start, ...]}, new arrays; rows that are not done hold zeros."""
        self._check_range(start, stop)
        try:
            files.stays_inside(self.path, self._root)
            return {name: self._read(this, start, stop) for name, this in self._layouts.items()}
        except DamagedRun:
            self.discard()
            return {
                name: np.zeros((stop - start, *this.row_shape), this.dtype)
                for name, this in self._layouts.items()
            }

    def write(self, start, values):
        """Store {name: values [n, ...]} of all arrays at rows start ... start + n - 1.

        Raises BadRows, UnknownName, DiskFull, NotWritable, Replaced (the folder holds another run by now, or
        rows of it that this was not computed from); what was stored before stays.
        """
        if self._run.key != self._of or self._run.replaced():
            raise Replaced(
                f"{self._root} holds another run, or was trained on, since this was begun: begin anew"
            )
        rows = self._checked(values)
        count = len(next(iter(rows.values())))
        self._check_range(start, start + count)
        with files.writing(self.path):
            for name in (*self._layouts, _DONE):
                os.makedirs(os.path.join(self.path, name), exist_ok=True)
            files.stays_inside(self.path, self._root)
        for name, part in rows.items():
            self._write(self._layouts[name], start, part)
        self._write(self._mask, start, np.ones(count, np.uint8))
        if start + count > self._written:
            self._publish(start + count)

    def discard(self):
        """Remove the cache."""
        self._written = 0
        if not os.path.islink(os.path.dirname(self.path)):
            shutil.rmtree(self.path, ignore_errors=True)

    def _load(self):
        try:
            found, _ = manifest.read(self.path)
        except FileNotFoundError:
            return 0
        except (DamagedRun, NewerSchema):
            self.discard()
            return 0
        if found.layouts != {**self._layouts, _DONE: self._mask}:
            self.discard()
            return 0
        return found.rows[_DONE]

    def _publish(self, rows):
        # For other tools; gdlab itself goes by the mask. Another process may have got further.
        self._written = max(rows, self.rows or 0, self._load())
        layouts = {**self._layouts, _DONE: self._mask}
        for this in layouts.values():
            manifest.write_array(self.path, this, self._written)
        counts = dict.fromkeys(layouts, self._written)
        manifest.write(
            self.path,
            manifest.Manifest(
                layouts,
                counts,
                self._of.generation,
                self._facts,
                self._of.id,
                self._of.session or self._of.id,
            ),
        )

    def _checked(self, values):
        for name in values.keys() - self._layouts.keys():
            raise UnknownName(f"no array '{name}' in this cache." + nearest(name, self._layouts))
        rows = {}
        for name, this in self._layouts.items():
            if name not in values:
                raise BadRows(f"values of '{name}' are missing")
            rows[name] = np.ascontiguousarray(values[name], this.dtype)
            if rows[name].shape[1:] != this.row_shape:
                raise BadRows(
                    f"'{name}': rows of shape {this.row_shape} are wanted, got {rows[name].shape[1:]}"
                )
        if len({len(part) for part in rows.values()}) != 1:
            raise BadRows("different numbers of rows: " + ", ".join(f"{n} {len(p)}" for n, p in rows.items()))
        return rows

    def _check_range(self, start, stop):
        if not 0 <= start <= stop or (self.rows is not None and stop > self.rows):
            raise BadRows(
                f"rows {start} to {stop} of {'a growing number' if self.rows is None else self.rows}"
            )

    def _check_files(self, mask, start):
        # A row that counts as done must have its chunks; a copy of the folder may have lost some.
        rows = np.flatnonzero(mask) + start
        for this in self._layouts.values():
            for index in np.unique(rows // this.chunk_rows):
                path = self._chunk(this, int(index))
                try:
                    size = os.lstat(path).st_size
                except OSError as error:
                    raise DamagedRun("a chunk file is missing", path) from error
                if size != this.chunk_bytes:
                    raise DamagedRun(f"{size:,} bytes, {this.chunk_bytes:,} are expected", path)

    def _read(self, this, start, stop):
        out = np.zeros((stop - start, *this.row_shape), this.dtype)
        for index, a, b in _parts(this, start, stop):
            path = self._chunk(this, index)
            try:
                fd, facts = files.open_regular(path)
            except FileNotFoundError:
                continue
            try:
                if facts.st_size not in (0, this.chunk_bytes):
                    raise DamagedRun(f"{facts.st_size:,} bytes, {this.chunk_bytes:,} are expected", path)
                data = os.pread(fd, (b - a) * this.row_bytes, (a - index * this.chunk_rows) * this.row_bytes)
            finally:
                os.close(fd)
            if data:
                out[a - start : b - start] = np.frombuffer(data, this.dtype).reshape(-1, *this.row_shape)
        return out

    def _write(self, this, start, rows):
        for index, a, b in _parts(this, start, start + len(rows)):
            path = self._chunk(this, index)
            with files.writing(path):
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
                try:
                    os.ftruncate(fd, this.chunk_bytes)
                    part = np.ascontiguousarray(rows[a - start : b - start]).view(np.uint8).reshape(-1)
                    files.write_all(fd, part, (a - index * this.chunk_rows) * this.row_bytes)
                    # Else a power failure could keep the mask and lose the values.
                    files.sync_data(fd)
                finally:
                    os.close(fd)

    def _chunk(self, this, index):
        return os.path.join(self.path, this.name, this.chunk_name(index))


def _parts(this, start, stop):
    """(chunk number, first row, end row) of the chunks that rows [start, stop) lie in."""
    step = this.chunk_rows
    for index in range(start // step, -(-stop // step)):
        yield index, max(start, index * step), min(stop, (index + 1) * step)
