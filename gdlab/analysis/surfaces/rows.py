"""A path of n parameter vectors that may be larger than memory: its rows are read in blocks.

Streaming keeps every computation on a path at a few blocks of memory, whatever its length.
"""

import numpy as np

BLOCK_BYTES = 32 << 20


class Rows:
    """The rows `index` of something that `read(start, stop)` returns as arrays [stop - start, p].

    index: increasing row numbers [n]; size: p; dtype: float32 or float64.
    """

    def __init__(self, read, index, size, dtype):
        self._read = read
        self.index = np.asarray(index, np.int64)
        self.size, self.dtype = int(size), np.dtype(dtype)

    @classmethod
    def of(cls, array):
        """All rows of an array [n, p] or of a memory map."""
        return cls(lambda start, stop: array[start:stop], np.arange(len(array)), array.shape[1], array.dtype)

    def __len__(self):
        return len(self.index)

    def at(self, numbers):
        """The rows of these positions in `index`, [k, p], an array of the caller's own."""
        chosen = self.index[np.asarray(numbers, np.int64)]
        out = np.empty((len(chosen), self.size), self.dtype)
        # One read for neighbours; far ones singly, since a memory map would otherwise be copied between them.
        breaks = np.flatnonzero(np.diff(chosen) != 1) + 1
        for begin, end in zip([0, *breaks], [*breaks, len(chosen)], strict=True):
            if end > begin:
                out[begin:end] = self._read(int(chosen[begin]), int(chosen[end - 1]) + 1)
        return out

    def blocks(self):
        """Yield (start, stop, rows [stop - start, p]) of positions, in order, BLOCK_BYTES at most each."""
        count = max(1, BLOCK_BYTES // max(1, self.size * self.dtype.itemsize))
        for start in range(0, len(self), count):
            stop = min(start + count, len(self))
            yield start, stop, self.at(np.arange(start, stop))

    def finite(self):
        """The Rows without those that hold a NaN or an infinity."""
        keep = np.ones(len(self), bool)
        for start, stop, block in self.blocks():
            keep[start:stop] = np.isfinite(block).all(axis=1)
        return self if keep.all() else Rows(self._read, self.index[keep], self.size, self.dtype)
