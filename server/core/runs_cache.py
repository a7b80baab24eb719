"""The runs folder as all sessions of the server see it: one listing, one reader per run.

Listing reads one small file per run and happens in a thread, at most once every two seconds however
many pages are open; nothing here ever holds the event loop for long. A name comes from an address
or a click, so it is checked against the folder before anything is opened.
"""

import difflib
import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gdlab import store
from server.core import hyper
from server.core.threads import in_thread

log = logging.getLogger(__name__)

MAX_OPEN = 64
HINT_LASTS = 60.0  # s
HINTS_A_SECOND = 3
FRESH = 1.5  # s for which a listing counts as current, and
REST = 10  # at least so many times as long as it took: a slow disk is not kept busy


class Listing(NamedTuple):
    """runs: (name, summary dict or StoreError), sorted by name; revision: raised by every change."""

    runs: tuple
    revision: int
    taken: float


class RunsCache:
    """Readers and listing of one runs folder. Thread-safe; made by `shared`.

    list_runs, open_run: the store's, or stand-ins; clock: seconds.
    """

    def __init__(
        self,
        root: Path,
        list_runs: Callable = store.list_runs,
        open_run: Callable = store.open_run,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.root = Path(root).resolve()
        self._list_runs, self._open_run, self._clock = list_runs, open_run, clock
        self._lock = threading.Lock()
        self._listing: Listing | None = None
        self._took = 0.0
        self._listing_thread: threading.Thread | None = None
        self._readers: OrderedDict[str, store.Run] = OrderedDict()
        self._refreshed: dict[str, float] = {}
        self._revisions: dict[str, int] = {}
        self._hints: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._hinted: deque[float] = deque(maxlen=HINTS_A_SECOND)
        self._described: dict[str, tuple[dict, dict]] = {}
        self._opened: dict[str, str] = {}  # the id of the run that each reader was opened for

    # -- the listing ------------------------------------------------------------------------------

    def listing(self) -> Listing:
        """The last listing; the first one is made here."""
        return self._listing or self._list()

    def relist(self) -> threading.Thread | None:
        """Makes a new listing in a thread, unless one is fresh or being made; the thread, if any."""
        with self._lock:
            busy = self._listing_thread is not None and self._listing_thread.is_alive()
            age = self._clock() - self._listing.taken if self._listing else math.inf
            if busy or age < max(FRESH, REST * self._took):
                return None
            self._listing_thread = in_thread(self._list, "gdlab runs")
            return self._listing_thread

    def _list(self) -> Listing:
        began = self._clock()
        try:
            runs = tuple(self._list_runs(self.root))
        except store.StoreError as error:
            runs = ((self.root.name, error),)
        self._took = self._clock() - began
        before = self._listing
        if before is not None and _comparable(before.runs) == _comparable(runs):
            runs, revision = before.runs, before.revision
        else:
            revision = 0 if before is None else before.revision + 1
        self._described = {name: self._described[name] for name, _ in runs if name in self._described}
        self._listing = Listing(runs, revision, self._clock())
        return self._listing

    # -- single runs ------------------------------------------------------------------------------

    def path(self, name: str) -> Path:
        """The folder of that name. Raises NotARun where it does not lie under the runs folder."""
        if name and "\x00" not in name and not Path(name).is_absolute():
            path = (self.root / name).resolve()
            if name == self.root.name and not path.exists():
                return self.root  # the runs folder is itself a run
            if path.is_relative_to(self.root) and path != self.root:
                return path
        raise store.NotARun(f"{name!r} does not lie under the runs folder")

    def run(self, name: str):
        """The reader of a run, opened once. Raises StoreError."""
        path = self.path(name)
        with self._lock:
            if name in self._readers:
                self._readers.move_to_end(name)
                return self._readers[name]
        if not path.exists():
            raise store.NotARun(f"there is no run {name!r} in this folder.{self._hint(name)}")
        reader = self._open_run(path, name)
        with self._lock:
            reader = self._readers.setdefault(name, reader)
            self._opened[name] = reader.key.id
            while len(self._readers) > MAX_OPEN:
                self._readers.popitem(last=False)
        return reader

    def readable(self, names) -> tuple[list[str], list[tuple[str, Exception]]]:
        """Those of the names that can be opened, and (name, error) of the others."""
        good: list[str] = []
        broken: list[tuple[str, Exception]] = []
        for name in names:
            try:
                self.run(name)
                good.append(name)
            except (store.StoreError, OSError, ValueError) as error:
                broken.append((name, error))
        return good, broken

    def refresh(self, name: str) -> int:
        """Looks for a newer commit (at most once a second for all sessions); the run's revision,
        which is raised whenever there was one. A run that can no longer be read is dropped."""
        now = self._clock()
        with self._lock:
            reader = self._readers.get(name)
        if reader is not None and now - self._refreshed.get(name, -math.inf) >= 1.0:
            self._refreshed[name] = now
            if self._newer(name, reader):
                self._revisions[name] = self._revisions.get(name, 0) + 1
        return self._revisions.get(name, 0)

    def standing(self, names) -> tuple:
        """Of each run its revision, as of `refresh`, and its state, or why it cannot be read."""
        return tuple((self.refresh(name), self._state(name)) for name in names)

    def identities(self, names) -> tuple[str | None, ...]:
        """Which run stands under each name: its id; None while none can be read there."""
        with self._lock:
            readers = [self._readers.get(name) for name in names]
        return tuple(reader.key.id if reader else None for reader in readers)

    def configuration(self, name: str) -> dict[str, object]:
        """The run's hyper-parameters as `hyper.described`, from the listing where it has them; {} where
        unreadable."""
        for listed, summary in self.listing().runs:
            if listed == name and isinstance(summary, dict):
                return self.described(name, summary)
        try:
            return hyper.described(self.run(name).config)
        except (store.StoreError, OSError):
            return {}

    def described(self, name: str, summary: dict) -> dict[str, object]:
        """`hyper.described` of a run of the listing; made once as long as they are the same."""
        recorded = summary["hyperparameters"]
        known = self._described.get(name)
        if known is None or known[0] != recorded:
            known = self._described[name] = recorded, hyper.described(recorded)
        return known[1]

    def _newer(self, name: str, reader) -> bool:
        try:
            changed = reader.refresh()
            if reader.key.id == self._opened.get(name):
                return changed
            log.info("another run stands under the name %r", name)
        except (store.StoreError, OSError) as error:
            log.info("run %r can no longer be read: %s", name, error)
        with self._lock:
            self._readers.pop(name, None)
        return True

    def _state(self, name: str) -> str:
        try:
            return self.run(name).state
        except (store.StoreError, OSError) as error:
            return str(error)

    def _hint(self, name: str) -> str:
        """The nearest name, in words: among thousands each takes its time, and many may be asked for."""
        now = self._clock()
        with self._lock:
            known = self._hints.get(name)
            if known is not None and now - known[0] < HINT_LASTS:
                return known[1]
            if len(self._hinted) == self._hinted.maxlen and now - self._hinted[0] < 1.0:
                return ""
            self._hinted.append(now)
        names = [listed for listed, _ in self.listing().runs]
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" The nearest name is {close[0]!r}." if close else ""
        with self._lock:
            self._hints[name] = now, hint
            while len(self._hints) > MAX_OPEN:
                self._hints.popitem(last=False)
        return hint


def which(path) -> tuple | None:
    """The key of the run that stands in a folder now; a question about another one is another question."""
    try:
        return store.open_run(path).key
    except (store.StoreError, OSError):
        return None


_caches: dict[Path, RunsCache] = {}
_caches_lock = threading.Lock()


def shared(root: Path) -> RunsCache:
    """The cache of a folder, the same for every session of this process."""
    root = Path(root).resolve()
    with _caches_lock:
        return _caches.setdefault(root, RunsCache(root))


def _comparable(runs) -> str:
    return repr(runs)  # text, since NaN is not equal to itself
