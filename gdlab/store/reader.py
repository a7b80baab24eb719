"""Reads one run, live or finished, without ever writing, locking or waiting.

A `Run` holds one commit record and reads the rows it counts from memory-mapped chunk files.
Committed rows never change while the generation stays; a resume cuts them and raises it, and another
run may be put in the folder's place. So after each read the commit record's mark is looked at again, and
the read repeated where it has changed.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gdlab.records import Table
from gdlab.store import folder, frames, manifest, tables
from gdlab.store.chunks import Chunks
from gdlab.store.errors import DamagedRun, StoreError, UnknownName, nearest
from gdlab.store.summary import state, summary

if TYPE_CHECKING:
    import pandas
    import xarray

# A file system's clock ticks every few ms: two commits within one tick may look the same.
_CLOCK_TICK_SECONDS = 0.1


class Key(NamedTuple):
    """Which run, which of its sessions, how often it was resumed: what caches of a run's rows go by.

    id: random, drawn when the run was created (for runs before schema 2 a hash of that moment and of the
    configuration); session: random, drawn then and at every resume ("" before schema 2).
    """

    id: str
    session: str
    generation: int


def open_run(path: str | os.PathLike, name: str | None = None) -> "Run":
    """The run in a folder. Cheap: reads the commit record and looks at the chunk files' sizes.

    name: how the run is called, by default the folder's name. Raises NotARun (missing, empty, other
    files), HalfWritten (never committed), NewerSchema, DamagedRun (says what and which file).
    """
    return Run(path, name)


class Run:
    """A view of a run as of its last commit seen; `refresh` looks for a newer one. Made by `open_run`.

    path (Path), name (str); the rest in methods and properties. All arrays returned are read-only or the
    caller's own.
    """

    def __init__(self, path: str | os.PathLike, name: str | None = None):
        self.path = Path(path)
        self.name = str(name) if name is not None else self.path.absolute().name
        self._log = os.path.join(os.fspath(path), manifest.LOG)
        self.altered = ""  # of whoever computes from it: which other data or code than the run's are used
        self._key: Key | None = None
        self._stages: tuple | None = None
        self._document: dict | None = None
        self._load()
        self._stable(self._check)

    @property
    def generation(self) -> int:
        """0 for a run in one go; every resume raises it by one."""
        return self._manifest.generation

    @property
    def key(self) -> Key:
        """The `Key` of the rows as of the last commit seen: equal keys, equal rows where both have them."""
        if self._key is None:
            found = self._manifest
            self._key = Key(folder.id_of(self.path, found), found.session or "", found.generation)
        return self._key

    def replaced(self) -> bool:
        """True where the folder holds other rows than those of `key`, or none, by now: looks at the disk."""
        try:
            return self._mark_on_disk() != self._manifest.mark
        except StoreError:
            return True

    @property
    def verified(self) -> bool:
        """Whether the record has checksums, by which all rows are checked before they are returned.

        Runs of schema 1 have none; once such a run is resumed, its rows are guarded as they were found.
        """
        return self._manifest.sums is not None

    def verify(self) -> list[DamagedRun]:
        """[DamagedRun]: what is damaged of all that was recorded; every committed row is read."""

        def rows_of(name):
            return self._stable(lambda: self._chunks.verify(self._layout(name), self.rows(name)))

        found = []
        looks = [lambda: self.config, lambda: self.identity]
        for look in looks + [partial(rows_of, name) for name in self._manifest.layouts]:
            try:
                look()
            except DamagedRun as error:
                found.append(error)
        return found

    @property
    def config(self) -> dict:
        """The configuration, a nested dict of plain values; DamagedRun where it is not what was recorded."""
        return self.stages[-1][1]

    @property
    def stages(self) -> tuple[tuple[int, dict], ...]:
        """((first iteration, configuration from there), ...), oldest first: one, unless it was extended."""
        if self._stages is None:
            self._stages = self._stable(lambda: tuple(folder.load_stages(self.path, self._manifest)))
        return self._stages

    @property
    def identity(self) -> dict:
        """Versions, flags, devices and so on, as the writer gave them when the run began."""
        return self._run_file()["identity"]

    @property
    def sessions(self) -> tuple[dict, ...]:
        """The identities given by later resumes, oldest first."""
        return tuple(self._run_file()["sessions"])

    @property
    def state(self) -> str:
        """running, finished, interrupted, diverged, failed; "crashed": its writer is gone without a word."""
        return state(self.path, self._manifest.facts)

    @property
    def reason(self) -> str | None:
        """Why the state is what it is, or None."""
        return self._manifest.facts.get("reason")

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the recorded arrays."""
        return tuple(name for name in self._manifest.layouts if not tables.is_level(name))

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Steps at which the whole train state was kept, ascending."""
        try:
            names = os.listdir(self.path / "checkpoints")
        except OSError:
            return ()
        return tuple(sorted(int(name) for name in names if name.isdecimal() and name.isascii()))

    def rows(self, name: str) -> int:
        """Number of committed rows of an array."""
        self._layout(name)
        return self._manifest.rows[name]

    def columns(self, name: str) -> tuple[str, ...]:
        """Names of the columns of an array's rows; empty where they have none."""
        return self._layout(name).columns

    def array(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """Rows [start, stop) of an array as [n, ...], read-only; memory mapped where one chunk holds them.

        start, stop: as in a slice (negative counts from the end). UnknownName names the nearest array.
        """
        return self._stable(lambda: self._array(name, start, stop))

    def table(
        self, name: str, start: int = 0, stop: int | None = None, columns: Sequence[str] | None = None
    ) -> Table:
        """ "steps": STEP_COLUMNS and "iteration", one row per dot k = start ... stop - 1 of 0 ... K.

        The last dot K has the final loss (loss_end of step K - 1) and NaN elsewhere; a recorded loop has
        none, and NaN where it has no column. "evaluations":
        TRACE_COLUMNS, "iteration" and "j" of the line searches of iterations [start, stop). "metric/NAME" of
        a recorded loop: its "iteration" and "value". columns: only these (faster on long runs).
        """
        return self._stable(lambda: tables.table(self, name, start, stop, columns))

    def envelope(self, column: str, start: int = 0, stop: int | None = None, points: int = 2000) -> Table:
        """Table of iteration, minimum, maximum, nonfinite (a count) over at most `points` buckets of dots.

        Exact: every value of [start, stop) is in exactly one bucket; minimum and maximum are NaN where
        none is finite. "loss" has K + 1 dots (see `table`), other columns K. attrs["bucket"] is the
        number of dots per bucket, 1 where single values are returned.
        """
        return self._stable(lambda: tables.envelope(self, column, start, stop, points))

    def to_pandas(self, table: str = "steps") -> "pandas.DataFrame":
        """A table as a pandas DataFrame: "steps" by iteration, "evaluations" by iteration and j."""
        return frames.to_pandas(self, table)

    def to_xarray(self) -> "xarray.Dataset":
        """Steps and line searches as one xarray Dataset, the hyper-parameters as its attributes.

        Steps have the dimension "iteration" [K + 1]; what is called search_... has the dimension
        "evaluation", one for each evaluation of every line search, with its search_iteration and search_j.
        """
        return frames.to_xarray(self)

    def summary(self) -> dict:
        """What a list of runs shows, from the commit record alone: no array is read."""
        return summary(self.path, self.name, self._manifest)

    @property
    def status(self) -> dict:
        """The fields last given to `RunWriter.commit`."""
        return dict(self._manifest.facts.get("status", {}))

    def refresh(self) -> bool:
        """Look for a newer commit; True where there is one. Raises as `open_run` does."""
        path = os.path.join(self._log, manifest.GROUP)
        try:
            signature = _signature(os.stat(path))
        except OSError:
            signature = None
        if signature is not None and signature == self._signature:
            return False
        before = self._manifest
        self._load()
        return self._manifest != before

    def __repr__(self):
        return f"<Run {self.name!r} {self.state}, generation {self.generation}>"

    def _load(self):
        previous = getattr(self, "_manifest", None)
        asked = time.time()
        self._manifest, facts = folder.read_manifest(self.path)
        old_enough = asked - facts.st_mtime > _CLOCK_TICK_SECONDS
        self._signature = self._checked = _signature(facts) if old_enough else None
        if previous is None or previous.mark != self._manifest.mark:
            chunks = Chunks(self._log, self.path)
            chunks.expect(self._manifest)
            self._chunks = chunks
            self._key = self._stages = self._document = None
        else:
            self._chunks.expect(self._manifest)

    def _check(self):
        folder.check_chunks(self.path, self._manifest)

    def _stable(self, read):
        # Rows that a resume has cut are overwritten: what was read meanwhile is read again. A newer
        # commit of the same generation is not adopted here, so that several reads fit together.
        while True:
            mark = self._manifest.mark
            try:
                result = read()
            except DamagedRun:
                if self._mark_on_disk() == mark:
                    raise
            else:
                if self._mark_on_disk() == mark:
                    return result
            self._load()

    def _mark_on_disk(self):
        where = os.path.join(self._log, manifest.GROUP)
        asked = time.time()
        with contextlib.suppress(OSError):
            if _signature(os.stat(where)) == self._checked:
                return self._manifest.mark
        try:
            mark, facts = manifest.read_mark(where)
        except FileNotFoundError:
            raise DamagedRun("the commit record is gone", where) from None
        if mark == self._manifest.mark and asked - facts.st_mtime > _CLOCK_TICK_SECONDS:
            self._checked = _signature(facts)
        return mark

    def _array(self, name, start, stop):
        this = self._layout(name)
        start, stop, _ = slice(start, stop).indices(self._manifest.rows[name])
        return self._chunks.read(this, start, max(start, stop))

    def _layout(self, name):
        try:
            return self._manifest.layouts[name]
        except KeyError:
            raise UnknownName(f"the run has no array '{name}'." + nearest(name, self.arrays)) from None

    def _run_file(self):
        if self._document is None:
            self._document = self._stable(lambda: folder.read_identity(self.path))
        return self._document


def _signature(facts):
    return facts.st_mtime_ns, facts.st_ino, facts.st_size
