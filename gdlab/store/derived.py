"""What was computed from a run is kept beside it, row by row, and not computed again.

A cache is a Zarr group of its own, named by a hash of everything its values depend on; another
generation, other parameters or a new version of the computation give another name. Rows may be
filled in any order by any process; a row counts as done only after its values are on disk, since
NaN is a valid value. Each has a seal (`gdlab.store.seals`): a damaged one does not count as done, and whether
it was computed here can be asked. A cache whose files are damaged is removed: it can be computed again.
"""

import hashlib
import json
import logging
import os
import shutil

import numpy as np

from gdlab.store import config as configs
from gdlab.store import files, manifest, seals
from gdlab.store.errors import BadRows, DamagedRun, NewerSchema, Replaced, UnknownName, nearest
from gdlab.store.spec import ArraySpec, layout

FOLDER = "derived"
_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 32 << 20  # of values that are looked at together
_DONE, _SEAL = "done", "seal"
_UNSEALED, _SEALED = 1, 2  # what the mask says of a row that is done; those of before have no seal

log = logging.getLogger(__name__)


class Derived:
    """The cache of one computation over a run's rows.

    kind: what was computed; parameters: every option it depends on (plain values); rows: how many
    there are, None where they go on growing; arrays: {name: ArraySpec} of the values; version: to be
    changed with the computation's code. Nothing is written before the first `write`.
    """

    def __init__(self, run, kind, parameters, rows, arrays, version="1"):
        if taken := arrays.keys() & {_DONE, _SEAL}:
            raise ValueError(f"'{min(taken)}' is taken: call the array something else")
        self.rows = rows
        self._layouts = {name: layout(name, item, _CHUNK_BYTES) for name, item in arrays.items()}
        self._mask = layout(_DONE, ArraySpec("u1", dims=("row",)), _CHUNK_BYTES)
        self._seal = layout(_SEAL, ArraySpec("u1", (seals.SEAL,), dims=("row", "byte")), _CHUNK_BYTES)
        self._all = {**self._layouts, _SEAL: self._seal, _DONE: self._mask}
        self._whole = np.zeros(0, bool)  # rows whose seals were looked at
        self._facts = {
            "kind": str(kind),
            "parameters": configs.plain(parameters, "parameters"),
            "version": str(version),
        }
        self._run, self._of = run, run.key
        shapes = {name: [str(x) for x in this] for name, this in self._layouts.items()}
        # The session of a run that was recorded before sessions had ids is "": its results keep their name.
        which = list(run.key) if run.key.session else run.generation
        # What other data or code than those of the run gave is kept apart, and found by who has these again.
        apart = [run.altered] if run.altered else []
        key = json.dumps([self._facts, which, shapes, *apart], sort_keys=True)
        self._root = os.fspath(run.path)
        name = f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.zarr"
        self.path = os.path.join(self._root, FOLDER, name)
        self._written = self._load()

    def done(self, start, stop):
        """Mask [stop - start]: True where a row's values are there, and are those that were written."""
        self._check_range(start, stop)
        try:
            self._check_place()
            mask = self._read(self._mask, start, stop)
            self._check_files(mask != 0, start)
            for a, b in self._blocks(start, stop):
                self._drop_damaged(mask[a - start : b - start], a)
        except DamagedRun as error:
            self._give_up(error)
            mask = np.zeros(stop - start, np.uint8)
        return (mask == _SEALED) | (mask == _UNSEALED)

    def read(self, start, stop):
        """{name: values [stop - start, ...]}, new arrays; rows that are not done hold zeros."""
        self._check_range(start, stop)
        values = self._zeros(stop - start)
        try:
            self._check_place()
            mask = self._read(self._mask, start, stop)
            for a, b in self._blocks(start, stop):
                part = mask[a - start : b - start]
                self._drop_damaged(part, a)
                for name, this in self._layouts.items():
                    values[name][a - start : b - start] = self._read(this, a, b)
                    values[name][a - start : b - start][part == 0] = 0
        except DamagedRun as error:
            self._give_up(error)
            return self._zeros(stop - start)
        return values

    def foreign(self, start, stop):
        """How many of the rows that are done were not computed by this user: by others, or before seals."""
        mask, count = self.done(start, stop), 0
        try:
            for a, b in self._blocks(start, stop):
                numbers = np.flatnonzero(mask[a - start : b - start]) + a
                rows, found = self._bytes(numbers), self._read(self._seal, a, b)[numbers - a]
                count += len(numbers) - int(seals.own(self._context, numbers, rows, found).sum())
        except DamagedRun:
            return int(mask.sum())
        return count

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
        for name in self._all:
            files.make_folders(self._root, os.path.join(self.path, name))
        for name, part in rows.items():
            self._write(self._layouts[name], start, part)
        numbers = range(start, start + count)
        self._write(self._seal, start, seals.seals(self._context, numbers, _row_bytes(rows, count)))
        self._write(self._mask, start, np.full(count, _SEALED, np.uint8))
        if start + count > self._written:
            self._publish(start + count)

    def discard(self):
        """Remove the cache."""
        self._written = 0
        if not os.path.islink(os.path.dirname(self.path)):
            shutil.rmtree(self.path, ignore_errors=True)

    @property
    def _context(self):
        return os.path.basename(self.path).encode()

    def _give_up(self, error):
        log.warning("what was derived is computed again: %s", error)
        self.discard()

    def _check_place(self):
        """DamagedRun where one of the folders is a link."""
        for name in self._all:
            files.no_links(self._root, os.path.join(self.path, name))

    def _blocks(self, start, stop):
        """[(first, end)] of rows that are looked at together."""
        step = max(1, _BLOCK_BYTES // sum(this.row_bytes for this in self._layouts.values()))
        return [(a, min(a + step, stop)) for a in range(start, stop, step)]

    def _zeros(self, count):
        return {name: np.zeros((count, *this.row_shape), this.dtype) for name, this in self._layouts.items()}

    def _drop_damaged(self, mask, start):
        """Set `mask`, of rows from `start` on, to 0 where a row is not what was sealed."""
        if len(self._whole) < start + len(mask):
            self._whole = np.append(self._whole, np.zeros(start + len(mask) - len(self._whole), bool))
        mask[mask > _SEALED] = 0
        new = np.flatnonzero((mask == _SEALED) & ~self._whole[start : start + len(mask)]) + start
        if len(new):
            found = self._read(self._seal, start, start + len(mask))[new - start]
            whole = seals.whole(self._context, new, self._bytes(new), found)
            self._whole[new] = whole
            mask[new[~whole] - start] = 0
            if not whole.all():
                log.warning("%s: %d damaged rows are computed again", self.path, int((~whole).sum()))

    def _bytes(self, numbers):
        """Rows of these numbers, ascending, as bytes each."""
        if not len(numbers):
            return []
        a, b = int(numbers[0]), int(numbers[-1]) + 1
        values = {name: self._read(this, a, b)[numbers - a] for name, this in self._layouts.items()}
        return _row_bytes(values, len(numbers))

    def _load(self):
        try:
            found, _ = manifest.read(self.path)
        except FileNotFoundError:
            return 0
        except (DamagedRun, NewerSchema):
            self.discard()
            return 0
        if found.layouts not in (self._all, {**self._layouts, _DONE: self._mask}):
            self.discard()
            return 0
        return found.rows[_DONE]

    def _publish(self, rows):
        # For other tools; gdlab itself goes by the mask. Another process may have got further.
        self._written = max(rows, self.rows or 0, self._load())
        layouts = self._all
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
                files.unshare(path)
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


def _row_bytes(values, count):
    """Each of `count` rows of {name: values [count, ...]} as bytes, arrays in their order."""
    parts = [np.ascontiguousarray(array).view(np.uint8).reshape(count, -1) for array in values.values()]
    joined = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    width, data = joined.shape[1], joined.tobytes()
    return [data[i * width : (i + 1) * width] for i in range(count)]
