"""One growing array on the writer's side: rows wait in memory, then go to their place in a chunk file.

A row exists for readers only once the commit record counts it, so writing needs no order and a
failed write can simply be tried again. A cut (resume) must not change bytes that a reader has
mapped: the chunk that is written on gets a copy first, later chunks are removed after the commit.
"""

import contextlib
import os

import numpy as np

from gdlab.store import checksums, files, manifest
from gdlab.store.errors import BadRows, DamagedRun


class Stream:
    """Appends rows to `<folder>/<layout.name>`; `rows` counts accepted rows, written or waiting.

    sums: the checksums of the chunks' rows that were written, continued with every write.
    """

    def __init__(self, folder, this, rows=0):
        self.layout = this
        self.folder = os.path.join(folder, this.name)
        self.rows = rows
        self._written = rows
        self._full, self._last = "", 0  # checksums of the full chunks, and of the rows in the last one
        self._pending = []
        self._none = np.empty((0, *this.row_shape), this.dtype)
        self._unsynced = set()
        files.make_folders(folder, self.folder)
        files.remove_leftovers(self.folder)
        if rows % this.chunk_rows:
            files.unshare(self._chunk(rows // this.chunk_rows))
        manifest.write_array(folder, this, rows)

    def checked(self, rows):
        """`rows` as an array [n, *row_shape] of the stored type, never the caller's own memory."""
        this = self.layout
        given = np.asarray(rows)
        if given.shape[1:] != this.row_shape or given.ndim != 1 + len(this.row_shape):
            wanted = ("n", *this.row_shape)
            raise BadRows(f"'{this.name}': rows of shape {wanted} are wanted, got an array {given.shape}")
        if not np.can_cast(given.dtype, this.dtype, "same_kind"):
            raise BadRows(
                f"'{this.name}': {given.dtype} cannot be stored as {this.dtype} without loss of kind"
            )
        return np.array(given, dtype=this.dtype, order="C")

    @property
    def sums(self):
        """The checksums of all chunks as a commit record keeps them."""
        begun = self._written % self.layout.chunk_rows
        return self._full + (checksums.to_text(self._last) if begun else "")

    def add(self, rows):
        """Accept rows that `checked` returned; they wait until `flush`."""
        if len(rows):
            self._pending.append(rows)
            self.rows += len(rows)

    def flush(self, fsync=False):
        """Write all waiting rows and return them; where this fails (DiskFull), they go on waiting."""
        rows = self._pending[0] if len(self._pending) == 1 else np.concatenate([self._none, *self._pending])
        if len(rows):
            self._full, self._last = self._write(rows)
            self._written += len(rows)
            self._pending = []
        if fsync:
            self._sync()
        return rows

    def prepare_cut(self, rows):
        """Before the commit that cuts to `rows`: give the chunk that is written on a file of its own."""
        step = self.layout.chunk_rows
        if rows < self.rows and rows % step:
            path = self._chunk(rows // step)
            with files.writing(path):
                _copy(path, self.layout.chunk_bytes)

    def finish_cut(self, rows, sums):
        """After that commit: forget the rows beyond, remove the chunks that hold nothing else.

        sums: the checksums of the chunks that stay.
        """
        step = self.layout.chunk_rows
        for index in range(-(-rows // step), -(-self.rows // step)):
            with contextlib.suppress(OSError):
                os.unlink(self._chunk(index))
        self.rows = self._written = rows
        full = checksums.DIGITS * (rows // step)
        self._full, self._last = sums[:full], int(sums[full:] or "0", 16)

    def read(self, start, stop):
        """Rows [start, stop) that were written, as a new array."""
        this, step = self.layout, self.layout.chunk_rows
        out = np.empty((stop - start, *this.row_shape), this.dtype)
        done = start
        while done < stop:
            end = min(stop, (done // step + 1) * step)
            path = self._chunk(done // step)
            fd, _ = files.open_regular(path)
            try:
                data = os.pread(fd, (end - done) * this.row_bytes, (done % step) * this.row_bytes)
            finally:
                os.close(fd)
            if len(data) != (end - done) * this.row_bytes:
                raise DamagedRun(f"{len(data):,} bytes where rows {done} to {end} should be", path)
            out[done - start : end - start] = np.frombuffer(data, this.dtype).reshape(-1, *this.row_shape)
            done = end
        return out

    def _write(self, rows):
        """Write rows behind those written; the checksums then, which hold once all of it has succeeded."""
        step, first = self.layout.chunk_rows, self._written
        full, last = self._full, self._last
        for index in range(first // step, -(-(first + len(rows)) // step)):
            begin = max(first, index * step)
            part = rows[begin - first : (index + 1) * step - first]
            path = self._chunk(index)
            with files.writing(path):
                self._write_chunk(path, part, begin - index * step)
            last = checksums.crc(np.ascontiguousarray(part), last)
            if begin + len(part) == (index + 1) * step:
                full, last = full + checksums.to_text(last), 0
        return full, last

    def _write_chunk(self, path, part, offset):
        if offset == 0:
            # Rows of an abandoned continuation may lie here; a reader may still have them mapped.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            if offset == 0:
                os.ftruncate(fd, self.layout.chunk_bytes)
            files.write_all(
                fd, np.ascontiguousarray(part).view(np.uint8).reshape(-1), offset * self.layout.row_bytes
            )
        finally:
            os.close(fd)
        self._unsynced.add(path)

    def _sync(self):
        for path in sorted(self._unsynced):
            with files.writing(path):
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    files.sync_data(fd)
                finally:
                    os.close(fd)
            self._unsynced.discard(path)
        files.sync_folder(self.folder)

    def _chunk(self, index):
        return os.path.join(self.folder, self.layout.chunk_name(index))


def _copy(path, size):
    # The copy holds the same bytes, cut rows included: until the next commit the old record counts.
    fd, _ = files.open_regular(path)
    with os.fdopen(fd, "rb") as source:
        data = source.read()
    if len(data) != size:
        raise DamagedRun(f"{len(data):,} bytes, {size:,} are expected", path)
    files.replace_file(path, data)
