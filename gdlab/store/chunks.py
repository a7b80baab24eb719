"""Committed rows from chunk files, by memory map; what the commit record claims is checked against them.

The checksum of a chunk's committed rows is taken when they are first mapped, and continued when more of them
are committed: rows that were looked at once are not looked at again.
"""

import os
import stat
import threading
from collections import OrderedDict

import numpy as np

from gdlab.store import checksums, files
from gdlab.store.errors import DamagedRun

# The system allows some 65,000 maps per process, a server may have hundreds of runs open.
_MAX_MAPS = 256


class Chunks:
    """Maps chunk files of one generation of a run's arrays; `log` is the Zarr group's folder."""

    def __init__(self, log, run_folder):
        self._log = log
        self._root = run_folder
        self._maps = OrderedDict()
        self._verified, self._files = {}, {}
        self._lock = threading.Lock()
        self._expected = {}, None

    def expect(self, found):
        """From now on rows have to be those of the Manifest `found`, as far as it holds checksums."""
        self._expected = found.rows, found.sums

    def verify(self, this, rows):
        """DamagedRun where the first `rows` rows of an array are not those that were committed."""
        for index in range(-(-rows // this.chunk_rows)):
            self._map(this, index)

    def sums(self, this, rows):
        """The checksums of an array's first `rows` rows as they lie there, as a commit record keeps them."""
        step, sums = this.chunk_rows, []
        for index in range(-(-rows // step)):
            part = self._map(this, index)[: min(step, rows - index * step)]
            sums.append(checksums.to_text(checksums.crc(part)))
        return "".join(sums)

    def check(self, this, rows, last_only=False):
        """DamagedRun where a chunk file of an array's first `rows` rows is missing or of the wrong size."""
        end = -(-rows // this.chunk_rows)
        for index in range(max(0, end - 1) if last_only else 0, end):
            _check_size(self._path(this, index), this)

    def read(self, this, start, stop):
        """Rows [start, stop) as a read-only array; a view of the map where one chunk holds them all."""
        if start >= stop:
            return _frozen(np.empty((0, *this.row_shape), this.dtype))
        step = this.chunk_rows
        first, last = start // step, (stop - 1) // step
        if first == last:
            return self._map(this, first)[start - first * step : stop - first * step]
        out = np.empty((stop - start, *this.row_shape), this.dtype)
        for index in range(first, last + 1):
            a, b = max(start, index * step), min(stop, (index + 1) * step)
            out[a - start : b - start] = self._map(this, index)[a - index * step : b - index * step]
        return _frozen(out)

    def column(self, this, column, start, stop):
        """One column of rows [start, stop) as an array [n, ...] of the caller's own."""
        step = this.chunk_rows
        out = np.empty((max(0, stop - start), *this.row_shape[1:]), this.dtype)
        for index in range(start // step, -(-stop // step)):
            a, b = max(start, index * step), min(stop, (index + 1) * step)
            if a < b:
                out[a - start : b - start] = self._map(this, index)[
                    a - index * step : b - index * step, column
                ]
        return out

    def _map(self, this, index):
        key = this.name, index
        with self._lock:
            found = self._maps.get(key)
            if found is None:
                found = self._maps[key] = self._open(this, index)
                if len(self._maps) > _MAX_MAPS:
                    self._maps.popitem(last=False)
            else:
                # Touching a map beyond the end of a file that somebody cut would kill the process.
                _check_size(self._path(this, index), this)
                self._maps.move_to_end(key)
            self._verify(key, this, found)
        return found

    def _verify(self, key, this, mapped):
        name, index = key
        rows, sums = self._expected
        if sums is None:
            return
        first = index * this.chunk_rows
        count = min(this.chunk_rows, rows.get(name, 0) - first)
        done, value = self._verified.get(key, (0, 0))
        if count <= done:
            return
        value = checksums.crc(mapped[done:count], value)
        recorded = sums[name][checksums.DIGITS * index :][: checksums.DIGITS]
        if checksums.to_text(value) != recorded:
            where = self._path(this, index)
            self._maps.pop(key)  # so that a file that is put back is seen
            raise DamagedRun(
                f"rows {first + done:,} to {first + count:,} of '{name}' are not those that were committed: "
                f"their checksum is {checksums.to_text(value)}, {recorded} was recorded",
                where,
            )
        self._verified[key] = count, value

    def _open(self, this, index):
        path = self._path(this, index)
        files.stays_inside(path, self._root)
        try:
            fd, facts = files.open_regular(path)
        except FileNotFoundError:
            raise DamagedRun("a chunk file is missing", path) from None
        try:
            _compare(facts.st_size, this, path)
            # What was found whole in this file need not be looked at again; in another one it must.
            mark = facts.st_ino, facts.st_mtime_ns
            if self._files.get((this.name, index)) != mark:
                self._verified.pop((this.name, index), None)
            self._files[this.name, index] = mark
            with os.fdopen(os.dup(fd), "rb") as file:
                mapped = np.memmap(file, this.dtype, "r", shape=this.chunk_shape)
        finally:
            os.close(fd)
        return mapped.view(np.ndarray)

    def _path(self, this, index):
        return os.path.join(self._log, this.name, this.chunk_name(index))


def _check_size(path, this):
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        raise DamagedRun("a chunk file is missing", path) from None
    except OSError as error:
        raise DamagedRun(error.strerror, path) from error
    if not stat.S_ISREG(facts.st_mode):
        raise DamagedRun("not a regular file", path)
    _compare(facts.st_size, this, path)


def _compare(size, this, path):
    if size != this.chunk_bytes:
        raise DamagedRun(
            f"chunk of '{this.name}' has {size:,} bytes, {this.chunk_bytes:,} are expected", path
        )


def _frozen(array):
    array.flags.writeable = False
    return array
