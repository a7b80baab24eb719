"""Writes one run: append rows, commit now and then, survive being killed at any moment.

What a reader sees is the last commit. Rows go to their place in the chunk files first, then one
rename of the commit record publishes all arrays together.
"""

import contextlib
import os
import shutil
import time

from gdlab.store import config as configs
from gdlab.store import effects, extension, files, folder, lease, manifest, reserve, resume, schema
from gdlab.store.chunks import Chunks
from gdlab.store.envelopes import Pyramid, is_level
from gdlab.store.errors import DiskFull, UnknownName, nearest
from gdlab.store.signals import Uninterrupted
from gdlab.store.spec import layout
from gdlab.store.stream import Stream
from gdlab.store.summary import Losses

# Rows are handed to the operating system at a commit, or earlier when this much waits.
PENDING_BYTES = 1 << 20
# Tools that open an array without its group go by the array's own metadata, which may lag this much.
_ARRAYS_SECONDS = 5.0


class RunWriter:
    """Made by `create` or `resume`; a context manager that always leaves a readable run behind.

    Ctrl-C takes effect between appends and commits, never inside. For one thread at a time.
    Leaving the block by an exception sets the state: "interrupted" after Ctrl-C, "failed" else.
    """

    @classmethod
    def create(cls, path, *, config, identity, arrays, pyramids=("scalars",)):
        """Begin a run in a new, empty or half-written folder and commit it with no rows.

        config: what was trained (plain nested dict); identity: where and with what (versions, flags, ...);
        arrays: {name: ArraySpec}; pyramids: names of arrays [n, S] of which envelopes are kept.
        Raises ConfigMismatch, RunExists, RunLocked, NotARun (somebody else's files), DamagedRun.
        """
        path = os.fspath(path)
        layouts = {name: layout(name, spec) for name, spec in arrays.items()}
        for name in pyramids:
            if name not in layouts:
                raise UnknownName(f"pyramid over unknown array '{name}'." + nearest(name, layouts))
            if len(layouts[name].row_shape) != 1:
                raise ValueError(f"pyramid over '{name}': rows of one axis are wanted")
        config, identity = configs.plain(config), configs.plain(identity, "identity")
        text = configs.dump(config)
        folder.check_new(path, config)
        with files.writing(path):
            os.makedirs(path, exist_ok=True)
        held = lease.Lease(path)
        try:
            folder.check_new(path, config, held=True)
            ids = manifest.new_id(), manifest.new_id()
            _write_documents(path, text, config, identity, ids)
            log = os.path.join(path, manifest.LOG)
            shutil.rmtree(log, ignore_errors=True)
            files.make_folders(path, log)
            streams = {name: Stream(log, this) for name, this in layouts.items()}
            towers = {name: Pyramid(log, layouts[name]) for name in pyramids}
            facts = {
                "state": "running",
                "reason": None,
                "started": time.time(),
                "pyramids": list(pyramids),
                "config_hash": configs.config_hash(config),
                "hyperparameters": effects.with_effect(configs.flatten(config)),
                "status": {},
            }
            started = manifest.Manifest({}, {}, 0, facts, *ids)
            writer = cls(path, held, streams, towers, started, Losses.of(streams))
            writer.commit()
            reserve.keep(path)
        except BaseException:
            held.release()
            raise
        return writer

    @classmethod
    def resume(cls, path, *, config, cursors=None, identity=None):
        """Go on with a run: cut every array to `cursors` {name: rows} (None: keep all), raise the generation.

        Raises ConfigMismatch, RunLocked, BadCursor and what `open_run` raises. A new `identity` is kept
        beside the first one.
        """
        path = os.fspath(path)
        folder.check_config(path, config, folder.read_manifest(path)[0])
        held = lease.Lease(path)
        try:
            found, _ = folder.read_manifest(path)
            document = folder.read_identity(path)
            found = found._replace(id=folder.id_of(path, found), session=manifest.new_id())
            folder.check_chunks(path, found)
            cuts = resume.cuts(found, cursors)
            log = os.path.join(path, manifest.LOG)
            sums = resume.verified(Chunks(log, path), found, cuts)
            files.remove_leftovers(log)
            streams = {name: Stream(log, this, found.rows[name]) for name, this in found.layouts.items()}
            for name, rows in cuts.items():
                streams[name].prepare_cut(rows)
            manifest.write(log, found._replace(rows=cuts, generation=found.generation + 1, sums=sums))
            for name, rows in cuts.items():
                streams[name].finish_cut(rows, sums[name])
            shutil.rmtree(os.path.join(path, "derived"), ignore_errors=True)
            towers = resume.pyramids(log, streams, found.facts)
            facts = {**found.facts, "state": "running", "reason": None}
            facts["config_hash"] = facts.get("config_hash") or document["config_hash"]
            losses = Losses.of(streams, found.facts.get("summary") if cuts == found.rows else None)
            resumed = found._replace(facts=facts, generation=found.generation + 1)
            document = extension.cut(document, cuts.get("scalars", 0))
            _add_session(path, document, resumed, configs.plain(identity, "identity"))
            writer = cls(path, held, streams, towers, resumed, losses)
            writer.commit()
            reserve.keep(path)
        except BaseException:
            held.release()
            raise
        return writer

    def __init__(self, path, held, streams, towers, found, losses):
        """found: a Manifest with the facts, ids and generation to go on with."""
        facts = found.facts
        self.path = path
        self.generation, self.id, self.session = found.generation, found.id, found.session
        self._log = os.path.join(path, manifest.LOG)
        self._lease = held
        self._streams = streams
        self._towers = towers
        self._facts = facts
        self._losses = losses
        self._before = facts.get("seconds", 0.0)
        self._opened = self._arrays_written = time.monotonic()
        self._waiting = []
        self._waiting_bytes = 0
        self._open = True

    def append(self, rows):
        """Accept {name: rows [n, ...]} for any of the arrays; readers see them after `commit`.

        All arrays or none: BadRows and UnknownName are raised before anything is accepted. DiskFull
        may be raised when waiting rows are written; they are then kept, and not to be appended again.
        """
        self._check_open()
        checked = []
        for name, values in rows.items():
            if name not in self._streams or is_level(name):
                raise UnknownName(f"no array '{name}' in this run." + nearest(name, self.cursors()))
            checked.append((self._streams[name], self._streams[name].checked(values)))
        self._waiting.append(checked)
        self._waiting_bytes += sum(values.nbytes for _, values in checked)
        if self._waiting_bytes > PENDING_BYTES:
            with Uninterrupted():
                self._settle()
                self._lease.heartbeat()
                self._flush(False)

    def add_array(self, name, spec):
        """One more array from now on, with no rows; spec: an ArraySpec.

        Arrays that share their first dimension have to have as many rows at a commit: append those before.
        """
        self._check_open()
        if name in self._streams:
            raise UnknownName(f"the run has an array '{name}' already")
        self._streams[name] = Stream(self._log, layout(name, spec))

    def commit(self, fsync=False, **status_fields):
        """Publish all accepted rows by one rename. `status_fields` (plain values) show in the summary.

        fsync: survive a power failure too (killing the process never loses a commit). Raises DiskFull
        (the previous commit stays valid; may be tried again) and LeaseLost.
        """
        self._check_open()
        with Uninterrupted():
            self._settle()
            resume.check_lengths(self._streams.values())
            self._commit(fsync, configs.plain(status_fields, "status"))

    def _commit(self, fsync, status_fields):
        self._lease.heartbeat()
        self._flush(fsync)
        self._facts["status"] = {**self._facts["status"], **status_fields}
        now = time.time()
        self._facts["seconds"] = self._before + (time.monotonic() - self._opened if self._opened else 0.0)
        self._facts["updated"] = now
        self._facts["summary"] = {"iterations": self._iterations(), **self._losses.facts()}
        layouts = {name: stream.layout for name, stream in self._streams.items()}
        rows = {name: stream.rows for name, stream in self._streams.items()}
        sums = {name: stream.sums for name, stream in self._streams.items()}
        found = manifest.Manifest(layouts, rows, self.generation, self._facts, self.id, self.session, sums)
        manifest.write(self._log, found, fsync)
        if time.monotonic() - self._arrays_written > _ARRAYS_SECONDS:
            self._write_arrays()

    def _write_arrays(self):
        for stream in self._streams.values():
            manifest.write_array(self._log, stream.layout, stream.rows)
        self._arrays_written = time.monotonic()

    def set_status(self, state, reason=None):
        """Commit with a state: running, finished, interrupted, diverged or failed."""
        if state not in schema.STATES:
            raise UnknownName(f"no state '{state}'." + nearest(state, schema.STATES))
        self._facts["state"], self._facts["reason"] = state, None if reason is None else str(reason)
        self.commit()

    def dated(self, started, seconds):
        """Of a record made elsewhere: when its training began (s since 1970), and how long it took (s)."""
        self._facts["started"], self._before, self._opened = started, seconds, 0.0

    def cursors(self):
        """{name: accepted rows}, what a checkpoint keeps to resume from."""
        with Uninterrupted():
            self._settle()
        return {name: s.rows for name, s in self._streams.items() if not is_level(name)}

    def close(self):
        """Commit, end the lease. A run still "running" becomes "interrupted". May be called twice."""
        if not self._open:
            return
        try:
            if self._facts["state"] == "running":
                self._facts.update(state="interrupted", reason="closed before it was finished")
            self.commit()
            self._write_arrays()
        except DiskFull as error:
            reserve.last_word(self.path, error)
            raise
        finally:
            reserve.release(self.path)
            self._open = False
            self._lease.release()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.close()
            return
        if self._facts["state"] == "running":
            stopped = issubclass(kind, KeyboardInterrupt)
            reason = "stopped by the user" if stopped else f"{kind.__name__}: {error}"
            self._facts.update(state="interrupted" if stopped else "failed", reason=reason)
        # The first error is the one to see; a full disk, say, makes this commit fail again.
        with contextlib.suppress(Exception):
            self.close()

    def _settle(self):
        # One list entry per append until here: Ctrl-C cannot leave rows of some arrays only.
        for checked in self._waiting:
            for stream, values in checked:
                stream.add(values)
        self._waiting, self._waiting_bytes = [], 0

    def _flush(self, fsync):
        for name in [name for name in self._streams if not is_level(name)]:
            rows = self._streams[name].flush(fsync)
            if len(rows) and name in self._towers:
                self._towers[name].feed(rows)
            if len(rows) and name == "scalars":
                self._losses.add(rows)
        for stream in [level for tower in self._towers.values() for level in tower.levels]:
            self._streams[stream.layout.name] = stream
            stream.flush(fsync)

    def _iterations(self):
        first = self._streams.get("scalars") or next(iter(self._streams.values()), None)
        return first.rows if first else 0

    def _check_open(self):
        if not self._open:
            raise ValueError(f"the writer of {self.path} is closed")


def _write_documents(path, text, config, identity, ids):
    files.make_folders(path, os.path.join(path, ".hydra"))
    files.replace_file(os.path.join(path, configs.CONFIG_FILE), text.encode())
    document = {
        "id": ids[0],
        "session_ids": [ids[1]],
        "config_hash": configs.config_hash(config),
        "created": time.time(),
        "identity": identity,
        "sessions": [],
    }
    folder.write_identity(path, document)


def _add_session(path, document, found, identity):
    """Into run.json: that a session was begun, and with what `identity` (None: nobody says)."""
    document["id"] = found.id
    document["session_ids"] = [*document.get("session_ids", []), found.session]
    if identity is not None:
        document["sessions"] = [*document["sessions"], identity]
    folder.write_identity(path, document)
