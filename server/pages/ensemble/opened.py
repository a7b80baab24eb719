"""The ensembles that the server's sessions look at, read once for all of them."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gdlab import store
from gdlab.analysis import ensemble as ensembles

MOST_ENSEMBLES = 4


class Opened(NamedTuple):
    """ensemble: None where no run can be read; broken: {name: why it cannot be read}."""

    ensemble: ensembles.Ensemble | None
    broken: dict[str, str]


class Folder:
    """The runs of one folder of runs: their readers, and the last ensembles made of them. Thread-safe."""

    def __init__(self, root: Path):
        self.root = Path(root)
        self._lock = threading.Lock()
        self._runs: dict[str, store.Run] = {}
        self._ensembles: OrderedDict[tuple[str, ...], Opened] = OrderedDict()

    def open(self, names: Iterable[str], progress=lambda share, words: None) -> Opened:
        """The ensemble of these runs as of their last commits; the same object where nothing has changed."""
        names = tuple(names)
        with self._lock:
            changed, runs, broken = False, [], {}
            for i, name in enumerate(names):
                if i % 50 == 0:
                    progress(i / len(names), "Reading the runs")
                try:
                    run, fresh = self._run(name)
                    changed |= fresh
                    runs.append(run)
                except (store.StoreError, OSError, ValueError) as error:
                    self._runs.pop(name, None)
                    broken[name] = str(error)
            known = self._ensembles.get(names)
            if known is None or changed or known.broken != broken:
                known = Opened(ensembles.open_ensemble(runs) if runs else None, broken)
                self._ensembles[names] = known
                while len(self._ensembles) > MOST_ENSEMBLES:
                    self._ensembles.popitem(last=False)
            return known

    def _run(self, name: str) -> tuple[store.Run, bool]:
        """(reader, whether it holds something new)."""
        run = self._runs.get(name)
        if run is not None:
            return run, run.refresh()
        alone = name == self.root.name and not (self.root / name).exists()
        run = self._runs[name] = store.open_run(self.root if alone else self.root / name, name)
        return run, True


_folders: dict[Path, Folder] = {}
_folders_lock = threading.Lock()


def folder(root: Path) -> Folder:
    """The readers of a folder, the same for every session of this process."""
    root = Path(root).resolve()
    with _folders_lock:
        return _folders.setdefault(root, Folder(root))
